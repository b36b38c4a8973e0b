//! A world of shards for tests: processes that become ready, follow tables and die, and one pass after another
//! with what must hold in each.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use poker_operator_api::ClusterNames;
use poker_routing::{RoutingTable, ShardRoute, ShardState};

use super::{Key, MembershipInput, MembershipStep, Seen, address, next};
use crate::limits::JOIN_DEADLINE_SECONDS;
use crate::observed::DrainStatus;

pub const DEADLINE_SECONDS: i64 = 60;
pub const GATEWAYS: u64 = 2;
pub const REVISIONS: [&str; 3] = ["aaaaaaaa", "bbbbbbbb", "cccccccc"];

/// A shard's process, as the world knows it and as membership may hear of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    ready: bool,
    ready_since: Option<Timestamp>,
    ever_ready: bool,
    pub links: u64,
    pub rooms: u64,
    /// The routing table it follows.
    follows: u64,
    /// Since when it has not been Active.
    out_since: Option<Timestamp>,
}

impl Process {
    pub fn become_ready(&mut self, now: Timestamp) {
        self.ready_since = self.ready_since.filter(|_| self.ready).or(Some(now));
        (self.ready, self.ever_ready) = (true, true);
    }

    pub fn die(&mut self) {
        (self.ready, self.ready_since, self.rooms, self.links) = (false, None, 0, 0);
    }
}

/// MembershipInput against a world of processes.
#[derive(Debug)]
pub struct World {
    pub names: ClusterNames,
    pub table: Option<RoutingTable>,
    floor: u64,
    pub desired: u32,
    pub revision: &'static str,
    pub processes: BTreeMap<Key, Process>,
    draining: BTreeMap<Key, Timestamp>,
    pub now: Timestamp,
    /// Entries of tables that had to be made before anything was ready.
    first: BTreeSet<Key>,
}

impl World {
    pub fn new(desired: u32) -> Self {
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

    pub fn next(&self) -> MembershipStep {
        let answering = self.processes.iter().filter(|(_, p)| p.ready);
        next(&MembershipInput {
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
                        DrainStatus {
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
    pub fn pass(&mut self) -> MembershipStep {
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

    fn check(&mut self, next: &MembershipStep) {
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

    pub fn process(&mut self, index: usize) -> Option<(&Key, &mut Process)> {
        let length = self.processes.len().max(1);
        self.processes.iter_mut().nth(index % length)
    }

    /// The process learns the newest table, takes rooms when it is Active, else hands over.
    pub fn follow(&mut self, index: usize) {
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

    pub fn settle(&mut self) {
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

pub fn running(desired: u32) -> World {
    let mut world = World::new(desired);
    world.pass();
    world.settle();
    world
}

pub fn set_ready(world: &mut World, key: (u32, &str), ready: bool) {
    let now = world.now;
    let process = world.processes.get_mut(&(key.0, key.1.to_owned())).unwrap();
    match ready {
        true => process.become_ready(now),
        false => process.die(),
    }
}

/// All gateways connect to a shard.
pub fn connect(world: &mut World, key: (u32, &str)) {
    world.processes.get_mut(&(key.0, key.1.to_owned())).unwrap().links = GATEWAYS;
}

pub fn state(world: &World, id: u32) -> Option<(String, ShardState)> {
    world
        .table
        .as_ref()?
        .shard(id)
        .map(|e| (e.revision.clone(), e.state))
}
