//! A plan and its outcome.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use poker_operator_api::servers::Topic;

use crate::children::{Applied, Children, Planned};
use crate::scale::ScaleDecision;

/// What to do now, and when to reconcile again.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Each write stands alone: if the API server rejects one, the others still follow. Delete `orphans` first, because
    /// that may free the quota that `children` need, then apply `replicas`, then `children`.
    pub children: Children<Planned>,
    pub replicas: Vec<ReplicaTarget>,
    /// `None` if the topic matches the spec, or its state is unknown.
    pub topic: Option<DesiredTopic>,
    pub orphans: Vec<ObjectRef>,
    /// Store the memory of each decision, also if the API server rejected a write.
    pub scale: Vec<ScaleDecision>,
    pub summary: PlanSummary,
    pub requeue_after: Duration,
}

/// The replicas of an existing Deployment, applied as `managers::SCALE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaTarget {
    pub deployment: String,
    pub replicas: i32,
}

/// An existing object to delete, with its UID and resource version as preconditions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectRef {
    /// For example `apps/v1`.
    pub api_version: &'static str,
    pub kind: &'static str,
    pub name: String,
    pub uid: String,
    pub resource_version: String,
}

/// The desired topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredTopic {
    pub name: String,
    pub settings: Topic,
}

/// The change of the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicPlan {
    Create {
        name: String,
        partitions: i32,
        replication_factor: i32,
        retention_ms: i64,
    },
    /// `None` does not change a property.
    Alter {
        name: String,
        partitions: Option<i32>,
        retention_ms: Option<i64>,
    },
}

/// The part of the status that the applied objects do not contain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlanSummary {
    pub paused: bool,
    /// The revision of the spec.
    pub revision: String,
    pub gateway: GatewaySummary,
    pub shards: ShardSummary,
    /// Deployments that drain, with the time at which they started.
    pub draining: BTreeMap<String, Timestamp>,
    /// Deployments that no longer drain.
    pub drained: BTreeMap<String, Drained>,
}

/// How the draining of a Deployment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// It has no rooms or sockets left.
    Empty,
    /// Its deadline passed. `active`: the number of rooms or sockets that were left, if known.
    Deadline { active: Option<u64> },
    /// It is needed again.
    Kept,
    /// Another client deleted it.
    Deleted,
}

/// The gateways in a [`PlanSummary`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewaySummary {
    /// The desired revision of the gateways.
    pub revision: String,
    pub desired: i32,
    /// The revision that receives new sockets.
    pub serving: String,
}

/// The shards in a [`PlanSummary`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardSummary {
    /// The desired revision of the shards.
    pub revision: String,
    pub desired: i32,
    /// The Deployments of the active entries in the routing table.
    pub active: Vec<String>,
    /// The number of active entries on the desired revision.
    pub updated: i32,
    pub routes_version: u64,
}

/// The outcome of a plan.
#[derive(Debug)]
pub struct Outcome {
    /// The summary of the plan. `None` if the spec is invalid.
    pub summary: Option<PlanSummary>,
    /// The scaling decisions of the plan.
    pub scale: Vec<ScaleDecision>,
    /// Every planned object as the API server answered or, if it rejected the write, as observed.
    pub applied: Children<Applied>,
    /// The writes that the API server rejected.
    pub failures: Vec<Failure>,
    /// The objects whose fields another client or an admission webhook changes again and again, one sentence each.
    pub overridden: Vec<String>,
}

impl Outcome {
    /// The outcome without a plan.
    pub fn not_planned() -> Self {
        Self {
            summary: None,
            scale: Vec::new(),
            applied: Children::default(),
            failures: Vec::new(),
            overridden: Vec::new(),
        }
    }
}

/// Why a write or a step failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// In CamelCase, from a fixed set. It becomes the reason of a condition.
    pub reason: &'static str,
    /// For users. Contains no secrets.
    pub message: String,
}

/// An event to record on the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    pub reason: String,
    pub message: String,
    pub warning: bool,
}
