//! Where a team's room belongs, as this shard sees it.

use poker_routing::{RoutingTable, ShardRoute, ShardState};

/// This process in the routing table.
#[derive(Debug, Clone)]
pub struct Me {
    pub id: u32,
    /// Link address, host:port.
    pub address: std::sync::Arc<str>,
}

/// What to do with a gateway's wish to open a room.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// Claim it on this table version.
    Here { table: u64 },
    /// It belongs to the shard at this address.
    Elsewhere { owner: String },
    /// This shard cannot tell yet: the gateway asks again shortly.
    Unknown,
}

/// Whether the table gives teams to this very process.
pub fn is_active(table: &RoutingTable, me: &Me) -> bool {
    table
        .shards
        .iter()
        .any(|shard| is_me(shard, me) && shard.state == ShardState::Active)
}

fn is_me(shard: &ShardRoute, me: &Me) -> bool {
    shard.id == me.id && *shard.address == *me.address
}

/// Whether this process is the table's first choice for a team.
pub fn is_first(table: &RoutingTable, me: &Me, team: &str) -> bool {
    table.route(team).first().is_some_and(|first| is_me(first, me))
}

/// Where a room that is not held yet belongs, for a gateway that routed by `gateway_table`.
///
/// A gateway on the same or a newer table knows what it does: it may be failing over from a shard that is preferred
/// but gone. One on an older table is shown the way.
pub fn place(table: &RoutingTable, me: &Me, team: &str, gateway_table: u64) -> Place {
    let active = is_active(table, me);
    if active && gateway_table >= table.version {
        return Place::Here { table: gateway_table };
    }
    if gateway_table > table.version {
        return Place::Unknown;
    }
    match table.route(team).first() {
        Some(first) if !is_me(first, me) => Place::Elsewhere {
            owner: first.address.clone(),
        },
        Some(_) if active => Place::Here { table: table.version },
        _ => Place::Unknown,
    }
}

/// Where a room held since table `held_table` has to go under a newer table; `None`: it stays.
pub fn must_leave(table: &RoutingTable, me: &Me, team: &str, held_table: u64) -> Option<Option<String>> {
    if table.version <= held_table {
        return None;
    }
    match table.route(team).first() {
        Some(first) if is_me(first, me) && first.state == ShardState::Active => None,
        Some(first) if !is_me(first, me) => Some(Some(first.address.clone())),
        _ => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me(id: u32) -> Me {
        Me {
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
            assert_eq!(place(&table, &me(id), "team", 5), Place::Here { table: 5 });
        }
    }

    #[test]
    fn a_gateway_on_a_newer_table_is_believed_by_an_active_shard_only() {
        let table = table(5, &[(0, ACTIVE)]);
        assert_eq!(place(&table, &me(0), "team", 6), Place::Here { table: 6 });
        assert_eq!(place(&table, &me(1), "team", 6), Place::Unknown);
    }

    #[test]
    fn a_gateway_on_an_older_table_is_shown_the_way() {
        let table = table(5, &[(0, ACTIVE), (1, ACTIVE)]);
        let first = table.route("team")[0].clone();
        let second = me(1 - first.id);
        assert_eq!(place(&table, &me(first.id), "team", 4), Place::Here { table: 5 });
        assert_eq!(
            place(&table, &second, "team", 4),
            Place::Elsewhere { owner: first.address }
        );
    }

    #[test]
    fn a_draining_or_unknown_shard_takes_nothing() {
        let table = table(5, &[(0, DRAINING), (1, ACTIVE)]);
        let owner = "shard-1:7000".to_owned();
        for id in [0, 2] {
            assert_eq!(
                place(&table, &me(id), "team", 5),
                Place::Elsewhere { owner: owner.clone() }
            );
        }
        let none = RoutingTable::default();
        assert_eq!(place(&none, &me(0), "team", 0), Place::Unknown);
    }

    #[test]
    fn a_replaced_process_of_the_same_shard_is_not_me() {
        let mut table = table(5, &[(0, ACTIVE)]);
        table.shards[0].address = "shard-0-new:7000".into();
        assert!(!is_active(&table, &me(0)));
        assert_eq!(
            must_leave(&table, &me(0), "team", 4),
            Some(Some("shard-0-new:7000".into()))
        );
    }

    #[test]
    fn rooms_go_home_with_the_next_table_and_not_before() {
        let table = table(5, &[(0, ACTIVE), (1, ACTIVE)]);
        let first = table.route("team")[0].clone();
        let second = me(1 - first.id);
        assert_eq!(must_leave(&table, &second, "team", 5), None);
        assert_eq!(must_leave(&table, &second, "team", 4), Some(Some(first.address)));
        assert_eq!(must_leave(&table, &me(first.id), "team", 4), None);
    }

    #[test]
    fn the_last_draining_shard_gives_its_rooms_up_to_nobody() {
        let table = table(5, &[(0, DRAINING)]);
        assert_eq!(must_leave(&table, &me(0), "team", 4), Some(None));
    }
}
