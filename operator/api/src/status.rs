//! `status`: written by the operator alone.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator found and did. Values that move all the time are metrics instead.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PokerClusterStatus {
    /// The generation of the spec this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Ready, Progressing, Degraded, Reconciling and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The version that all gateways and shards run; the old one until a rollout is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,

    /// The rollout under way, or the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutStatus>,

    /// Gateways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<ComponentStatus>,

    /// Shards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<ShardsStatus>,

    /// Workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<ComponentStatus>,

    /// Deployments that hand over what they hold before they are deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["deployment".into()]))]
    pub draining: Vec<Draining>,

    /// The routing table in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<RoutesStatus>,

    /// Connected people, renewed once a minute at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participants: Option<Participants>,

    /// The last scaling decision of each component with autoscaling.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["component".into()]))]
    pub scaling: Vec<ScalingStatus>,
}

/// Replicas of a component.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentStatus {
    /// How many should run.
    pub desired: i32,

    /// How many are ready.
    pub ready: i32,

    /// The revision new ones are made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// Shards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShardsStatus {
    /// How many should run: `spec.shards.replicas`, or what autoscaling decided.
    pub desired: i32,

    /// How many the routing table gives teams to.
    pub replicas: i32,

    /// How many of those are ready.
    pub ready: i32,

    /// The revision new ones are made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,

    /// Selects the pods of all shards.
    pub selector: String,
}

/// A Deployment that hands over what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Draining {
    /// Its name.
    pub deployment: String,

    /// Since when; `drainDeadlineSeconds` counts from here.
    pub since: Time,
}

/// The routing table in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoutesStatus {
    /// Its version; it grows with each change.
    pub version: i64,
}

/// Connected people at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Participants {
    /// How many.
    pub count: i64,

    /// When that was.
    pub time: Time,
}

/// A rollout: replacing gateways and shards of one revision by those of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// The version rolled out.
    pub version: String,

    /// The revision rolled out.
    pub revision: String,

    /// Shards on the new revision of all shards, as `2/3`.
    pub progress: String,
}

/// A scaling decision: what, why, and from which inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingStatus {
    /// gateway or shard.
    pub component: String,

    /// Replicas before the decision.
    pub current: i32,

    /// Replicas decided on.
    pub desired: i32,

    /// `replicas` of the spec, which has no effect while autoscaling decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec_replicas: Option<i32>,

    /// A word for why.
    pub reason: String,

    /// A sentence on why, and what would have been done otherwise.
    pub message: String,

    /// When it was decided.
    pub time: Time,

    /// What each metric proposed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub proposals: Vec<ProposalStatus>,
}

/// What one metric proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProposalStatus {
    /// The metric's name, or the name of the part that proposed.
    pub name: String,

    /// What was measured, as text; absent when nothing usable was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,

    /// Replicas proposed; absent when it proposed none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
}
