//! Expectations: our own writes, which the caches must show before the next reconcile of their cluster.
//!
//! Resource versions of one kind grow with every change and arrive in order on its watch. So a write with version V is
//! shown once the watch of its kind has delivered version V or a newer one, even if the object has been deleted since. It
//! is also shown by a list that began after the write (a watch may miss what happened between two lists). Versions that
//! are not numbers cannot be compared, so no reconcile waits for them. A deletion has no version: its uid is remembered
//! until the watch has observed it.

use crate::cluster_key::ClusterKey;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Kind of an object, as in `Deployment`.
pub type Kind = &'static str;

#[derive(Debug, Default)]
pub struct Expectations {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    observed: HashMap<Kind, Observed>,
    /// By cluster and kind: what the cache must have reached.
    expected: HashMap<ClusterKey, BTreeMap<Kind, Expected>>,
    /// Uids of objects that we deleted and that the caches still hold.
    deleted: HashSet<String>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Observed {
    version: u64,
    lists_begun: u64,
    /// Value of `lists_begun` at the newest list that has ended.
    list_ended: u64,
}

#[derive(Debug, Clone, Copy)]
struct Expected {
    version: u64,
    lists_begun: u64,
}

impl Expectations {
    /// The cache of `kind` now holds what the watch delivered up to `version`.
    pub fn observed(&self, kind: Kind, version: Option<&str>) {
        if let Some(version) = number(version) {
            let mut state = self.lock();
            let observed = state.observed.entry(kind).or_default();
            observed.version = observed.version.max(version);
        }
    }

    pub fn list_began(&self, kind: Kind) {
        self.lock().observed.entry(kind).or_default().lists_begun += 1;
    }

    pub fn list_ended(&self, kind: Kind) {
        let mut state = self.lock();
        let observed = state.observed.entry(kind).or_default();
        observed.list_ended = observed.lists_begun;
    }

    /// A write for `cluster` was answered with `version`.
    pub fn expect(&self, cluster: &ClusterKey, kind: Kind, version: Option<&str>) {
        let Some(version) = number(version) else { return };
        let mut state = self.lock();
        let observed = state.observed.get(kind).copied().unwrap_or_default();
        if version <= observed.version {
            return; // a write that changed nothing
        }
        let expected = Expected {
            version,
            lists_begun: observed.lists_begun,
        };
        let cluster = state.expected.entry(cluster.clone()).or_default();
        let entry = cluster.entry(kind).or_insert(expected);
        if entry.version < version {
            *entry = expected;
        }
    }

    /// The kinds whose caches do not show our writes for `cluster` yet.
    pub fn pending_kinds(&self, cluster: &ClusterKey) -> Vec<Kind> {
        let mut state = self.lock();
        let State {
            observed, expected, ..
        } = &mut *state;
        let Some(kinds) = expected.get_mut(cluster) else {
            return Vec::new();
        };
        kinds.retain(|kind, expected| {
            let observed = observed.get(kind).copied().unwrap_or_default();
            observed.version < expected.version && observed.list_ended <= expected.lists_begun
        });
        let pending: Vec<_> = kinds.keys().copied().collect();
        if pending.is_empty() {
            expected.remove(cluster);
        }
        pending
    }

    /// We deleted the object with this uid.
    pub fn expect_deletion(&self, uid: &str) {
        self.lock().deleted.insert(uid.to_owned());
    }

    /// Whether a cached object is only there because its cache is late.
    pub fn deletion_pending(&self, uid: &str) -> bool {
        self.lock().deleted.contains(uid)
    }

    /// The cache no longer holds the object.
    pub fn deletion_observed(&self, uid: &str) {
        self.lock().deleted.remove(uid);
    }

    /// The cluster was deleted.
    pub fn forget(&self, cluster: &ClusterKey) {
        self.lock().expected.remove(cluster);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn number(version: Option<&str>) -> Option<u64> {
    version.and_then(|version| version.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> ClusterKey {
        ClusterKey::new("ns", "demo")
    }

    #[test]
    fn a_write_is_pending_until_the_watch_has_delivered_it() {
        let expectations = Expectations::default();
        assert!(
            expectations.pending_kinds(&cluster()).is_empty(),
            "nothing written yet"
        );
        expectations.observed("Service", Some("10"));
        expectations.expect(&cluster(), "Service", Some("12"));
        expectations.expect(&cluster(), "ConfigMap", Some("11"));
        assert_eq!(expectations.pending_kinds(&cluster()), ["ConfigMap", "Service"]);
        assert!(
            expectations
                .pending_kinds(&ClusterKey::new("ns", "other"))
                .is_empty(),
            "other clusters continue"
        );
        expectations.observed("ConfigMap", Some("11"));
        expectations.observed("Service", Some("11"));
        assert_eq!(expectations.pending_kinds(&cluster()), ["Service"]);
        expectations.observed("Service", Some("13"));
        assert!(expectations.pending_kinds(&cluster()).is_empty());
    }

    #[test]
    fn a_write_that_changed_nothing_is_not_waited_for() {
        let expectations = Expectations::default();
        expectations.observed("Service", Some("10"));
        expectations.expect(&cluster(), "Service", Some("7"));
        assert!(expectations.pending_kinds(&cluster()).is_empty());
    }

    #[test]
    fn a_list_begun_after_the_write_counts_and_an_earlier_one_does_not() {
        let expectations = Expectations::default();
        expectations.list_began("Service");
        expectations.expect(&cluster(), "Service", Some("12"));
        expectations.list_ended("Service");
        assert_eq!(
            expectations.pending_kinds(&cluster()),
            ["Service"],
            "the list may have been made before the write"
        );
        expectations.list_began("Service");
        assert_eq!(
            expectations.pending_kinds(&cluster()),
            ["Service"],
            "still listing"
        );
        expectations.list_ended("Service");
        assert!(expectations.pending_kinds(&cluster()).is_empty());
    }

    #[test]
    fn versions_that_cannot_be_compared_are_not_waited_for() {
        let expectations = Expectations::default();
        expectations.expect(&cluster(), "Service", Some("a1"));
        expectations.expect(&cluster(), "Service", None);
        assert!(expectations.pending_kinds(&cluster()).is_empty());
    }

    #[test]
    fn a_deleted_object_is_not_deleted_twice() {
        let expectations = Expectations::default();
        expectations.expect_deletion("u1");
        assert!(expectations.deletion_pending("u1") && !expectations.deletion_pending("u2"));
        expectations.deletion_observed("u1");
        assert!(!expectations.deletion_pending("u1"));
    }
}
