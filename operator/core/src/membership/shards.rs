//! Shard membership: from the routing table as it is to the next one, and to the Deployments.
//!
//! Rules. A shard enters the table when it is ready and the gateways have connected to it, so that no
//! team waits for a connection. One that must go is first marked Draining (or
//! replaced in its entry), leaves the table when it holds nothing, and its Deployment is deleted in
//! a later pass: never in the pass that changed the table. A new revision replaces shard after
//! shard. A shard that dies changes nothing: its Deployment brings it back, and until then the
//! gateways ask the next shard.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use poker_operator_api::ClusterNames;
use poker_routing::{RoutingTable, ShardRoute, ShardState, Strategy};

use crate::limits::{JOIN_DEADLINE_SECONDS, PORT_LINK};
use crate::observed::DrainStatus;

/// Shard number and revision: what names a shard's Deployment.
pub type Key = (u32, String);

/// A shard's Deployment as it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub ready: bool,
    /// Since when, as far as the Deployment says.
    pub ready_since: Option<Timestamp>,
    /// Was ready once; only such a shard can have got rooms.
    pub ever_ready: bool,
}

/// Everything membership depends on.
#[derive(Clone, Debug)]
pub struct MembershipInput<'a> {
    pub names: &'a ClusterNames,
    /// The table in use; `None` before the first one, or when it was lost or made unreadable.
    pub table: Option<&'a RoutingTable>,
    /// The highest version ever written, as far as the status knows.
    pub version_floor: u64,
    /// How many shards there should be; at least 1.
    pub desired: u32,
    pub revision: &'a str,
    pub pins: BTreeMap<String, u32>,
    pub deployments: BTreeMap<Key, Seen>,
    pub held: BTreeMap<Key, DrainStatus>,
    /// Gateways that should be connected to a shard before it enters the table.
    pub gateways: u64,
    pub draining: BTreeMap<Key, Timestamp>,
    pub deadline: SignedDuration,
    pub now: Timestamp,
}

/// What should be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MembershipStep {
    pub table: RoutingTable,
    /// Deployments of the wanted revision to apply.
    pub wanted: BTreeSet<u32>,
    /// Deployments to leave as they are.
    pub kept: BTreeSet<Key>,
    /// Deployments to delete.
    pub deleted: BTreeSet<Key>,
    /// Deployments on their way out, and since when.
    pub draining: BTreeMap<Key, Timestamp>,
}

/// The link address of a shard, as in the table.
pub fn address(names: &ClusterNames, id: u32, revision: &str) -> String {
    format!("{}:{PORT_LINK}", names.host(&names.shard(id, revision)))
}

/// The next step of membership.
pub fn next(membership: &MembershipInput) -> MembershipStep {
    let mut entries = membership.current_entries();
    membership.revive_and_add(&mut entries);
    let replacing = membership.replace(&mut entries);
    membership.drain_surplus(&mut entries);
    membership.remove_drained(&mut entries);
    let joining = membership.joining(&entries, &replacing);
    let table = membership.table_of(entries, joining);
    let mut next = MembershipStep {
        wanted: membership.wanted(&table, &replacing),
        table,
        ..MembershipStep::default()
    };
    for (key, seen) in &membership.deployments {
        membership.dispose(key, *seen, &mut next);
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

    fn seen(&self, id: u32, revision: &str) -> Option<Seen> {
        self.deployments.get(&(id, revision.to_owned())).copied()
    }

    fn is_ready(&self, id: u32, revision: &str) -> bool {
        self.seen(id, revision).is_some_and(|s| s.ready)
    }

    /// Whether teams may move to a shard of the wanted revision: all gateways are connected to it, or
    /// had their time to.
    fn may_enter(&self, id: u32) -> bool {
        let key = (id, self.revision.to_owned());
        let Some(seen) = self.deployments.get(&key).filter(|s| s.ready) else {
            return false;
        };
        let connected = self.held.get(&key).is_some_and(|h| h.links >= self.gateways);
        let had_its_time = |at: Timestamp| self.now.duration_since(at).as_secs() >= JOIN_DEADLINE_SECONDS;
        self.gateways == 0 || connected || seen.ready_since.is_none_or(had_its_time)
    }

    /// Addresses of shards that are ready and wait for gateways to connect.
    fn joining(&self, entries: &Entries, replacing: &BTreeSet<u32>) -> Vec<String> {
        let is_new = |id: &u32| !entries.contains_key(id) || replacing.contains(id);
        let waits = |id: &u32| {
            let entered = entries.get(id).is_some_and(|e| e.revision == self.revision);
            is_new(id) && !entered && self.is_ready(*id, self.revision)
        };
        let joining = self.targets().filter(waits);
        joining.map(|id| address(self.names, id, self.revision)).collect()
    }

    /// The entries of the table, or the first ones: those a lost table most likely had.
    fn current_entries(&self) -> Entries {
        if let Some(table) = self.table {
            // Only slot, revision and state are kept: whatever else was edited is put right.
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
                .find(|((i, _), seen)| *i == id && seen.ready);
            let wanted = self.seen(id, self.revision);
            match (wanted, running) {
                (None | Some(Seen { ready: false, .. }), Some(((_, revision), _))) => {
                    self.entry(id, revision)
                }
                _ => self.entry(id, self.revision),
            }
        });
        first.map(|entry| (entry.id, entry)).collect()
    }

    /// Shards that are wanted again stop draining; new ones enter when they are ready.
    fn revive_and_add(&self, entries: &mut Entries) {
        for id in self.targets() {
            match entries.get_mut(&id) {
                Some(entry) if entry.state == ShardState::Draining => {
                    if self.seen(id, &entry.revision).is_some() {
                        entry.state = ShardState::Active;
                    } else if self.is_ready(id, self.revision) {
                        *entry = self.entry(id, self.revision);
                    }
                }
                Some(_) => {}
                None if self.may_enter(id) => {
                    entries.insert(id, self.entry(id, self.revision));
                }
                None => {}
            }
        }
    }

    /// Switches at most one entry to the wanted revision; gives the shards to make ready for it.
    fn replace(&self, entries: &mut Entries) -> BTreeSet<u32> {
        let old: Vec<(u32, bool)> = self
            .targets()
            .filter_map(|id| entries.get(&id))
            .filter(|entry| entry.revision != self.revision)
            .map(|entry| (entry.id, self.is_ready(entry.id, &entry.revision)))
            .collect();
        // Those that serve nobody need not wait for each other.
        let broken = old.iter().filter(|(_, serving)| !serving).map(|(id, _)| *id);
        let mut preparing: BTreeSet<u32> = broken.collect();
        let begun = |id: &u32| self.seen(*id, self.revision).is_some();
        let serving = || old.iter().filter(|(_, serving)| *serving).map(|(id, _)| *id);
        let in_flight = self.is_replaced_one_draining(entries);
        if let Some(id) = serving()
            .find(begun)
            .or_else(|| serving().next().filter(|_| !in_flight))
        {
            preparing.insert(id);
        }
        let ready = |id: &&u32| self.may_enter(**id);
        let serves = |id: u32| old.contains(&(id, true));
        let switch = preparing
            .iter()
            .filter(ready)
            .find(|id| !in_flight || !serves(**id))
            .copied();
        if let Some(id) = switch {
            entries.insert(id, self.entry(id, self.revision));
        }
        preparing
    }

    /// Whether a shard that was replaced still hands over.
    fn is_replaced_one_draining(&self, entries: &Entries) -> bool {
        self.deployments.iter().any(|((id, revision), seen)| {
            let replaced = entries
                .get(id)
                .is_some_and(|e| e.revision == self.revision && *revision != self.revision);
            replaced && (seen.ever_ready || seen.ready)
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

    /// Takes entries out that hold nothing any more, or had their time.
    fn remove_drained(&self, entries: &mut Entries) {
        let was_draining = |id: &u32| {
            let entry = self.table.and_then(|t| t.shard(*id));
            entry.is_some_and(|e| e.state == ShardState::Draining)
        };
        entries.retain(|id, entry| {
            let key = (*id, entry.revision.clone());
            let holds = self.deployments.contains_key(&key) && !self.may_go(&key);
            entry.state == ShardState::Active || !was_draining(id) || holds
        });
    }

    /// Whether a shard holds nothing, or had its time. It only counts as empty when it follows the
    /// table in use: before, it may still get rooms.
    fn may_go(&self, key: &Key) -> bool {
        let version = self.table.map_or(0, |t| t.version);
        let is_empty = |h: &DrainStatus| h.held == 0 && h.routes_version >= version;
        let had_its_time = |at: &Timestamp| self.now.duration_since(*at) >= self.deadline;
        self.held.get(key).is_some_and(is_empty) || self.draining.get(key).is_some_and(had_its_time)
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
        // Rooms in a Redis that outlived the cluster, or its status, remember the versions of then: the
        // first table is later than those.
        let begun = u64::try_from(self.now.as_second()).unwrap_or_default();
        let known = self.table.map_or(begun, |t| t.version);
        table.version = known;
        if self.table != Some(&table) || known < self.version_floor {
            table.version = known.max(self.version_floor) + 1;
        }
        table
    }

    fn wanted(&self, table: &RoutingTable, replacing: &BTreeSet<u32>) -> BTreeSet<u32> {
        let wanted = |id: &u32| match table.shard(*id) {
            Some(entry) => entry.revision == self.revision || replacing.contains(id),
            None => true,
        };
        self.targets().filter(wanted).collect()
    }

    /// What becomes of a Deployment that exists.
    fn dispose(&self, key: &Key, seen: Seen, next: &mut MembershipStep) {
        let entry = |table: &RoutingTable| {
            table
                .shard(key.0)
                .filter(|e| e.revision == key.1)
                .map(|e| e.state)
        };
        let (was, becomes) = (self.table.and_then(entry), entry(&next.table));
        let is_wanted = key.1 == self.revision && next.wanted.contains(&key.0);
        if is_wanted || becomes == Some(ShardState::Active) {
            if !is_wanted {
                next.kept.insert(key.clone());
            }
            return;
        }
        let untouched = was.is_none() && becomes.is_none();
        let never_used = !seen.ready && !seen.ever_ready && self.held.get(key).is_none_or(|h| h.held == 0);
        if untouched && (never_used || self.may_go(key)) {
            next.deleted.insert(key.clone());
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
mod tests;
#[cfg(test)]
mod world;
