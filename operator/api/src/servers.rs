//! `spec.redis`, `spec.kafka` and `spec.database`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{Resources, SecretKeyRef};
use crate::limits::{
    KAFKA_IMAGE_DEFAULT, POSTGRES_IMAGE_DEFAULT, REDIS_IMAGE_DEFAULT, REDIS_MEMORY_DEFAULT,
    TOPIC_PARTITIONS_DEFAULT, TOPIC_PARTITIONS_MAX, TOPIC_REPLICATION_DEFAULT, TOPIC_RETENTION_HOURS_DEFAULT,
    TOPIC_RETENTION_HOURS_MAX,
};
use crate::quantity::Quantity;

/// The Redis that stores the live rooms: `managed` (the default) or `external`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.managed) && has(self.external))")
    .message("set managed or external, not both: remove redis.managed to use your own Redis"))]
#[x_kube(validation = Rule::new("has(self.external) == has(oldSelf.external)")
    .message("live rooms cannot move to another Redis: keep redis as it is, or create a new PokerCluster"))]
pub struct Redis {
    /// A single Redis that the operator runs, for development. Its data is lost with its pod. The operator
    /// therefore never restarts the pod: changed settings apply once you delete it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedRedis>,

    /// Your own Redis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalUrl>,
}

/// A single Redis that the operator runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedRedis {
    /// The image with its tag.
    #[serde(default = "redis_image")]
    #[schemars(length(min = 1, max = 320))]
    pub image: String,

    /// The memory limit of its data (`maxmemory`).
    #[serde(default = "redis_memory")]
    pub memory: Quantity,

    /// When a write reaches the disk: within a second, or before it is acknowledged.
    #[serde(default)]
    pub append_fsync: AppendFsync,

    /// Compute resources. Absent: derived from `memory`.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub resources: Resources,
}

impl Default for ManagedRedis {
    fn default() -> Self {
        Self {
            image: redis_image(),
            memory: redis_memory(),
            append_fsync: AppendFsync::default(),
            resources: Resources::default(),
        }
    }
}

/// When Redis flushes its append-only file to disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AppendFsync {
    /// Once a second.
    #[default]
    EverySec,
    /// Before each acknowledgement.
    Always,
}

/// A server whose URL is in a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalUrl {
    /// The Secret key with the URL, including user and password if required. A changed value starts a
    /// rollout.
    pub url_secret_ref: SecretKeyRef,
}

/// The Kafka that carries the history of finished rounds: `managed` (the default) or `external`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.managed) && has(self.external))")
    .message("set managed or external, not both: remove kafka.managed to use your own Kafka"))]
#[x_kube(validation = Rule::new("has(self.external) || self.topic.replicationFactor == 1")
    .message("the managed Kafka has one broker: set topic.replicationFactor to 1 or use kafka.external"))]
#[x_kube(validation = Rule::new("self.topic.partitions >= oldSelf.topic.partitions || has(self.external) != has(oldSelf.external) || has(self.topic.name) != has(oldSelf.topic.name) || (has(self.topic.name) && self.topic.name != oldSelf.topic.name)")
    .message("Kafka cannot remove partitions from a topic: keep topic.partitions, or set another topic.name to start a new topic"))]
pub struct Kafka {
    /// A single broker that the operator runs, for development. Its data is lost with its pod. The operator
    /// therefore never restarts the pod: changed settings apply once you delete it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedKafka>,

    /// Your own Kafka. The operator deletes the managed Kafka at once, with all events that workers have not
    /// stored yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalKafka>,

    /// The topic of this cluster.
    #[serde(default)]
    pub topic: Topic,
}

/// A single broker that the operator runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedKafka {
    /// The image with its tag.
    #[serde(default = "kafka_image")]
    #[schemars(length(min = 1, max = 320))]
    pub image: String,

    /// Computing resources.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub resources: Resources,
}

impl Default for ManagedKafka {
    fn default() -> Self {
        Self {
            image: kafka_image(),
            resources: Resources::default(),
        }
    }
}

/// Your own Kafka.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalKafka {
    /// The bootstrap servers, each as `host:port`.
    #[schemars(
        length(min = 1, max = 16),
        inner(length(min = 3, max = 261), regex(pattern = r"^[^\s,:]+:[0-9]{1,5}$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub bootstrap_servers: Vec<String>,
}

/// The topic for the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Topic {
    /// The topic's name. Absent: `<namespace>.<name>.history`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 249),
        regex(pattern = r"^[a-zA-Z0-9_-][a-zA-Z0-9._-]*$")
    )]
    pub name: Option<String>,

    /// The number of partitions. It can be raised but not lowered.
    #[serde(default = "topic_partitions")]
    #[schemars(range(min = 1, max = TOPIC_PARTITIONS_MAX))]
    pub partitions: i32,

    /// The number of brokers that store each partition. Applies only when the operator creates the topic.
    #[serde(default = "topic_replication")]
    #[schemars(range(min = 1, max = 15))]
    pub replication_factor: i32,

    /// How long Kafka keeps events, in hours.
    #[serde(default = "topic_retention_hours")]
    #[schemars(range(min = 1, max = TOPIC_RETENTION_HOURS_MAX))]
    pub retention_hours: i32,

    /// Whether the topic is deleted with this object.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

impl Default for Topic {
    fn default() -> Self {
        Self {
            name: None,
            partitions: topic_partitions(),
            replication_factor: topic_replication(),
            retention_hours: topic_retention_hours(),
            deletion_policy: DeletionPolicy::default(),
        }
    }
}

/// Whether a resource outside Kubernetes is deleted with the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The resource is kept.
    #[default]
    Retain,
    /// The resource is deleted before the object, once shards and workers have stopped.
    Delete,
}

/// The database for history and reports: `managed` (the default), `external` or `none`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.managed), has(self.external), has(self.none)].filter(x, x).size() <= 1")
    .message("set only one of managed, external and none: remove the others"))]
pub struct Database {
    /// A single PostgreSQL that the operator runs, for development. Its data is lost with its pod. The
    /// operator therefore never restarts the pod: changed settings apply once you delete it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedDatabase>,

    /// Your own PostgreSQL. The operator deletes the managed PostgreSQL at once, with its history: copy the
    /// history first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalUrl>,

    /// No history. The operator runs no workers, and the history pages state that there is no history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub none: Option<NoDatabase>,
}

/// A single PostgreSQL that the operator runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedDatabase {
    /// The image with its tag.
    #[serde(default = "postgres_image")]
    #[schemars(length(min = 1, max = 320))]
    pub image: String,

    /// Computing resources.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub resources: Resources,
}

impl Default for ManagedDatabase {
    fn default() -> Self {
        Self {
            image: postgres_image(),
            resources: Resources::default(),
        }
    }
}

/// Has no fields: written as `none: {}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoDatabase {}

fn redis_image() -> String {
    REDIS_IMAGE_DEFAULT.to_owned()
}

fn redis_memory() -> Quantity {
    Quantity::from(REDIS_MEMORY_DEFAULT)
}

fn kafka_image() -> String {
    KAFKA_IMAGE_DEFAULT.to_owned()
}

fn postgres_image() -> String {
    POSTGRES_IMAGE_DEFAULT.to_owned()
}

fn topic_partitions() -> i32 {
    TOPIC_PARTITIONS_DEFAULT
}

fn topic_replication() -> i32 {
    TOPIC_REPLICATION_DEFAULT
}

fn topic_retention_hours() -> i32 {
    TOPIC_RETENTION_HOURS_DEFAULT
}
