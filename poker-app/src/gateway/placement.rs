//! Which shard a team's sessions are opened at. Pure: time, table and links are parameters.

use std::sync::Arc;

use poker_routing::RoutingTable;

use super::limits::{
    AVOID_MS, FAST_MOVES_MAX, HANDOVER_WAIT_MS, HOLD_DOWN_MS, MOVE_DELAY_MS_MAX, MOVE_DELAY_MS_MIN,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    Up,
    /// Not connected, for less than a second.
    Trying,
    /// Without an answer for a second or more.
    Down,
}

/// What a decision rests on besides the team's own state.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// Milliseconds on a clock that never goes back.
    pub now_ms: u64,
    pub table: &'a RoutingTable,
    /// State of the link to an address; `Trying` for one never used.
    pub link: &'a dyn Fn(&str) -> LinkState,
}

/// A team's shard as this gateway knows it.
#[derive(Debug, Default)]
pub struct Placement {
    at: Option<Arc<str>>,
    table_version: u64,
    /// The last time the team was taken elsewhere for want of a link, or by an owner.
    switched_ms: Option<u64>,
    /// A shard that gave the team up without a successor, and until when it is passed over.
    avoid: Option<(Arc<str>, u64)>,
    /// When to leave an owner that a newer table no longer names.
    leave_by_ms: Option<u64>,
    moves: u32,
    open_after_ms: u64,
}

impl Placement {
    /// Link address of the shard, if one is chosen.
    pub fn address(&self) -> Option<&Arc<str>> {
        self.at.as_ref()
    }

    /// Sessions are opened no sooner than this.
    pub fn open_after_ms(&self) -> u64 {
        self.open_after_ms
    }

    /// When [`settle`](Self::settle) may decide otherwise without anything else happening.
    pub fn next_deadline_ms(&self, world: World) -> Option<u64> {
        let down = |at: &Arc<str>| (world.link)(at) == LinkState::Down;
        let held = self.switched_ms.map(|ms| ms + HOLD_DOWN_MS);
        let failover = held.filter(|_| self.at.as_ref().is_some_and(down));
        [failover, self.leave_by_ms]
            .into_iter()
            .flatten()
            .filter(|ms| *ms > world.now_ms)
            .min()
    }

    /// A session was opened: moves are quick again.
    pub fn confirm(&mut self) {
        self.moves = 0;
    }

    /// The shard `from` no longer has the room.
    pub fn moved(&mut self, owner: Option<&str>, world: World) {
        let from = self.at.take();
        self.leave_by_ms = None;
        self.switched_ms = Some(world.now_ms);
        self.at = owner.map(Arc::from);
        if self.at.is_none() {
            self.avoid = from.map(|from| (from, world.now_ms + AVOID_MS));
        }
        self.moves += 1;
        self.open_after_ms = world.now_ms + move_delay_ms(self.moves);
    }

    /// Decides anew where the team is. `attached`: sessions are open there now.
    pub fn settle(&mut self, team: &str, attached: bool, world: World) {
        if world.table.version != self.table_version {
            self.table_version = world.table.version;
            self.follow_table(team, attached, world);
        }
        if self.leave_by_ms.is_some_and(|ms| ms <= world.now_ms) {
            self.leave_by_ms = None;
            self.at = None;
        }
        let down = |at: &Arc<str>| (world.link)(at) == LinkState::Down;
        match &self.at {
            None => self.at = self.choose(team, world),
            Some(at) if down(at) && !self.is_held(world) => {
                if let Some(next) = self.choose(team, world) {
                    self.at = Some(next);
                    self.switched_ms = Some(world.now_ms);
                    self.leave_by_ms = None;
                }
            }
            Some(_) => {}
        }
    }

    /// A new table: an owner that we talk to hands the team over itself; otherwise go where the table says.
    fn follow_table(&mut self, team: &str, attached: bool, world: World) {
        self.avoid = None;
        self.leave_by_ms = None;
        let first = world.table.route(team).first().map(|shard| &*shard.address);
        let Some(at) = &self.at else { return };
        if first == Some(&**at) {
            return;
        }
        match attached && (world.link)(at) == LinkState::Up {
            true => self.leave_by_ms = Some(world.now_ms + HANDOVER_WAIT_MS),
            false => self.at = None,
        }
    }

    fn is_held(&self, world: World) -> bool {
        self.switched_ms
            .is_some_and(|ms| ms + HOLD_DOWN_MS > world.now_ms)
    }

    /// The first shard in order of preference that may be reached; one to avoid only for want of others.
    fn choose(&self, team: &str, world: World) -> Option<Arc<str>> {
        let reachable = || {
            let route = world.table.route(team).into_iter();
            route
                .map(|shard| &*shard.address)
                .filter(|address| (world.link)(address) != LinkState::Down)
        };
        let avoided = self.avoid.as_ref().filter(|(_, until)| *until > world.now_ms);
        let welcome = |address: &&str| avoided.is_none_or(|(avoid, _)| **avoid != **address);
        reachable()
            .find(welcome)
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
        let world = World {
            now_ms,
            table,
            link: &link,
        };
        placement.settle("team", true, world);
        placement.address().map(ToString::to_string).unwrap_or_default()
    }

    fn moved(placement: &mut Placement, owner: Option<&str>, table: &RoutingTable, now_ms: u64) {
        let link = |_: &str| LinkState::Up;
        placement.moved(
            owner,
            World {
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
    fn without_a_table_or_a_link_there_is_no_place() {
        let links = Links::default();
        let none = RoutingTable::default();
        assert_eq!(settle(&mut Placement::default(), &none, &links, 0), "");
    }

    #[test]
    fn a_dead_link_is_left_once_and_then_held_down() {
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
            settle(&mut placement, &table, &links, 1_000 + HOLD_DOWN_MS),
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
            "the owner hands the room over itself"
        );
        assert_eq!(
            settle(&mut placement, &new, &links, 20 + HANDOVER_WAIT_MS),
            order[0]
        );
    }

    #[test]
    fn a_shard_that_gave_up_is_passed_over_while_there_are_others() {
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
    fn tossing_to_and_fro_slows_down() {
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
