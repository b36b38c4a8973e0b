//! Everything a decision looks at, read once per pass.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use poker_operator_api::{ClusterNames, Component, PokerCluster};
use sha2::{Digest, Sha256};

use crate::build::hex;
use crate::children::{Children, Live};
use crate::scale::{Forecasts, Sample, ScaleMemory};
use crate::status::pod_failures::PodFailure;

/// Children as they stand, of every kind: all with the instance label of the cluster, and all
/// with a name the operator would use, also when they belong to somebody else.
pub type LiveChildren = Children<Live>;

/// Samples by component, then by `Metric::name()`. The built-in metrics of the gateway component
/// also stand under their names; participants are read from `Component::Shard`.
pub type MetricSamples = BTreeMap<Component, BTreeMap<String, Sample>>;

/// The keys of a Secret with fingerprints of their values: equal ones for equal values. The values
/// themselves never enter a decision.
pub type SecretKeys = BTreeMap<String, String>;

/// Tells values apart without telling them: 16 hex digits.
pub fn fingerprint(value: &[u8]) -> String {
    hex(&Sha256::digest(value)[..8])
}

/// What a Deployment's admin port said: `/drain-status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainStatus {
    /// Rooms or sockets, over all pods of the Deployment.
    pub held: u64,
    /// Gateways connected to a shard.
    pub links: u64,
    /// The oldest routing table any of its pods follows.
    pub routes_version: u64,
}

/// What Kafka said about the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicObserved {
    /// Kafka could not be asked; the text says why, unless it just was not asked yet.
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

/// Everything a decision looks at.
#[derive(Clone, Debug)]
pub struct Observed {
    pub cluster: PokerCluster,
    pub live: LiveChildren,
    /// The referenced Secrets and the made ones, by name; a Secret that does not exist is absent.
    pub secrets: BTreeMap<String, SecretKeys>,
    /// By Deployment; absent when it could not be asked, or not all of its pods could.
    pub drains: BTreeMap<String, DrainStatus>,
    pub metrics: MetricSamples,
    /// Why the Prometheus of the spec is not asked, if so; all samples are missing then.
    pub metrics_error: Option<String>,
    /// What cannot be watched any more, and what to do: what was last seen of it stands in for it.
    pub stale_caches: Option<String>,
    /// What keeps containers of the cluster from running.
    pub pod_failures: Vec<PodFailure>,
    /// By component; of metrics with a predictive block, once enough was seen.
    pub forecasts: BTreeMap<Component, Forecasts>,
    pub topic: TopicObserved,
    /// What the process remembers of scaling; empty after a restart.
    pub memory: BTreeMap<Component, ScaleMemory>,
    /// Fresh random bytes for a password that is made once.
    pub random: [u8; 32],
    pub now: Timestamp,
}

impl Observed {
    /// Names of the cluster's objects.
    pub fn names(&self) -> ClusterNames {
        let meta = &self.cluster.metadata;
        ClusterNames::new(
            meta.namespace.as_deref().unwrap_or("default"),
            meta.name.as_deref().unwrap_or_default(),
        )
    }

    /// The uid of the cluster; empty only for objects that were never stored.
    pub fn uid(&self) -> &str {
        self.cluster.metadata.uid.as_deref().unwrap_or_default()
    }

    /// Whether an object is controlled by this very cluster.
    pub fn owns(&self, meta: &ObjectMeta) -> bool {
        meta.owner_references
            .iter()
            .flatten()
            .any(|o| o.controller == Some(true) && o.uid == self.uid())
    }
}
