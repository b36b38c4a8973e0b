//! Which shard a team's room belongs to, by the routing table of this shard.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use poker_routing::{RoutingTable, ShardRoute, ShardState};

/// This process in the routing table.
#[derive(Debug, Clone)]
pub struct LocalShard {
    pub id: u32,
    /// Link address, host:port.
    pub address: Arc<str>,
}

/// Where a room belongs that a gateway asks to open.
#[derive(Debug, PartialEq, Eq)]
pub enum RoomLocation {
    /// Claim it on this table version.
    Here { table: u64 },
    /// It belongs to the shard at this address.
    Elsewhere { owner: String },
    /// This shard cannot decide yet: the gateway retries shortly.
    Unknown,
}

/// Whether the table routes teams to this process.
fn is_active(table: &RoutingTable, local: &LocalShard) -> bool {
    table
        .shards
        .iter()
        .any(|shard| is_local(shard, local) && shard.state == ShardState::Active)
}

fn is_local(shard: &ShardRoute, local: &LocalShard) -> bool {
    shard.id == local.id && *shard.address == *local.address
}

/// Whether this process is the table's first choice for a team.
pub fn is_first(table: &RoutingTable, local: &LocalShard, team: &str) -> bool {
    table.first(team).is_some_and(|first| is_local(first, local))
}

/// Where a room that is not in memory belongs, for a gateway that routed by `gateway_table`.
///
/// A gateway on the same or a newer table is believed: it may be failing over from a preferred shard that is down. One
/// on an older table is redirected.
pub fn locate(table: &RoutingTable, local: &LocalShard, team: &str, gateway_table: u64) -> RoomLocation {
    let active = is_active(table, local);
    if active && gateway_table >= table.version {
        return RoomLocation::Here { table: gateway_table };
    }
    if gateway_table > table.version {
        return RoomLocation::Unknown;
    }
    match table.first(team) {
        Some(first) if !is_local(first, local) => RoomLocation::Elsewhere {
            owner: first.address.clone(),
        },
        Some(_) if active => RoomLocation::Here { table: table.version },
        _ => RoomLocation::Unknown,
    }
}

/// Where a room claimed on `claimed_table` must move under a newer table; `None`: it stays, `Some(None)`: no other shard
/// can take it.
pub fn must_leave(
    table: &RoutingTable,
    local: &LocalShard,
    team: &str,
    claimed_table: u64,
) -> Option<Option<String>> {
    if table.version <= claimed_table {
        return None;
    }
    match table.first(team) {
        Some(first) if is_local(first, local) && first.state == ShardState::Active => None,
        Some(first) if !is_local(first, local) => Some(Some(first.address.clone())),
        _ => Some(None),
    }
}

/// The shard that a team prefers to this one; `None`: there is none.
pub fn preferred(table: &RoutingTable, local: &LocalShard, team: &str) -> Option<String> {
    let first = table.first(team)?;
    let is_elsewhere = first.state == ShardState::Active && !is_local(first, local);
    is_elsewhere.then(|| first.address.clone())
}

/// Which rooms a newer table may move away from this shard, so that a version costs only those.
#[derive(Debug, Default)]
pub enum TableChange {
    /// Everything may have changed.
    All,
    /// Rooms at home move only to one of `rivals`, or by a pin.
    Teams {
        /// Shards that are new, or that win more teams than before.
        rivals: Vec<ShardRoute>,
        /// Teams whose pin changed.
        pins: HashSet<String>,
    },
    #[default]
    None,
}

impl TableChange {
    pub fn between(former: &RoutingTable, table: &RoutingTable, local: &LocalShard) -> TableChange {
        let own = |table: &RoutingTable| table.shards.iter().find(|shard| is_local(shard, local)).cloned();
        let known: HashMap<u32, &ShardRoute> = former.shards.iter().map(|shard| (shard.id, shard)).collect();
        let is_rival =
            |shard: &&ShardRoute| known.get(&shard.id).is_none_or(|former| wins_more(former, shard));
        let is_changed = |other: &RoutingTable, (team, id): (&String, &u32)| {
            (other.pins.get(team) != Some(id)).then(|| team.clone())
        };
        match (own(former), own(table)) {
            (Some(former), Some(own)) if is_at_least(&former, &own) => {}
            _ => return TableChange::All,
        }
        let rivals: Vec<ShardRoute> = table.shards.iter().filter(is_rival).cloned().collect();
        let added = table.pins.iter().filter_map(|pin| is_changed(former, pin));
        let removed = former.pins.iter().filter_map(|pin| is_changed(table, pin));
        let pins: HashSet<String> = added.chain(removed).collect();
        match rivals.is_empty() && pins.is_empty() {
            true => TableChange::None,
            false => TableChange::Teams { rivals, pins },
        }
    }

    /// Both changes, the newer one after this one.
    pub fn then(self, newer: TableChange) -> TableChange {
        match (self, newer) {
            (TableChange::None, change) | (change, TableChange::None) => change,
            _ => TableChange::All,
        }
    }

    /// Whether the table may move a team that was at home under the former one.
    pub fn concerns(&self, table: &RoutingTable, local: &LocalShard, team: &str) -> bool {
        match self {
            TableChange::All => true,
            TableChange::None => false,
            TableChange::Teams { rivals, pins } => {
                let own = table.shards.iter().find(|shard| is_local(shard, local));
                pins.contains(team) || own.is_none_or(|own| table.any_preferred(team, rivals, own))
            }
        }
    }
}

/// Whether a shard keeps all its teams unless another takes them.
fn is_at_least(former: &ShardRoute, shard: &ShardRoute) -> bool {
    former.state == ShardState::Active && shard.state == ShardState::Active && former.weight <= shard.weight
}

/// Whether a shard may win teams that it did not win before.
fn wins_more(former: &ShardRoute, shard: &ShardRoute) -> bool {
    let revived = former.state == ShardState::Draining && shard.state == ShardState::Active;
    revived || shard.weight > former.weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_concerns_only_the_teams_that_it_moves() {
        let former = table(5, &[(0, ACTIVE), (1, ACTIVE), (2, DRAINING)]);
        let teams: Vec<String> = (0..500).map(|team| format!("team-{team}")).collect();
        let mut raised = table(6, &[(0, ACTIVE), (1, ACTIVE), (2, DRAINING)]);
        raised.shards[1].weight = 3;
        let mut lowered = raised.clone();
        lowered.shards[0].weight = 0;
        let mut pinned = table(6, &[(0, ACTIVE), (1, ACTIVE), (2, DRAINING)]);
        pinned.pins = teams.iter().take(9).map(|team| (team.clone(), 1)).collect();
        let mut joining = table(6, &[(0, ACTIVE), (1, ACTIVE), (2, DRAINING)]);
        joining.joining.push("shard-3:7000".into());
        let newer = [
            joining,
            raised,
            lowered,
            pinned,
            table(6, &[(0, ACTIVE), (1, ACTIVE)]),
            table(6, &[(0, ACTIVE), (1, ACTIVE), (2, ACTIVE)]),
            table(6, &[(0, ACTIVE), (1, DRAINING), (2, DRAINING)]),
            table(6, &[(0, ACTIVE), (1, ACTIVE), (2, DRAINING), (3, ACTIVE)]),
            table(6, &[(0, DRAINING), (1, ACTIVE), (2, DRAINING)]),
            table(6, &[(1, ACTIVE)]),
        ];
        for (number, table) in newer.iter().enumerate() {
            let local = shard(0);
            let change = TableChange::between(&former, table, &local);
            let at_home = teams.iter().filter(|team| is_first(&former, &local, team));
            for team in at_home {
                let moves = must_leave(table, &local, team, 5).is_some();
                let is_concerned = change.concerns(table, &local, team);
                assert!(is_concerned || !moves, "table {number} moves {team}");
                if !matches!(change, TableChange::All) && table.pins.is_empty() {
                    assert_eq!(is_concerned, moves, "table {number}, {team}");
                }
            }
        }
        let change = |table: &RoutingTable| TableChange::between(&former, table, &shard(0));
        assert!(matches!(change(&newer[0]), TableChange::None));
        assert!(matches!(change(&newer[4]), TableChange::None));
    }

    fn shard(id: u32) -> LocalShard {
        LocalShard {
            id,
            address: format!("shard-{id}:7000").into(),
        }
    }

    fn table(version: u64, shards: &[(u32, ShardState)]) -> RoutingTable {
        RoutingTable {
            version,
            shards: shards
                .iter()
                .map(|(id, state)| ShardRoute {
                    id: *id,
                    revision: "r".into(),
                    address: format!("shard-{id}:7000"),
                    state: *state,
                    weight: 1,
                })
                .collect(),
            ..RoutingTable::default()
        }
    }

    const ACTIVE: ShardState = ShardState::Active;
    const DRAINING: ShardState = ShardState::Draining;

    #[test]
    fn a_gateway_on_the_same_table_may_choose_any_active_shard() {
        let table = table(5, &[(0, ACTIVE), (1, ACTIVE)]);
        for id in [0, 1] {
            assert_eq!(
                locate(&table, &shard(id), "team", 5),
                RoomLocation::Here { table: 5 }
            );
        }
    }

    #[test]
    fn a_gateway_on_a_newer_table_is_believed_by_an_active_shard_only() {
        let table = table(5, &[(0, ACTIVE)]);
        assert_eq!(
            locate(&table, &shard(0), "team", 6),
            RoomLocation::Here { table: 6 }
        );
        assert_eq!(locate(&table, &shard(1), "team", 6), RoomLocation::Unknown);
    }

    #[test]
    fn a_gateway_on_an_older_table_is_redirected() {
        let table = table(5, &[(0, ACTIVE), (1, ACTIVE)]);
        let first = table.route("team")[0].clone();
        let second = shard(1 - first.id);
        assert_eq!(
            locate(&table, &shard(first.id), "team", 4),
            RoomLocation::Here { table: 5 }
        );
        assert_eq!(
            locate(&table, &second, "team", 4),
            RoomLocation::Elsewhere { owner: first.address }
        );
    }

    #[test]
    fn a_draining_or_unknown_shard_claims_no_room() {
        let table = table(5, &[(0, DRAINING), (1, ACTIVE)]);
        let owner = "shard-1:7000".to_owned();
        for id in [0, 2] {
            assert_eq!(
                locate(&table, &shard(id), "team", 5),
                RoomLocation::Elsewhere { owner: owner.clone() }
            );
        }
        let none = RoutingTable::default();
        assert_eq!(locate(&none, &shard(0), "team", 0), RoomLocation::Unknown);
    }

    #[test]
    fn a_replaced_process_of_the_same_shard_is_another_shard() {
        let mut table = table(5, &[(0, ACTIVE)]);
        table.shards[0].address = "shard-0-new:7000".into();
        assert!(!is_active(&table, &shard(0)));
        assert_eq!(
            must_leave(&table, &shard(0), "team", 4),
            Some(Some("shard-0-new:7000".into()))
        );
    }

    #[test]
    fn rooms_return_to_the_preferred_shard_with_the_next_table_only() {
        let table = table(5, &[(0, ACTIVE), (1, ACTIVE)]);
        let first = table.route("team")[0].clone();
        let second = shard(1 - first.id);
        assert_eq!(must_leave(&table, &second, "team", 5), None);
        assert_eq!(must_leave(&table, &second, "team", 4), Some(Some(first.address)));
        assert_eq!(must_leave(&table, &shard(first.id), "team", 4), None);
    }

    #[test]
    fn the_last_draining_shard_releases_its_rooms_without_a_successor() {
        let table = table(5, &[(0, DRAINING)]);
        assert_eq!(must_leave(&table, &shard(0), "team", 4), Some(None));
    }
}
