//! What every reconcile depends on.

use super::memory::Memories;
use crate::{
    cache::{
        expectations::{Expectations, Kind},
        stores::Stores,
        watch_health::WatchHealth,
    },
    cluster_key::ClusterKey,
    error::Error,
    kafka::topic_manager::TopicManager,
    leader::{Leadership, WRITE_TIMEOUT},
    metrics::Metrics,
    prometheus::sample_store::SampleStore,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client, core::NamespaceResourceScope, runtime::events::Reporter};
use std::sync::Arc;

pub struct Context {
    pub client: Client,
    pub stores: Stores,
    pub leadership: Arc<Leadership>,
    pub expectations: Arc<Expectations>,
    pub watch_health: Arc<WatchHealth>,
    pub metrics: Arc<Metrics>,
    pub samples: Arc<SampleStore>,
    pub topics: Arc<TopicManager>,
    pub memories: Memories,
    /// Who records events.
    pub reporter: Reporter,
    /// Reads the drain status of pods from their admin port.
    pub http: reqwest::Client,
}

impl Context {
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
        action: &str,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Error> {
        if !self.leadership.may_write() {
            return Err(Error::NotLeader);
        }
        self.metrics.wrote(kind);
        let answer = tokio::time::timeout(WRITE_TIMEOUT, request).await;
        answer
            .map_err(|_| Error::Timeout {
                action: action.to_owned(),
                limit: WRITE_TIMEOUT,
            })?
            .map_err(Error::api(action))
    }

    /// The caches must show this write before the next reconcile.
    pub fn expect(&self, cluster: &ClusterKey, kind: Kind, written: &ObjectMeta) {
        let version = written.resource_version.as_deref();
        self.expectations.expect(cluster, kind, version);
    }

    /// The cluster was deleted.
    pub fn forget(&self, cluster: &ClusterKey) {
        self.memories.forget(cluster);
        self.expectations.forget(cluster);
        self.samples.unsubscribe(cluster);
        self.topics.forget(cluster);
    }
}
