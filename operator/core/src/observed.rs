//! The observed state: all inputs of a plan, read once per reconcile.

use std::collections::BTreeMap;

use jiff::Timestamp;
use poker_operator_api::{ClusterNames, Component, PokerCluster};
use serde::Deserialize;

use crate::children::{Children, Live};
use crate::ownership::ForeignObject;
use crate::scale::{Forecasts, Sample, ScaleMemory};
use crate::status::pod_failures::PodFailure;

/// The existing child objects of every kind: those with the instance label of the cluster, and those with a name that
/// the operator would use.
pub type LiveChildren = Children<Live>;

/// Samples by component, then by `Metric::name()`. Built-in metrics are under their names, `participants` under
/// `Component::Shard`.
pub type MetricSamples = BTreeMap<Component, BTreeMap<String, Sample>>;

/// The keys of a Secret with fingerprints of their values. No decision ever has access to the values themselves.
pub type SecretKeys = BTreeMap<String, String>;

/// What a draining or joining Deployment reports at `/drain-status` of its admin port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DrainStatus {
    /// The rooms or sockets of all pods of the Deployment.
    pub active: u64,
    /// The gateways connected to a shard.
    pub gateway_links: u64,
    /// The oldest version of the routing table that any of its pods uses.
    pub routes_version: u64,
}

/// The state of the topic in Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicObserved {
    /// The operator could not describe the topic. The text is the cause; without it, it has not tried yet.
    Unknown {
        why: Option<String>,
    },
    Absent,
    Present {
        partitions: i32,
        replication_factor: i32,
        retention_ms: Option<i64>,
    },
}

/// The observed state of a cluster.
#[derive(Clone, Debug)]
pub struct Observed {
    pub cluster: PokerCluster,
    pub live: LiveChildren,
    /// Objects of other owners with names that the operator may need.
    pub foreign: Vec<ForeignObject>,
    /// The Secrets that the spec refers to and that the operator created, by name. Those that do not exist are absent.
    pub secrets: BTreeMap<String, SecretKeys>,
    /// By Deployment. Absent unless all of its pods answered.
    pub drains: BTreeMap<String, DrainStatus>,
    pub metrics: MetricSamples,
    /// Why the operator does not query Prometheus, if so. All samples are missing then.
    pub metrics_error: Option<String>,
    /// The watches that fail, and the remedy. Until they recover, the last observed objects count.
    pub stale_caches: Option<String>,
    /// Why containers of the cluster do not run.
    pub pod_failures: Vec<PodFailure>,
    /// By component, for metrics with a predictive block and enough samples.
    pub forecasts: BTreeMap<Component, Forecasts>,
    pub topic: TopicObserved,
    /// The memory of earlier scaling decisions. Empty after a restart of the operator.
    pub memory: BTreeMap<Component, ScaleMemory>,
    /// Random bytes for the password of a new database.
    pub random: [u8; 32],
    pub now: Timestamp,
}

impl Observed {
    /// The names of the cluster's objects.
    pub fn names(&self) -> ClusterNames {
        let meta = &self.cluster.metadata;
        ClusterNames::new(
            meta.namespace.as_deref().unwrap_or("default"),
            meta.name.as_deref().unwrap_or_default(),
        )
    }

    /// The UID of the cluster. Empty only for an object that was never stored.
    pub fn uid(&self) -> &str {
        self.cluster.metadata.uid.as_deref().unwrap_or_default()
    }
}
