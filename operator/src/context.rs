//! What every pass shares.

use crate::{
    cache::expectations::{Expectations, Kind},
    cache::stores::Stores,
    cache::watch_health::{Blind, WatchHealth},
    cluster_key::ClusterKey,
    error::Error,
    kafka::topic_manager::TopicManager,
    leader::Leadership,
    limits,
    metrics::Metrics,
    prometheus::sample_store::SampleStore,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client, core::NamespaceResourceScope, runtime::events::Reporter};
use poker_operator_api::Component;
use poker_operator_core::{
    observed::SecretKeys,
    scale::{ScaleDecision, ScaleMemory, demand_forecast::DemandForecaster},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

pub struct Context {
    pub client: Client,
    pub stores: Stores,
    pub leadership: Arc<Leadership>,
    pub expectations: Arc<Expectations>,
    pub watch_health: Arc<WatchHealth>,
    pub metrics: Arc<Metrics>,
    pub sampler: Arc<SampleStore>,
    pub topics: Arc<TopicManager>,
    /// Who records events.
    pub reporter: Reporter,
    /// Asks pods on their admin port.
    pub http: reqwest::Client,
    memory: Mutex<HashMap<ClusterKey, Memory>>,
}

/// What the process remembers of a cluster. None of it is needed to go on after a restart.
#[derive(Default)]
struct Memory {
    failures: u32,
    /// What the last of them said.
    failure: String,
    /// While the cluster cannot be observed.
    blind: Option<Blind>,
    scale: BTreeMap<Component, ScaleMemory>,
    /// By component, metric and lead time; made anew from Prometheus after a restart.
    forecasters: BTreeMap<String, DemandForecaster>,
    /// Keys of Secrets, by name, with the version they were read at.
    secrets: HashMap<String, (String, SecretKeys)>,
    /// The undecodable version that people were told about.
    told: Option<(String, i64)>,
}

/// The handles that a context is made of.
pub struct Parts {
    pub client: Client,
    pub identity: String,
    pub stores: Stores,
    pub leadership: Arc<Leadership>,
    pub expectations: Arc<Expectations>,
    pub watch_health: Arc<WatchHealth>,
    pub metrics: Arc<Metrics>,
    pub sampler: Arc<SampleStore>,
    pub topics: Arc<TopicManager>,
}

impl Context {
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn new(parts: Parts) -> anyhow::Result<Self> {
        let reporter = Reporter {
            controller: "poker-operator".to_owned(),
            instance: Some(parts.identity),
        };
        let http = reqwest::Client::builder()
            .timeout(limits::DRAIN_TIMEOUT)
            .no_proxy()
            .build()?;
        Ok(Self {
            reporter,
            client: parts.client,
            stores: parts.stores,
            leadership: parts.leadership,
            expectations: parts.expectations,
            watch_health: parts.watch_health,
            metrics: parts.metrics,
            sampler: parts.sampler,
            topics: parts.topics,
            http,
            memory: Mutex::default(),
        })
    }

    pub fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: kube::Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Sends a write, if this process is leader, and counts it. It ends before another leader can start.
    ///
    /// # Errors
    /// Not leader, refused, or no answer in time.
    pub async fn write<T>(
        &self,
        kind: Kind,
        what: &str,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Error> {
        if !self.leadership.may_write() {
            return Err(Error::NotLeader);
        }
        self.metrics.wrote(kind);
        let answer = tokio::time::timeout(limits::WRITE_TIMEOUT, request).await;
        answer
            .map_err(|_| Error::Timeout {
                what: what.to_owned(),
            })?
            .map_err(Error::api(what))
    }

    /// The caches must have seen a write before the next decision.
    pub fn wrote(&self, cluster: &ClusterKey, kind: Kind, meta: &ObjectMeta) {
        self.expectations
            .expect(cluster, kind, meta.resource_version.as_deref());
    }

    /// Failures of this cluster in a row, this one included; and whether it says something new.
    pub fn failed(&self, cluster: &ClusterKey, line: &str) -> (u32, bool) {
        let mut memory = self.lock();
        let memory = memory.entry(cluster.clone()).or_default();
        memory.failures = memory.failures.saturating_add(1);
        let is_news = memory.failure != line;
        line.clone_into(&mut memory.failure);
        (memory.failures, is_news)
    }

    pub fn succeeded(&self, cluster: &ClusterKey) {
        let mut memory = self.lock();
        let memory = memory.entry(cluster.clone()).or_default();
        memory.failures = 0;
        memory.failure.clear();
    }

    /// The cluster cannot be observed. Returns whether it is time to tell `why`: it has lasted longer than
    /// `patience` and was not told yet.
    pub fn is_blind(&self, cluster: &ClusterKey, why: &str, patience: Duration, now: Instant) -> bool {
        let mut memory = self.lock();
        let memory = memory.entry(cluster.clone()).or_default();
        let blind = memory.blind.get_or_insert_with(|| Blind::since(now));
        blind.is_due(why, patience, now)
    }

    /// It was told.
    pub fn told_blind(&self, cluster: &ClusterKey, why: &str) {
        let mut memory = self.lock();
        if let Some(blind) = memory.get_mut(cluster).and_then(|memory| memory.blind.as_mut()) {
            blind.told(why);
        }
    }

    /// The cluster was observed. Returns whether the contrary had been told.
    pub fn sees(&self, cluster: &ClusterKey) -> bool {
        let mut memory = self.lock();
        let blind = memory.get_mut(cluster).and_then(|memory| memory.blind.take());
        blind.is_some_and(|blind| blind.was_told())
    }

    pub fn scale_memory(&self, cluster: &ClusterKey) -> BTreeMap<Component, ScaleMemory> {
        self.lock()
            .get(cluster)
            .map(|memory| memory.scale.clone())
            .unwrap_or_default()
    }

    pub fn keep_scale_memory(&self, cluster: &ClusterKey, decisions: &[ScaleDecision]) {
        let mut memory = self.lock();
        let scale = &mut memory.entry(cluster.clone()).or_default().scale;
        scale.extend(
            decisions
                .iter()
                .map(|decision| (decision.component, decision.memory.clone())),
        );
    }

    /// The forecasters of a cluster, for one pass: two passes of a cluster never run at the same time.
    pub fn take_forecasters(&self, cluster: &ClusterKey) -> BTreeMap<String, DemandForecaster> {
        let mut memory = self.lock();
        memory
            .get_mut(cluster)
            .map(|memory| std::mem::take(&mut memory.forecasters))
            .unwrap_or_default()
    }

    pub fn keep_forecasters(&self, cluster: &ClusterKey, forecasters: BTreeMap<String, DemandForecaster>) {
        self.lock().entry(cluster.clone()).or_default().forecasters = forecasters;
    }

    /// Keys of a Secret as read before, if it still has this version.
    pub fn secret_keys(&self, cluster: &ClusterKey, name: &str, version: &str) -> Option<SecretKeys> {
        let memory = self.lock();
        let (read_at, keys) = memory.get(cluster)?.secrets.get(name)?;
        (read_at == version).then(|| keys.clone())
    }

    pub fn keep_secret_keys(&self, cluster: &ClusterKey, name: &str, version: String, keys: SecretKeys) {
        let mut memory = self.lock();
        memory
            .entry(cluster.clone())
            .or_default()
            .secrets
            .insert(name.to_owned(), (version, keys));
    }

    /// Whether it was said on this version of an object that it cannot be decoded.
    pub fn has_told(&self, cluster: &ClusterKey, meta: &ObjectMeta) -> bool {
        let memory = self.lock();
        let told = memory.get(cluster).and_then(|memory| memory.told.as_ref());
        told == Some(&version(meta))
    }

    /// It was said.
    pub fn told(&self, cluster: &ClusterKey, meta: &ObjectMeta) {
        self.lock().entry(cluster.clone()).or_default().told = Some(version(meta));
    }

    /// The cluster is gone.
    pub fn forget(&self, cluster: &ClusterKey) {
        self.lock().remove(cluster);
        self.expectations.forget(cluster);
        self.sampler.need(cluster, None);
        self.topics.forget(cluster);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ClusterKey, Memory>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Identity and generation of an object.
fn version(meta: &ObjectMeta) -> (String, i64) {
    (
        meta.uid.clone().unwrap_or_default(),
        meta.generation.unwrap_or_default(),
    )
}
