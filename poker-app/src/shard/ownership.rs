//! Which shard a team's room belongs to, by the routing table of this shard.

use std::sync::Arc;

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
    table
        .route(team)
        .first()
        .is_some_and(|first| is_local(first, local))
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
    match table.route(team).first() {
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
    match table.route(team).first() {
        Some(first) if is_local(first, local) && first.state == ShardState::Active => None,
        Some(first) if !is_local(first, local) => Some(Some(first.address.clone())),
        _ => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
