//! The `PokerCluster` kind.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::common::Image;
use crate::gateway::{Gateway, Worker};
use crate::prometheus::Prometheus;
use crate::servers::{Database, Kafka, Redis};
use crate::shards::Shards;
use crate::status::PokerClusterStatus;

/// What a planning poker cluster should be. Only `version` is required.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "planningpoker.dev",
    version = "v1alpha1",
    kind = "PokerCluster",
    plural = "pokerclusters",
    shortname = "poker",
    category = "all",
    namespaced,
    status = "PokerClusterStatus",
    derive = "PartialEq",
    doc = "A planning poker service: gateways, shards and the servers behind them.",
    scale(
        spec_replicas_path = ".spec.shards.replicas",
        status_replicas_path = ".status.shards.replicas",
        label_selector_path = ".status.shards.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Shards", type_ = "integer", json_path = ".status.shards.ready"),
    printcolumn(name = "Gateways", type_ = "integer", json_path = ".status.gateway.ready"),
    printcolumn(name = "Participants", type_ = "integer", json_path = ".status.participants.count"),
    printcolumn(name = "Rollout", type_ = "string", json_path = ".status.rollout.progress"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name must be at most 40 lowercase letters, digits and dashes and begin with a letter: Services are named after it")
)]
#[x_kube(validation = Rule::new("has(self.prometheus) || !(has(self.gateway.autoscaling) || has(self.shards.autoscaling))")
    .message("autoscaling reads metrics from Prometheus: set prometheus.url or remove autoscaling"))]
#[x_kube(validation = Rule::new("!has(self.shards.autoscaling) || self.shards.autoscaling.maxReplicas <= 256")
    .message("shards.autoscaling.maxReplicas must not exceed 256: lower it, and raise the target of metrics so that each shard serves more"))]
pub struct PokerClusterSpec {
    /// The version of the application: the tag of its image. Changing it replaces shards one after
    /// the other without closing anybody's socket; gateways of the old version keep theirs for
    /// `gateway.drainDeadlineSeconds`.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
    )]
    pub version: String,

    /// Where the application's image comes from.
    #[serde(default)]
    pub image: Image,

    /// Gateways hold the browsers' sockets.
    #[serde(default)]
    pub gateway: Gateway,

    /// Shards own the rooms.
    #[serde(default)]
    pub shards: Shards,

    /// Workers write history into the database.
    #[serde(default)]
    pub worker: Worker,

    /// The Redis that holds the live rooms.
    #[serde(default)]
    pub redis: Redis,

    /// The Kafka that carries the history of finished rounds.
    #[serde(default)]
    pub kafka: Kafka,

    /// The database for history and reports.
    #[serde(default)]
    pub database: Database,

    /// The Prometheus that scrapes this cluster. Absent: no autoscaling and no participants in
    /// status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,

    /// While true, the operator writes only the status. Running pods keep running.
    #[serde(default)]
    pub paused: bool,
}
