//! `status`, which only the operator writes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The observed state. Values that change all the time are metrics instead.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PokerClusterStatus {
    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The conditions Ready, Progressing, Degraded, Reconciling and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The version that all gateways and shards run. During a rollout it is the old version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,

    /// The current or last rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutStatus>,

    /// The last spec that was valid. The operator operates it while the current spec is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub last_valid_spec: Option<serde_json::Value>,

    /// The state of the gateways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<ComponentStatus>,

    /// The state of the shards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<ShardsStatus>,

    /// The state of the workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<ComponentStatus>,

    /// Deployments that drain: they hand over their rooms or sockets before the operator deletes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["deployment".into()]))]
    pub draining: Vec<Draining>,

    /// The routing table in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<RoutesStatus>,

    /// The number of connected people, updated at most once a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participants: Option<Participants>,

    /// The last scaling decision of each component with autoscaling.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["component".into()]))]
    pub scaling: Vec<ScalingStatus>,
}

/// A copy of the spec. It has no schema of its own, so that a later version of the spec can be read.
fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Replicas of a component.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentStatus {
    /// The desired number of replicas.
    pub desired: i32,

    /// The number of ready replicas.
    pub ready: i32,

    /// The revision of new replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// The state of the shards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShardsStatus {
    /// The desired number of shards: `spec.shards.replicas`, or the decision of autoscaling.
    pub desired: i32,

    /// The number of shards that own teams according to the routing table.
    pub replicas: i32,

    /// The number of ready shards among those.
    pub ready: i32,

    /// The revision of new shards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,

    /// The label selector for the pods of all shards.
    pub selector: String,
}

/// A Deployment that drains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Draining {
    /// The name of the Deployment.
    pub deployment: String,

    /// When draining began. `drainDeadlineSeconds` counts from this time.
    pub since: Time,
}

/// The routing table in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoutesStatus {
    /// The version of the routing table. Each change increases it.
    pub version: i64,
}

/// The number of connected people at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Participants {
    /// The number of people.
    pub count: i64,

    /// When they were counted.
    pub time: Time,
}

/// A rollout, which replaces the gateways and shards of one revision by those of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// The new version.
    pub version: String,

    /// The new revision.
    pub revision: String,

    /// The number of shards on the new revision out of all shards, e.g. `2/3`.
    pub progress: String,
}

/// A scaling decision with its reason and inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingStatus {
    /// `gateway` or `shard`.
    pub component: String,

    /// The count before the decision.
    pub current: i32,

    /// The count after the decision.
    pub desired: i32,

    /// `replicas` of the spec, which has no effect with `autoscaling`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec_replicas: Option<i32>,

    /// The last change of `specReplicas` that had no effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas_ignored_at: Option<Time>,

    /// The reason as one CamelCase word.
    pub reason: String,

    /// The reason as a sentence, including what held the count.
    pub message: String,

    /// The time of the decision.
    pub time: Time,

    /// The proposal of each metric, forecast, panic window and schedule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub proposals: Vec<ProposalStatus>,
}

/// One proposal of a scaling decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProposalStatus {
    /// The name of the metric. Other proposals have a prefix, e.g. `panic/` or `schedule/`.
    pub name: String,

    /// The value as text, or why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,

    /// The proposed count. Absent if there is no usable value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
}
