//! A simulation for tests: shard processes that become ready, update their tables and crash, and reconciles whose
//! invariants are checked.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use poker_operator_api::ClusterNames;
use poker_routing::{RoutingTable, ShardRoute, ShardState};

use super::{MembershipInput, MembershipStep, ShardDeployment, ShardKey, address, next};
use crate::limits::JOIN_DEADLINE_SECONDS;
use crate::observed::DrainStatus;

pub const DEADLINE_SECONDS: i64 = 60;
pub const GATEWAYS: u64 = 2;
pub const REVISIONS: [&str; 3] = ["aaaaaaaa", "bbbbbbbb", "cccccccc"];

/// The process of a shard.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    ready: bool,
    ready_since: Option<Timestamp>,
    ever_ready: bool,
    pub gateway_links: u64,
    pub rooms: u64,
    /// The version of its routing table.
    routes_version: u64,
    /// Since when it has not been active.
    inactive_since: Option<Timestamp>,
}

impl Process {
    pub fn become_ready(&mut self, now: Timestamp) {
        self.ready_since = self.ready_since.filter(|_| self.ready).or(Some(now));
        (self.ready, self.ever_ready) = (true, true);
    }

    pub fn crash(&mut self) {
        (self.ready, self.ready_since, self.rooms, self.gateway_links) = (false, None, 0, 0);
    }
}

#[derive(Debug)]
pub struct Simulation {
    pub names: ClusterNames,
    pub table: Option<RoutingTable>,
    floor: u64,
    pub desired: u32,
    pub revision: &'static str,
    pub processes: BTreeMap<ShardKey, Process>,
    draining: BTreeMap<ShardKey, Timestamp>,
    pub now: Timestamp,
    /// The entries of tables that were written before any shard was ready.
    first: BTreeSet<ShardKey>,
}

impl Simulation {
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
                        ShardDeployment {
                            ready: p.ready,
                            ready_since: p.ready_since,
                            ever_ready: p.ever_ready,
                        },
                    )
                })
                .collect(),
            drain_statuses: answering
                .map(|(k, p)| {
                    (
                        k.clone(),
                        DrainStatus {
                            active: p.rooms,
                            gateway_links: p.gateway_links,
                            routes_version: p.routes_version,
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

    /// Reconciles once, checks the invariants, and returns the deleted Deployments with the step.
    pub fn reconcile(&mut self) -> (MembershipStep, BTreeSet<ShardKey>) {
        let next = self.next();
        let keys: BTreeSet<ShardKey> = next.desired.union(&next.kept).cloned().collect();
        let is_orphan = |key: &&ShardKey| !keys.contains(*key);
        let deleted: BTreeSet<ShardKey> = self.processes.keys().filter(is_orphan).cloned().collect();
        self.check(&next, &deleted);
        self.processes.retain(|key, _| keys.contains(key));
        for key in &keys {
            self.processes.entry(key.clone()).or_default();
        }
        for (key, process) in &mut self.processes {
            let active = next
                .table
                .shard(key.0)
                .is_some_and(|e| e.revision == key.1 && e.state == ShardState::Active);
            process.inactive_since = if active {
                None
            } else {
                process.inactive_since.or(Some(self.now))
            };
        }
        self.floor = self.floor.max(next.table.version);
        self.table = Some(next.table.clone());
        self.draining.clone_from(&next.draining);
        (next, deleted)
    }

    fn check(&mut self, next: &MembershipStep, deleted: &BTreeSet<ShardKey>) {
        let keys = |t: &RoutingTable| {
            t.shards
                .iter()
                .map(|e| (e.id, e.revision.clone()))
                .collect::<BTreeSet<ShardKey>>()
        };
        next.table.validate().unwrap();
        if self.table.is_none() {
            self.first.extend(keys(&next.table));
        }
        let old = self.table.clone();
        let same = old.as_ref() == Some(&next.table);
        assert!(
            same || next.table.version > self.floor,
            "a changed table has a higher version than all before"
        );
        assert!(
            next.table.shards.iter().any(|e| e.state == ShardState::Active),
            "at least one shard is active"
        );
        for entry in &next.table.shards {
            let key = (entry.id, entry.revision.clone());
            let used = self.processes.get(&key).is_some_and(|p| p.ever_ready) || self.first.contains(&key);
            assert!(used, "{key:?} is in the table but was never ready");
            let process = self.processes.get(&key).copied().unwrap_or_default();
            let joined = old.is_some() && !old.as_ref().is_some_and(|t| keys(t).contains(&key));
            let deadline_passed = process
                .ready_since
                .is_none_or(|at| self.now.duration_since(at).as_secs() >= JOIN_DEADLINE_SECONDS);
            assert!(
                !joined || process.gateway_links >= GATEWAYS || deadline_passed,
                "{key:?} joined before the gateways had connected"
            );
            if entry.state == ShardState::Active && !self.first.contains(&key) {
                assert!(
                    self.processes.contains_key(&key) && !deleted.contains(&key),
                    "{key:?} has no Deployment"
                );
            }
        }
        let old_keys = old.as_ref().map(keys).unwrap_or_default();
        for key in deleted {
            assert!(
                !old_keys.contains(key) && !keys(&next.table).contains(key),
                "{key:?} is still in a table"
            );
            let process = self.processes[key];
            let overdue = process
                .inactive_since
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
            "ready shards are replaced one at a time"
        );
    }

    pub fn process(&mut self, index: usize) -> Option<(&ShardKey, &mut Process)> {
        let length = self.processes.len().max(1);
        self.processes.iter_mut().nth(index % length)
    }

    /// The process gets the newest table. It opens rooms if it is active and hands them over otherwise.
    pub fn update_table(&mut self, index: usize) {
        let Some(table) = self.table.clone() else { return };
        let Some((key, process)) = self.process(index) else {
            return;
        };
        if !process.ready {
            return;
        }
        process.routes_version = table.version;
        let address = address(&ClusterNames::new("poker", "demo"), key.0, &key.1);
        if table.addresses().any(|named| named == address) {
            process.gateway_links = GATEWAYS;
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
                self.update_table(index);
            }
            self.now += SignedDuration::from_secs(1);
            self.reconcile();
        }
    }
}

pub fn running(desired: u32) -> Simulation {
    let mut simulation = Simulation::new(desired);
    simulation.reconcile();
    simulation.settle();
    simulation
}

pub fn set_ready(simulation: &mut Simulation, key: (u32, &str), ready: bool) {
    let now = simulation.now;
    let process = simulation.processes.get_mut(&(key.0, key.1.to_owned())).unwrap();
    match ready {
        true => process.become_ready(now),
        false => process.crash(),
    }
}

/// All gateways connect to a shard.
pub fn connect(simulation: &mut Simulation, key: (u32, &str)) {
    simulation
        .processes
        .get_mut(&(key.0, key.1.to_owned()))
        .unwrap()
        .gateway_links = GATEWAYS;
}

pub fn state(simulation: &Simulation, id: u32) -> Option<(String, ShardState)> {
    simulation
        .table
        .as_ref()?
        .shard(id)
        .map(|e| (e.revision.clone(), e.state))
}
