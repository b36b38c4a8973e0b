//! The `PokerCluster` kind.

use kube::core::Rule;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::common::Image;
use crate::gateway::{Gateway, Worker};
use crate::limits::{
    CLUSTER_NAME_CHARS_MAX, REVISION_HISTORY_LIMIT_DEFAULT, REVISION_HISTORY_LIMIT_MAX, SHARDS_MAX,
};
use crate::prometheus::Prometheus;
use crate::servers::{Database, Kafka, Redis};
use crate::shards::Shards;
use crate::status::PokerClusterStatus;

/// The desired state of a planning poker cluster. Only `version` is required.
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
    doc = "A planning poker service: gateways, shards, workers and the servers they need.",
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
    validation = name_rule()
)]
#[x_kube(validation = Rule::new("has(self.prometheus) || !(has(self.gateway.autoscaling) || has(self.shards.autoscaling))")
    .message("autoscaling reads metrics from Prometheus: set prometheus.url or remove autoscaling"))]
#[x_kube(validation = shards_rule())]
pub struct PokerClusterSpec {
    /// The version of the application, which is the tag of its image. A change starts a rollout: the operator
    /// replaces one shard after another without closing sockets. Gateways of the old version keep their
    /// sockets for up to `gateway.drainDeadlineSeconds`.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
    )]
    pub version: String,

    /// The repository of the application's image, and how to pull it.
    #[serde(default)]
    pub image: Image,

    /// Gateways serve the page and hold the sockets of the browsers.
    #[serde(default)]
    pub gateway: Gateway,

    /// Shards own the rooms.
    #[serde(default)]
    pub shards: Shards,

    /// Workers write the history of finished rounds to the database.
    #[serde(default)]
    pub worker: Worker,

    /// The Redis that stores the live rooms.
    #[serde(default)]
    pub redis: Redis,

    /// The Kafka that carries the history of finished rounds.
    #[serde(default)]
    pub kafka: Kafka,

    /// The database for history and reports.
    #[serde(default)]
    pub database: Database,

    /// The Prometheus that scrapes this cluster. Absent: no autoscaling, and no participants in the
    /// status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,

    /// How many revisions that no longer run the operator keeps, each as a ControllerRevision.
    #[serde(default = "revision_history_limit_default")]
    #[schemars(range(min = 0, max = REVISION_HISTORY_LIMIT_MAX))]
    pub revision_history_limit: i32,

    /// If true, the operator updates only the status. Running pods keep running.
    #[serde(default)]
    pub paused: bool,
}

fn revision_history_limit_default() -> i32 {
    REVISION_HISTORY_LIMIT_DEFAULT
}

/// Services are named after the cluster, which limits the length and the characters of its name.
fn name_rule() -> Rule {
    let pattern = "^[a-z]([-a-z0-9]*[a-z0-9])?$";
    let rule = format!(
        "size(self.metadata.name) <= {CLUSTER_NAME_CHARS_MAX} && self.metadata.name.matches('{pattern}')"
    );
    let message = format!(
        "metadata.name must consist of at most {CLUSTER_NAME_CHARS_MAX} lowercase letters, digits and dashes and start \
         with a letter, because Services are named after it: choose another name"
    );
    Rule::new(rule).message(message.as_str())
}

fn shards_rule() -> Rule {
    let rule =
        format!("!has(self.shards.autoscaling) || self.shards.autoscaling.maxReplicas <= {SHARDS_MAX}");
    let message = format!(
        "shards.autoscaling.maxReplicas must not exceed {SHARDS_MAX}: lower it, and raise the targets of the metrics \
         so that each shard serves more"
    );
    Rule::new(rule).message(message.as_str())
}
