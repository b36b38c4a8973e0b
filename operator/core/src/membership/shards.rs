//! Shard membership: the next routing table, and the Deployments of shards.
//!
//! Rules:
//! - A shard joins the table once it is ready and the gateways have connected to it, so that no team waits for a
//!   connection.
//! - A shard that is no longer needed first drains: its entry becomes Draining, or another revision replaces it. It leaves
//!   the table once it is empty. A later reconcile deletes its Deployment, never the one that changed the table.
//! - A rollout replaces one shard after another.
//! - Until a shard of the desired revision was ready, new shards are of the revision that serves.
//! - A shard that is not ready changes nothing. Its Deployment restarts it, and meanwhile the gateways use the next shard.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use poker_operator_api::ClusterNames;
use poker_routing::{RoutingTable, ShardRoute, ShardState, Strategy};

use crate::limits::{JOIN_DEADLINE_SECONDS, PORT_LINK};
use crate::observed::DrainStatus;

/// Shard number and revision, which identify the Deployment of a shard.
pub type ShardKey = (u32, String);

/// The observed Deployment of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardDeployment {
    pub ready: bool,
    /// When it became ready, if the Deployment reports it.
    pub ready_since: Option<Timestamp>,
    /// Whether it was ever ready. Only then can it have rooms.
    pub ever_ready: bool,
}

/// The inputs of a step.
#[derive(Clone, Debug)]
pub struct MembershipInput<'a> {
    pub names: &'a ClusterNames,
    /// The current table. `None` before the first one, or if it was deleted or is unreadable.
    pub table: Option<&'a RoutingTable>,
    /// The highest version in the status.
    pub version_floor: u64,
    /// The desired number of shards. At least 1.
    pub desired: u32,
    pub revision: &'a str,
    pub pins: BTreeMap<String, u32>,
    pub deployments: BTreeMap<ShardKey, ShardDeployment>,
    pub drain_statuses: BTreeMap<ShardKey, DrainStatus>,
    /// The number of gateways that must be connected to a shard before it joins the table.
    pub gateways: u64,
    pub draining: BTreeMap<ShardKey, Timestamp>,
    pub deadline: SignedDuration,
    pub now: Timestamp,
}

/// The next step of membership.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MembershipStep {
    pub table: RoutingTable,
    /// Deployments to apply: all active shards, and new ones.
    pub desired: BTreeSet<ShardKey>,
    /// Other Deployments that stay. All the rest are orphans.
    pub kept: BTreeSet<ShardKey>,
    /// Deployments that drain, with the time at which they started.
    pub draining: BTreeMap<ShardKey, Timestamp>,
}

/// The link address of a shard in the table.
pub fn address(names: &ClusterNames, id: u32, revision: &str) -> String {
    format!("{}:{PORT_LINK}", names.host(&names.shard(id, revision)))
}

/// Plans the next step of membership.
pub fn next(membership: &MembershipInput) -> MembershipStep {
    let mut entries = membership.current_entries();
    membership.revive_and_add(&mut entries);
    let replacing = membership.replace(&mut entries);
    membership.drain_surplus(&mut entries);
    membership.remove_drained(&mut entries);
    let joining = membership.joining(&entries, &replacing);
    let table = membership.table_of(entries, joining);
    let mut next = MembershipStep {
        desired: membership.desired_shards(&table, &replacing),
        table,
        ..MembershipStep::default()
    };
    for (key, deployment) in &membership.deployments {
        membership.classify(key, *deployment, &mut next);
    }
    next
}

type Entries = BTreeMap<u32, ShardRoute>;

impl MembershipInput<'_> {
    fn targets(&self) -> std::ops::Range<u32> {
        0..self.desired.max(1)
    }

    fn entry(&self, id: u32, revision: &str) -> ShardRoute {
        ShardRoute {
            id,
            revision: revision.to_owned(),
            address: address(self.names, id, revision),
            state: ShardState::Active,
            weight: 1,
        }
    }

    fn deployment(&self, id: u32, revision: &str) -> Option<ShardDeployment> {
        self.deployments.get(&(id, revision.to_owned())).copied()
    }

    fn is_ready(&self, id: u32, revision: &str) -> bool {
        self.deployment(id, revision).is_some_and(|d| d.ready)
    }

    /// Whether a shard of the revision was ever ready.
    fn ever_ran(&self, revision: &str) -> bool {
        let mut deployments = self.deployments.iter();
        deployments.any(|((_, r), d)| r == revision && (d.ready || d.ever_ready))
    }

    /// The revision of shards without an entry in the table: the desired one once a shard of it was ready, before that
    /// the one that most of the active shards run.
    fn revision_of_new(&self) -> &str {
        if self.ever_ran(self.revision) {
            return self.revision;
        }
        let entries = self.table.iter().flat_map(|table| &table.shards);
        let active = entries.filter(|entry| entry.state == ShardState::Active);
        let mut counts = BTreeMap::<&str, usize>::new();
        for entry in active.filter(|entry| self.ever_ran(&entry.revision)) {
            *counts.entry(&entry.revision).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        most.map_or(self.revision, |(revision, _)| revision)
    }

    /// Whether a shard can join the table: all gateways are connected to it, or the deadline passed.
    fn can_join(&self, id: u32, revision: &str) -> bool {
        let key = (id, revision.to_owned());
        let Some(deployment) = self.deployments.get(&key).filter(|d| d.ready) else {
            return false;
        };
        let status = self.drain_statuses.get(&key);
        let is_connected = status.is_some_and(|s| s.gateway_links >= self.gateways);
        let deadline_passed = |at: Timestamp| self.now.duration_since(at).as_secs() >= JOIN_DEADLINE_SECONDS;
        self.gateways == 0 || is_connected || deployment.ready_since.is_none_or(deadline_passed)
    }

    /// The addresses of joining shards: they are ready and wait for gateways to connect.
    fn joining(&self, entries: &Entries, replacing: &BTreeSet<u32>) -> Vec<String> {
        let of_new = self.revision_of_new();
        let joining = self.targets().filter_map(|id| {
            let revision = match entries.get(&id) {
                None => of_new,
                Some(entry) if replacing.contains(&id) && entry.revision != self.revision => self.revision,
                Some(_) => return None,
            };
            self.is_ready(id, revision)
                .then(|| address(self.names, id, revision))
        });
        joining.collect()
    }

    /// The entries of the table, or the first ones: those that a deleted table most likely had.
    fn current_entries(&self) -> Entries {
        if let Some(table) = self.table {
            // Restores all but number, revision and state, in case the table was edited.
            let entry = |s: &ShardRoute| ShardRoute {
                state: s.state,
                ..self.entry(s.id, &s.revision)
            };
            return table.shards.iter().map(|s| (s.id, entry(s))).collect();
        }
        let first = self.targets().map(|id| {
            let running = self
                .deployments
                .iter()
                .find(|((i, _), deployment)| *i == id && deployment.ready);
            match running {
                Some(((_, revision), _)) if !self.is_ready(id, self.revision) => self.entry(id, revision),
                _ => self.entry(id, self.revision),
            }
        });
        first.map(|entry| (entry.id, entry)).collect()
    }

    /// Stops draining shards that are needed again, and adds new shards that can join.
    fn revive_and_add(&self, entries: &mut Entries) {
        let revision = self.revision_of_new();
        for id in self.targets() {
            match entries.get_mut(&id) {
                Some(entry) if entry.state == ShardState::Draining => {
                    if self.deployment(id, &entry.revision).is_some() {
                        entry.state = ShardState::Active;
                    } else if self.is_ready(id, revision) {
                        *entry = self.entry(id, revision);
                    }
                }
                Some(_) => {}
                None if self.can_join(id, revision) => {
                    entries.insert(id, self.entry(id, revision));
                }
                None => {}
            }
        }
    }

    /// Switches at most one entry to the desired revision. Returns the shards to start with that revision.
    fn replace(&self, entries: &mut Entries) -> BTreeSet<u32> {
        let old: Vec<(u32, bool)> = self
            .targets()
            .filter_map(|id| entries.get(&id))
            .filter(|entry| entry.revision != self.revision)
            .map(|entry| (entry.id, self.is_ready(entry.id, &entry.revision)))
            .collect();
        // Shards that are not ready need not wait for each other.
        let broken = old.iter().filter(|(_, serving)| !serving).map(|(id, _)| *id);
        let mut preparing: BTreeSet<u32> = broken.collect();
        let is_started = |id: &u32| self.deployment(*id, self.revision).is_some();
        let serving = || old.iter().filter(|(_, serving)| *serving).map(|(id, _)| *id);
        let in_flight = self.is_replaced_one_draining(entries);
        if let Some(id) = serving()
            .find(is_started)
            .or_else(|| serving().next().filter(|_| !in_flight))
        {
            preparing.insert(id);
        }
        let can_join = |id: &&u32| self.can_join(**id, self.revision);
        let serves = |id: u32| old.contains(&(id, true));
        let switch = preparing
            .iter()
            .filter(can_join)
            .find(|id| !in_flight || !serves(**id))
            .copied();
        if let Some(id) = switch {
            entries.insert(id, self.entry(id, self.revision));
        }
        preparing
    }

    /// Whether a replaced shard still drains.
    fn is_replaced_one_draining(&self, entries: &Entries) -> bool {
        self.deployments.iter().any(|((id, revision), deployment)| {
            let replaced = entries
                .get(id)
                .is_some_and(|e| e.revision == self.revision && *revision != self.revision);
            replaced && (deployment.ever_ready || deployment.ready)
        })
    }

    fn drain_surplus(&self, entries: &mut Entries) {
        let surplus: Vec<u32> = entries
            .keys()
            .rev()
            .filter(|id| !self.targets().contains(id))
            .copied()
            .collect();
        for id in surplus {
            let others = entries
                .values()
                .any(|e| e.id != id && e.state == ShardState::Active);
            if let Some(entry) = entries.get_mut(&id).filter(|_| others) {
                entry.state = ShardState::Draining;
            }
        }
    }

    /// Removes entries that are drained, or whose deadline passed.
    fn remove_drained(&self, entries: &mut Entries) {
        let was_draining = |id: &u32| {
            let entry = self.table.and_then(|t| t.shard(*id));
            entry.is_some_and(|e| e.state == ShardState::Draining)
        };
        entries.retain(|id, entry| {
            let key = (*id, entry.revision.clone());
            let is_draining = self.deployments.contains_key(&key) && !self.is_drained(&key);
            entry.state == ShardState::Active || !was_draining(id) || is_draining
        });
    }

    /// Whether a shard has no rooms left, or its deadline passed. A shard counts as empty only once it uses the current
    /// table, because with an older one it may still receive rooms.
    fn is_drained(&self, key: &ShardKey) -> bool {
        let version = self.table.map_or(0, |t| t.version);
        let is_empty = |s: &DrainStatus| s.active == 0 && s.routes_version >= version;
        let deadline_passed = |at: &Timestamp| self.now.duration_since(*at) >= self.deadline;
        self.drain_statuses.get(key).is_some_and(is_empty)
            || self.draining.get(key).is_some_and(deadline_passed)
    }

    fn table_of(&self, entries: Entries, joining: Vec<String>) -> RoutingTable {
        let shards: Vec<ShardRoute> = entries.into_values().collect();
        let mut table = RoutingTable {
            version: 0,
            shards,
            strategy: Strategy::Rendezvous,
            pins: self.pins.clone(),
            joining,
        };
        // A Redis may outlive the cluster or its status, and its rooms store the versions of that time. The first
        // table must have a higher version.
        let first = u64::try_from(self.now.as_second()).unwrap_or_default();
        let current = self.table.map_or(first, |t| t.version);
        table.version = current;
        if self.table != Some(&table) || current < self.version_floor {
            table.version = current.max(self.version_floor) + 1;
        }
        table
    }

    /// The active shards, the new ones, and those of the desired revision that replace another.
    fn desired_shards(&self, table: &RoutingTable, replacing: &BTreeSet<u32>) -> BTreeSet<ShardKey> {
        let active = table.shards.iter().filter(|e| e.state == ShardState::Active);
        let active = active.map(|e| (e.id, e.revision.clone()));
        let is_new = |id: &u32| table.shard(*id).is_none();
        let of_new = self.revision_of_new();
        let new = self.targets().filter(is_new).map(|id| (id, of_new.to_owned()));
        let replacing = replacing.iter().map(|id| (*id, self.revision.to_owned()));
        active.chain(new).chain(replacing).collect()
    }

    /// Classifies an existing Deployment: desired, kept, draining or, without an entry in `next`, an orphan.
    fn classify(&self, key: &ShardKey, deployment: ShardDeployment, next: &mut MembershipStep) {
        let entry = |table: &RoutingTable| {
            table
                .shard(key.0)
                .filter(|e| e.revision == key.1)
                .map(|e| e.state)
        };
        let (was, becomes) = (self.table.and_then(entry), entry(&next.table));
        if next.desired.contains(key) {
            return;
        }
        let is_outside = was.is_none() && becomes.is_none();
        let has_rooms = self.drain_statuses.get(key).is_some_and(|s| s.active > 0);
        let never_used = !deployment.ready && !deployment.ever_ready && !has_rooms;
        if is_outside && (never_used || self.is_drained(key)) {
            return;
        }
        next.kept.insert(key.clone());
        let since = self.draining.get(key).copied().unwrap_or(self.now);
        next.draining.insert(key.clone(), since);
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
