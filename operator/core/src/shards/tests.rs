use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use poker_operator_api::ClusterNames;
use poker_routing::{RoutingTable, ShardState};
use proptest::prelude::{
    Just, ProptestConfig, Strategy, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};

use super::*;

const DEADLINE_SECONDS: i64 = 60;
const GATEWAYS: u64 = 2;
const REVISIONS: [&str; 3] = ["aaaaaaaa", "bbbbbbbb", "cccccccc"];

/// A shard's process, as the world knows it and as membership may hear of it.
#[derive(Clone, Copy, Debug, Default)]
struct Process {
    ready: bool,
    ready_since: Option<Timestamp>,
    ever_ready: bool,
    links: u64,
    rooms: u64,
    /// The routing table it follows.
    follows: u64,
    /// Since when it has not been Active.
    out_since: Option<Timestamp>,
}

impl Process {
    fn become_ready(&mut self, now: Timestamp) {
        self.ready_since = self.ready_since.filter(|_| self.ready).or(Some(now));
        (self.ready, self.ever_ready) = (true, true);
    }

    fn die(&mut self) {
        (self.ready, self.ready_since, self.rooms, self.links) = (false, None, 0, 0);
    }
}

/// Membership against a world of processes.
#[derive(Debug)]
struct World {
    names: ClusterNames,
    table: Option<RoutingTable>,
    floor: u64,
    desired: u32,
    revision: &'static str,
    processes: BTreeMap<Key, Process>,
    draining: BTreeMap<Key, Timestamp>,
    now: Timestamp,
    /// Entries of tables that had to be made before anything was ready.
    first: BTreeSet<Key>,
}

impl World {
    fn new(desired: u32) -> Self {
        Self {
            names: ClusterNames::new("poker", "demo"),
            table: None,
            floor: 0,
            desired,
            revision: REVISIONS[0],
            processes: BTreeMap::new(),
            draining: BTreeMap::new(),
            now: Timestamp::UNIX_EPOCH,
            first: BTreeSet::new(),
        }
    }

    fn next(&self) -> Next {
        let answering = self.processes.iter().filter(|(_, p)| p.ready);
        next(&Membership {
            names: &self.names,
            table: self.table.as_ref(),
            version_floor: self.floor,
            desired: self.desired,
            revision: self.revision,
            pins: BTreeMap::new(),
            deployments: self
                .processes
                .iter()
                .map(|(k, p)| {
                    (
                        k.clone(),
                        Seen {
                            ready: p.ready,
                            ready_since: p.ready_since,
                            ever_ready: p.ever_ready,
                        },
                    )
                })
                .collect(),
            held: answering
                .map(|(k, p)| {
                    (
                        k.clone(),
                        Held {
                            held: p.rooms,
                            links: p.links,
                            routes_version: p.follows,
                        },
                    )
                })
                .collect(),
            gateways: GATEWAYS,
            draining: self.draining.clone(),
            deadline: SignedDuration::from_secs(DEADLINE_SECONDS),
            now: self.now,
        })
    }

    /// One pass of the operator, with what must hold in each.
    fn pass(&mut self) -> Next {
        let next = self.next();
        self.check(&next);
        let keys: BTreeSet<Key> = next
            .wanted
            .iter()
            .map(|id| (*id, self.revision.to_owned()))
            .chain(next.kept.clone())
            .collect();
        self.processes.retain(|key, _| !next.deleted.contains(key));
        for key in &keys {
            self.processes.entry(key.clone()).or_default();
        }
        assert_eq!(
            self.processes.keys().cloned().collect::<BTreeSet<_>>(),
            keys,
            "every deployment is accounted for"
        );
        for (key, process) in &mut self.processes {
            let active = next
                .table
                .shard(key.0)
                .is_some_and(|e| e.revision == key.1 && e.state == ShardState::Active);
            process.out_since = if active {
                None
            } else {
                process.out_since.or(Some(self.now))
            };
        }
        self.floor = self.floor.max(next.table.version);
        self.table = Some(next.table.clone());
        self.draining.clone_from(&next.draining);
        next
    }

    fn check(&mut self, next: &Next) {
        let keys = |t: &RoutingTable| {
            t.shards
                .iter()
                .map(|e| (e.id, e.revision.clone()))
                .collect::<BTreeSet<Key>>()
        };
        next.table.validate().unwrap();
        if self.table.is_none() {
            self.first.extend(keys(&next.table));
        }
        let old = self.table.clone();
        let same = old.as_ref() == Some(&next.table);
        assert!(
            same || next.table.version > self.floor,
            "a changed table has a higher version than any before"
        );
        assert!(
            next.table.shards.iter().any(|e| e.state == ShardState::Active),
            "somebody owns the teams"
        );
        for entry in &next.table.shards {
            let key = (entry.id, entry.revision.clone());
            let used = self.processes.get(&key).is_some_and(|p| p.ever_ready) || self.first.contains(&key);
            assert!(used, "{key:?} is in the table but was never ready");
            let process = self.processes.get(&key).copied().unwrap_or_default();
            let entered = old.is_some() && !old.as_ref().is_some_and(|t| keys(t).contains(&key));
            let waited = process
                .ready_since
                .is_none_or(|at| self.now.duration_since(at).as_secs() >= JOIN_DEADLINE_SECONDS);
            assert!(
                !entered || process.links >= GATEWAYS || waited,
                "{key:?} entered before the gateways had connected"
            );
            if entry.state == ShardState::Active && !self.first.contains(&key) {
                assert!(
                    self.processes.contains_key(&key) && !next.deleted.contains(&key),
                    "{key:?} has no deployment"
                );
            }
        }
        let old_keys = old.as_ref().map(keys).unwrap_or_default();
        for key in &next.deleted {
            assert!(
                !old_keys.contains(key) && !keys(&next.table).contains(key),
                "{key:?} is still in a table"
            );
            let process = self.processes[key];
            let overdue = process
                .out_since
                .is_some_and(|at| self.now.duration_since(at).as_secs() >= DEADLINE_SECONDS);
            assert!(
                process.rooms == 0 || overdue,
                "{key:?} is deleted with {} rooms",
                process.rooms
            );
        }
        let switched = |e: &&ShardRoute| {
            let before = old.as_ref().and_then(|t| t.shard(e.id));
            before.is_some_and(|b| {
                b.revision != e.revision
                    && self
                        .processes
                        .get(&(b.id, b.revision.clone()))
                        .is_some_and(|p| p.ready)
            })
        };
        assert!(
            next.table.shards.iter().filter(switched).count() <= 1,
            "serving shards are replaced one at a time"
        );
    }

    fn process(&mut self, index: usize) -> Option<(&Key, &mut Process)> {
        let length = self.processes.len().max(1);
        self.processes.iter_mut().nth(index % length)
    }

    /// The process learns the newest table, takes rooms when it is Active, else hands over.
    fn follow(&mut self, index: usize) {
        let Some(table) = self.table.clone() else { return };
        let Some((key, process)) = self.process(index) else {
            return;
        };
        if !process.ready {
            return;
        }
        process.follows = table.version;
        let address = address(&ClusterNames::new("poker", "demo"), key.0, &key.1);
        if table.addresses().any(|named| named == address) {
            process.links = GATEWAYS;
        }
        let active = table
            .shard(key.0)
            .is_some_and(|e| e.revision == key.1 && e.state == ShardState::Active);
        process.rooms = if active {
            5
        } else {
            process.rooms.saturating_sub(3)
        };
    }

    fn settle(&mut self) {
        for _ in 0..200 {
            for index in 0..self.processes.len() {
                if let Some((_, process)) = self.process(index) {
                    process.become_ready(Timestamp::UNIX_EPOCH);
                }
                self.follow(index);
            }
            self.now += SignedDuration::from_secs(1);
            self.pass();
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Desired(u32),
    Revision(usize),
    Ready(usize),
    Dies(usize),
    Follow(usize),
    Wait(i64),
    LoseTable,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1u32..6).prop_map(Step::Desired),
        2 => (0usize..REVISIONS.len()).prop_map(Step::Revision),
        8 => (0usize..16).prop_map(Step::Ready),
        2 => (0usize..16).prop_map(Step::Dies),
        8 => (0usize..16).prop_map(Step::Follow),
        2 => (1i64..90).prop_map(Step::Wait),
        1 => Just(Step::LoseTable),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_walk_is_safe_and_converges(start in 1u32..5, steps in prop::collection::vec(step(), 0..80)) {
        let mut world = World::new(start);
        world.pass();
        for step in steps {
            match step {
                Step::Desired(count) => world.desired = count,
                Step::Revision(index) => world.revision = REVISIONS[index],
                Step::Ready(index) => {
                    let now = world.now;
                    if let Some((_, p)) = world.process(index) { p.become_ready(now); }
                },
                Step::Dies(index) => if let Some((_, p)) = world.process(index) { p.die(); },
                Step::Follow(index) => world.follow(index),
                Step::Wait(seconds) => world.now += SignedDuration::from_secs(seconds),
                Step::LoseTable => world.table = None,
            }
            world.pass();
        }
        world.settle();
        let table = world.table.clone().unwrap();
        let expected: BTreeSet<Key> = (0..world.desired).map(|id| (id, world.revision.to_owned())).collect();
        prop_assert!(table.shards.iter().all(|e| e.state == ShardState::Active));
        prop_assert_eq!(table.shards.iter().map(|e| (e.id, e.revision.clone())).collect::<BTreeSet<_>>(), expected.clone());
        prop_assert_eq!(world.processes.keys().cloned().collect::<BTreeSet<_>>(), expected);
        prop_assert_eq!(world.next().table, table, "and then rests");
    }

    #[test]
    fn scaling_out_and_in_again_ends_where_it_began(low in 1u32..4, more in 1u32..4) {
        let mut world = World::new(low);
        world.pass();
        world.settle();
        let before = world.table.clone().unwrap();
        world.desired = low + more;
        world.settle();
        world.desired = low;
        world.settle();
        let after = world.table.clone().unwrap();
        prop_assert_eq!(before.shards, after.shards);
        prop_assert!(after.version > before.version);
    }
}

fn running(desired: u32) -> World {
    let mut world = World::new(desired);
    world.pass();
    world.settle();
    world
}

fn set_ready(world: &mut World, key: (u32, &str), ready: bool) {
    let now = world.now;
    let process = world.processes.get_mut(&(key.0, key.1.to_owned())).unwrap();
    match ready {
        true => process.become_ready(now),
        false => process.die(),
    }
}

/// All gateways connect to a shard.
fn connect(world: &mut World, key: (u32, &str)) {
    world.processes.get_mut(&(key.0, key.1.to_owned())).unwrap().links = GATEWAYS;
}

fn state(world: &World, id: u32) -> Option<(String, ShardState)> {
    world
        .table
        .as_ref()?
        .shard(id)
        .map(|e| (e.revision.clone(), e.state))
}

#[test]
fn a_new_shard_gets_teams_when_it_is_ready_and_all_gateways_are_connected() {
    let mut world = running(2);
    world.desired = 3;
    world.pass();
    world.pass();
    assert_eq!(state(&world, 2), None);
    set_ready(&mut world, (2, REVISIONS[0]), true);
    world.pass();
    assert_eq!(state(&world, 2), None);
    let joining = world.table.as_ref().unwrap().joining.clone();
    assert_eq!(joining, [address(&world.names, 2, REVISIONS[0])]);
    connect(&mut world, (2, REVISIONS[0]));
    world.pass();
    assert_eq!(
        state(&world, 2),
        Some((REVISIONS[0].to_owned(), ShardState::Active))
    );
    assert!(world.table.unwrap().joining.is_empty());
}

#[test]
fn a_gateway_that_does_not_connect_delays_a_new_shard_only_for_some_time() {
    let mut world = running(2);
    world.desired = 3;
    world.pass();
    set_ready(&mut world, (2, REVISIONS[0]), true);
    world.now += SignedDuration::from_secs(JOIN_DEADLINE_SECONDS - 1);
    world.pass();
    assert_eq!(state(&world, 2), None);
    world.now += SignedDuration::from_secs(1);
    world.pass();
    assert!(state(&world, 2).is_some());
}

#[test]
fn a_cluster_made_anew_begins_with_a_later_version() {
    let first = running(2).table.unwrap();
    let mut again = World::new(2);
    again.now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
    again.pass();
    assert!(again.table.unwrap().version > first.version);
}

#[test]
fn a_shard_that_dies_changes_nothing() {
    let mut world = running(3);
    let before = world.table.clone();
    set_ready(&mut world, (1, REVISIONS[0]), false);
    let next = world.pass();
    assert_eq!(world.table, before);
    assert!(next.deleted.is_empty() && next.draining.is_empty());
}

#[test]
fn a_surplus_shard_is_deleted_when_it_is_empty_and_follows_the_table_without_it() {
    let mut world = running(2);
    world.desired = 1;
    world.pass();
    assert_eq!(
        state(&world, 1),
        Some((REVISIONS[0].to_owned(), ShardState::Draining))
    );
    world
        .processes
        .get_mut(&(1, REVISIONS[0].to_owned()))
        .unwrap()
        .rooms = 0;
    world.pass();
    assert!(
        state(&world, 1).is_some(),
        "empty, but it does not know the table yet"
    );
    world.follow(1);
    world.pass();
    assert_eq!(state(&world, 1), None);
    assert_eq!(world.processes.len(), 2, "not in the pass that changed the table");
    world.follow(1);
    let next = world.pass();
    assert_eq!((next.deleted.len(), world.processes.len()), (1, 1));
}

#[test]
fn a_shard_that_holds_on_is_deleted_at_the_deadline() {
    let mut world = running(2);
    world.desired = 1;
    world.pass();
    world.now += SignedDuration::from_secs(DEADLINE_SECONDS - 1);
    world.pass();
    assert!(state(&world, 1).is_some());
    world.now += SignedDuration::from_secs(1);
    world.pass();
    let next = world.pass();
    assert_eq!(next.deleted.len(), 1);
}

#[test]
fn a_draining_shard_that_is_wanted_again_stays() {
    let mut world = running(2);
    world.desired = 1;
    world.pass();
    world.desired = 2;
    let next = world.pass();
    assert_eq!(
        state(&world, 1),
        Some((REVISIONS[0].to_owned(), ShardState::Active))
    );
    assert!(next.draining.is_empty());
}

#[test]
fn a_new_version_replaces_shard_after_shard() {
    let mut world = running(2);
    world.revision = REVISIONS[1];
    world.pass();
    assert_eq!(world.processes.len(), 3, "one new shard is made");
    set_ready(&mut world, (0, REVISIONS[1]), true);
    connect(&mut world, (0, REVISIONS[1]));
    world.pass();
    assert_eq!(state(&world, 0).unwrap().0, REVISIONS[1]);
    world.pass();
    assert_eq!(
        world.processes.len(),
        3,
        "the next one waits until the old one handed over"
    );
    world.follow(0);
    world.follow(0);
    world.pass();
    assert!(!world.processes.contains_key(&(0, REVISIONS[0].to_owned())));
    world.pass();
    assert!(
        world.processes.contains_key(&(1, REVISIONS[1].to_owned())),
        "then the next one is made"
    );
}

#[test]
fn going_back_in_the_middle_deletes_what_never_served_and_replaces_what_did() {
    let mut world = running(2);
    world.revision = REVISIONS[1];
    world.pass();
    world.revision = REVISIONS[0];
    let before = world.table.clone();
    let next = world.pass();
    assert_eq!(next.deleted, BTreeSet::from([(0, REVISIONS[1].to_owned())]));
    assert_eq!(world.table, before, "nobody moved");
    world.settle();
    assert_eq!(world.processes.len(), 2);
}

#[test]
fn a_broken_version_never_gets_a_team() {
    let mut world = running(3);
    let before = world.table.clone();
    world.revision = REVISIONS[1];
    for _ in 0..10 {
        world.now += SignedDuration::from_secs(600);
        world.pass();
    }
    assert_eq!(world.table, before);
    assert_eq!(world.processes.len(), 4);
}

#[test]
fn an_edited_table_is_put_right_and_a_lost_one_made_anew_with_a_higher_version() {
    let mut world = running(2);
    let before = world.table.clone().unwrap();
    world.table.as_mut().unwrap().shards[0].address = "elsewhere:7000".to_owned();
    world.pass();
    assert_eq!(world.table.as_ref().unwrap().shards, before.shards);
    world.table = None;
    world.pass();
    let table = world.table.clone().unwrap();
    assert_eq!(table.shards, before.shards);
    assert!(table.version > before.version + 1);
}
