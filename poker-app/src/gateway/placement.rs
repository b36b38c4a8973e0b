//! Chooses the shard of a team's sessions. Pure: time, table and links are parameters.

use std::sync::Arc;

use poker_routing::RoutingTable;

use super::{
    limits::{
        AVOID_MS, FAILOVER_HOLD_DOWN_MS, FAST_MOVES_MAX, HANDOFF_WAIT_MS, MOVE_DELAY_MS_MAX,
        MOVE_DELAY_MS_MIN,
    },
    links::LinkState,
};

/// The inputs of a decision besides the team's own state.
#[derive(Clone, Copy)]
pub struct RoutingInput<'a> {
    /// Milliseconds on a monotonic clock.
    pub now_ms: u64,
    pub table: &'a RoutingTable,
    /// State of the link to an address; `Trying` for an unknown one.
    pub link: &'a dyn Fn(&str) -> LinkState,
}

/// The shard of a team, as known to this gateway.
#[derive(Debug, Default)]
pub struct Placement {
    at: Option<Arc<str>>,
    table_version: u64,
    /// When the team last changed its shard because a link was down or the owner moved it.
    switched_ms: Option<u64>,
    /// A shard that released the team without a successor, and until when it is avoided.
    avoid: Option<(Arc<str>, u64)>,
    /// When to leave an owner that a newer table does not name.
    leave_by_ms: Option<u64>,
    moves: u32,
    open_after_ms: u64,
}

impl Placement {
    /// Link address of the chosen shard.
    pub fn address(&self) -> Option<&Arc<str>> {
        self.at.as_ref()
    }

    /// When sessions are opened at the earliest.
    pub fn open_after_ms(&self) -> u64 {
        self.open_after_ms
    }

    /// When [`settle`](Self::settle) may decide differently through time alone.
    pub fn next_deadline_ms(&self, input: RoutingInput) -> Option<u64> {
        let down = |at: &Arc<str>| (input.link)(at) == LinkState::Down;
        let held = self.switched_ms.map(|ms| ms + FAILOVER_HOLD_DOWN_MS);
        let failover = held.filter(|_| self.at.as_ref().is_some_and(down));
        [failover, self.leave_by_ms]
            .into_iter()
            .flatten()
            .filter(|ms| *ms > input.now_ms)
            .min()
    }

    /// A session was opened: resets the delay of moves.
    pub fn confirm(&mut self) {
        self.moves = 0;
    }

    /// The shard `from` no longer has the room.
    pub fn moved(&mut self, owner: Option<&str>, input: RoutingInput) {
        let from = self.at.take();
        self.leave_by_ms = None;
        self.switched_ms = Some(input.now_ms);
        self.at = owner.map(Arc::from);
        if self.at.is_none() {
            self.avoid = from.map(|from| (from, input.now_ms + AVOID_MS));
        }
        self.moves += 1;
        self.open_after_ms = input.now_ms + move_delay_ms(self.moves);
    }

    /// Decides where the team is. `attached`: sessions are open at the current shard.
    pub fn settle(&mut self, team: &str, attached: bool, input: RoutingInput) {
        if input.table.version != self.table_version {
            self.table_version = input.table.version;
            self.follow_table(team, attached, input);
        }
        if self.leave_by_ms.is_some_and(|ms| ms <= input.now_ms) {
            self.leave_by_ms = None;
            self.at = None;
        }
        let down = |at: &Arc<str>| (input.link)(at) == LinkState::Down;
        match &self.at {
            None => self.at = self.choose(team, input),
            Some(at) if down(at) && !self.is_held(input) => {
                if let Some(next) = self.choose(team, input) {
                    self.at = Some(next);
                    self.switched_ms = Some(input.now_ms);
                    self.leave_by_ms = None;
                }
            }
            Some(_) => {}
        }
    }

    /// After a new table: a reachable owner hands the team off by itself; otherwise follow the table.
    fn follow_table(&mut self, team: &str, attached: bool, input: RoutingInput) {
        self.avoid = None;
        self.leave_by_ms = None;
        let first = input.table.first(team).map(|shard| &*shard.address);
        let Some(at) = &self.at else { return };
        if first == Some(&**at) {
            return;
        }
        match attached && (input.link)(at) == LinkState::Up {
            true => self.leave_by_ms = Some(input.now_ms + HANDOFF_WAIT_MS),
            false => self.at = None,
        }
    }

    fn is_held(&self, input: RoutingInput) -> bool {
        self.switched_ms
            .is_some_and(|ms| ms + FAILOVER_HOLD_DOWN_MS > input.now_ms)
    }

    /// The first shard in order of preference that is not down; an avoided one only if there is no other.
    fn choose(&self, team: &str, input: RoutingInput) -> Option<Arc<str>> {
        let reachable = || {
            let route = input.table.route(team).into_iter();
            route
                .map(|shard| &*shard.address)
                .filter(|address| (input.link)(address) != LinkState::Down)
        };
        let avoided = self.avoid.as_ref().filter(|(_, until)| *until > input.now_ms);
        let is_allowed = |address: &&str| avoided.is_none_or(|(avoid, _)| **avoid != **address);
        reachable()
            .find(is_allowed)
            .or_else(|| reachable().next())
            .map(Arc::from)
    }
}

fn move_delay_ms(moves: u32) -> u64 {
    match moves.checked_sub(FAST_MOVES_MAX) {
        None | Some(0) => 0,
        Some(slow) => (MOVE_DELAY_MS_MIN << slow.min(8)).min(MOVE_DELAY_MS_MAX),
    }
}

#[cfg(test)]
pub mod tests {
    use std::collections::BTreeMap;

    use poker_routing::{ShardRoute, ShardState};

    use super::*;

    pub fn table(version: u64, shards: u32) -> RoutingTable {
        let route = |id| ShardRoute {
            id,
            revision: "a".into(),
            address: format!("shard-{id}"),
            state: ShardState::Active,
            weight: 1,
        };
        RoutingTable {
            version,
            shards: (0..shards).map(route).collect(),
            ..RoutingTable::default()
        }
    }

    #[derive(Default)]
    struct Links(BTreeMap<String, LinkState>);

    impl Links {
        fn set(&mut self, address: &str, state: LinkState) {
            self.0.insert(address.to_owned(), state);
        }
        fn get(&self, address: &str) -> LinkState {
            self.0.get(address).copied().unwrap_or(LinkState::Up)
        }
    }

    fn settle(placement: &mut Placement, table: &RoutingTable, links: &Links, now_ms: u64) -> String {
        let link = |address: &str| links.get(address);
        let input = RoutingInput {
            now_ms,
            table,
            link: &link,
        };
        placement.settle("team", true, input);
        placement.address().map(ToString::to_string).unwrap_or_default()
    }

    fn moved(placement: &mut Placement, owner: Option<&str>, table: &RoutingTable, now_ms: u64) {
        let link = |_: &str| LinkState::Up;
        placement.moved(
            owner,
            RoutingInput {
                now_ms,
                table,
                link: &link,
            },
        );
    }

    fn order(table: &RoutingTable) -> Vec<String> {
        let route = table.route("team").into_iter();
        route.map(|shard| shard.address.clone()).collect()
    }

    #[test]
    fn the_first_reachable_shard_of_the_table_is_chosen() {
        let (table, mut links) = (table(1, 3), Links::default());
        let order = order(&table);
        assert_eq!(settle(&mut Placement::default(), &table, &links, 0), order[0]);
        links.set(&order[0], LinkState::Trying);
        assert_eq!(settle(&mut Placement::default(), &table, &links, 0), order[0]);
        links.set(&order[0], LinkState::Down);
        assert_eq!(settle(&mut Placement::default(), &table, &links, 0), order[1]);
    }

    #[test]
    fn without_a_table_there_is_no_shard() {
        let links = Links::default();
        let none = RoutingTable::default();
        assert_eq!(settle(&mut Placement::default(), &none, &links, 0), "");
    }

    #[test]
    fn a_failover_is_followed_by_a_hold_down() {
        let (table, mut links) = (table(1, 3), Links::default());
        let order = order(&table);
        let mut placement = Placement::default();
        settle(&mut placement, &table, &links, 0);
        links.set(&order[0], LinkState::Down);
        assert_eq!(settle(&mut placement, &table, &links, 1_000), order[1]);
        links.set(&order[0], LinkState::Up);
        assert_eq!(
            settle(&mut placement, &table, &links, 1_100),
            order[1],
            "rooms return with the next table only"
        );
        links.set(&order[1], LinkState::Down);
        assert_eq!(settle(&mut placement, &table, &links, 1_200), order[1]);
        assert_eq!(
            settle(&mut placement, &table, &links, 1_000 + FAILOVER_HOLD_DOWN_MS),
            order[0]
        );
    }

    #[test]
    fn a_named_owner_is_followed_until_the_next_table() {
        let (old, links) = (table(1, 3), Links::default());
        let order = order(&old);
        let mut placement = Placement::default();
        settle(&mut placement, &old, &links, 0);
        moved(&mut placement, Some("elsewhere"), &old, 10);
        assert_eq!(settle(&mut placement, &old, &links, 10), "elsewhere");
        let new = table(2, 3);
        assert_eq!(
            settle(&mut placement, &new, &links, 20),
            "elsewhere",
            "the owner hands the room off by itself"
        );
        assert_eq!(
            settle(&mut placement, &new, &links, 20 + HANDOFF_WAIT_MS),
            order[0]
        );
    }

    #[test]
    fn a_shard_that_released_the_team_is_avoided_if_there_are_others() {
        let links = Links::default();
        for shards in [1, 2] {
            let table = table(1, shards);
            let order = order(&table);
            let mut placement = Placement::default();
            settle(&mut placement, &table, &links, 0);
            moved(&mut placement, None, &table, 10);
            let last = &order[order.len() - 1];
            assert_eq!(&settle(&mut placement, &table, &links, 10), last);
        }
    }

    #[test]
    fn repeated_moves_slow_down() {
        let table = table(1, 2);
        let mut placement = Placement::default();
        let mut delays = Vec::new();
        for _ in 0..12 {
            moved(&mut placement, Some("a"), &table, 0);
            delays.push(placement.open_after_ms());
        }
        assert_eq!(delays[..3], [0, 0, 0]);
        assert!(delays.is_sorted());
        assert_eq!(delays[11], MOVE_DELAY_MS_MAX);
        placement.confirm();
        moved(&mut placement, Some("a"), &table, 7);
        assert_eq!(placement.open_after_ms(), 7);
    }
}
