//! What the process remembers of each cluster from one reconcile to the next. None of it is needed after a restart.

use super::{
    corrected_writes::CorrectedWrites, observe_failure::ObserveFailure, rejected_writes::RejectedWrites,
};
use crate::cluster_key::ClusterKey;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use poker_operator_api::Component;
use poker_operator_core::{
    observed::SecretKeys,
    scale::{ScaleDecision, ScaleMemory, demand_forecast::DemandForecaster},
};
use std::{
    collections::{BTreeMap, HashMap},
    mem,
    ops::{Deref, DerefMut},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What the process remembers of one cluster.
#[derive(Default)]
pub struct ClusterMemory {
    /// Reconciles that failed in a row.
    failures: u32,
    /// Message of the last of them.
    failure: String,
    /// While the cluster cannot be observed.
    pub observe_failure: Option<ObserveFailure>,
    pub rejected_writes: RejectedWrites,
    pub corrected_writes: CorrectedWrites,
    pub scale: BTreeMap<Component, ScaleMemory>,
    /// By component, metric and lead time. After a restart they learn from the history in Prometheus.
    pub forecasters: BTreeMap<String, DemandForecaster>,
    /// Keys of Secrets, by name, with the version they were read at.
    secret_keys: HashMap<String, (String, SecretKeys)>,
    /// The undecodable version that was reported.
    undecodable: Option<ObjectVersion>,
}

/// Identity and generation of an object.
#[derive(PartialEq, Eq)]
struct ObjectVersion {
    uid: Option<String>,
    generation: Option<i64>,
}

impl ObjectVersion {
    fn of(meta: &ObjectMeta) -> Self {
        Self {
            uid: meta.uid.clone(),
            generation: meta.generation,
        }
    }
}

impl ClusterMemory {
    /// Returns how many reconciles have failed in a row, and whether this failure has a new message.
    pub fn record_failure(&mut self, message: &str) -> (u32, bool) {
        self.failures = self.failures.saturating_add(1);
        let is_new = self.failure != message;
        message.clone_into(&mut self.failure);
        (self.failures, is_new)
    }

    pub fn record_success(&mut self) {
        self.failures = 0;
        self.failure.clear();
    }

    pub fn record_scale(&mut self, decisions: &[ScaleDecision]) {
        let memories = decisions.iter().map(|d| (d.component, d.memory.clone()));
        self.scale.extend(memories);
    }

    /// Keys of a Secret, if they were read at this version.
    pub fn secret_keys(&self, name: &str, version: &str) -> Option<&SecretKeys> {
        let (read_at, keys) = self.secret_keys.get(name)?;
        (read_at == version).then_some(keys)
    }

    pub fn record_secret_keys(&mut self, name: &str, version: String, keys: SecretKeys) {
        self.secret_keys.insert(name.to_owned(), (version, keys));
    }

    /// Whether it was reported that this version of the object cannot be decoded.
    pub fn is_undecodable_reported(&self, meta: &ObjectMeta) -> bool {
        self.undecodable == Some(ObjectVersion::of(meta))
    }

    pub fn record_undecodable(&mut self, meta: &ObjectMeta) {
        self.undecodable = Some(ObjectVersion::of(meta));
    }
}

/// The memories of all clusters.
#[derive(Default)]
pub struct Memories(Mutex<HashMap<ClusterKey, ClusterMemory>>);

impl Memories {
    /// Takes the memory of a cluster out; dropping the guard puts it back. No other reconcile needs it meanwhile: kube never runs
    /// two reconciles of one object at the same time.
    pub fn check_out(&self, cluster: &ClusterKey) -> MemoryGuard<'_> {
        MemoryGuard {
            memory: self.lock().remove(cluster).unwrap_or_default(),
            memories: self,
            cluster: cluster.clone(),
        }
    }

    pub fn forget(&self, cluster: &ClusterKey) {
        self.lock().remove(cluster);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ClusterKey, ClusterMemory>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The memory of one cluster, for one reconcile. It is put back however the reconcile ends: also on an error, a timeout
/// or when it is cancelled.
pub struct MemoryGuard<'a> {
    memories: &'a Memories,
    cluster: ClusterKey,
    memory: ClusterMemory,
}

impl Deref for MemoryGuard<'_> {
    type Target = ClusterMemory;

    fn deref(&self) -> &ClusterMemory {
        &self.memory
    }
}

impl DerefMut for MemoryGuard<'_> {
    fn deref_mut(&mut self) -> &mut ClusterMemory {
        &mut self.memory
    }
}

impl Drop for MemoryGuard<'_> {
    fn drop(&mut self) {
        let memory = mem::take(&mut self.memory);
        self.memories.lock().insert(self.cluster.clone(), memory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::future::pending;

    #[test]
    fn the_memory_of_a_cluster_outlives_a_reconcile_that_is_cancelled() {
        let (memories, key) = (Memories::default(), ClusterKey::new("ns", "demo"));
        let reconcile = async {
            let mut memory = memories.check_out(&key);
            assert_eq!(memory.record_failure("refused"), (1, true));
            pending::<()>().await;
        };
        assert!(reconcile.now_or_never().is_none());
        assert_eq!(memories.check_out(&key).record_failure("refused"), (2, false));
        memories.check_out(&key).record_success();
        assert_eq!(memories.check_out(&key).record_failure("refused"), (1, true));
        memories.forget(&key);
        assert_eq!(memories.check_out(&key).record_failure("refused"), (1, true));
    }

    #[test]
    fn an_undecodable_version_is_reported_once() {
        let meta = |uid: &str, generation| ObjectMeta {
            uid: Some(uid.to_owned()),
            generation: Some(generation),
            ..ObjectMeta::default()
        };
        let mut memory = ClusterMemory::default();
        assert!(!memory.is_undecodable_reported(&ObjectMeta::default()));
        memory.record_undecodable(&meta("u1", 1));
        assert!(memory.is_undecodable_reported(&meta("u1", 1)));
        assert!(!memory.is_undecodable_reported(&meta("u1", 2)));
        assert!(!memory.is_undecodable_reported(&meta("u2", 1)));
    }
}
