//! What a plan holds, and what became of it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use poker_operator_api::servers::Topic;

use crate::children::{Applied, Children, Planned};
use crate::scale::ScaleDecision;

/// What to do now, and when to look again.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Apply `replicas` before `children`; delete `orphans` last, only when all was applied.
    pub children: Children<Planned>,
    pub replicas: Vec<ReplicaTarget>,
    /// `None` when it is known to be as wanted.
    pub topic: Option<DesiredTopic>,
    pub orphans: Vec<ObjectRef>,
    /// Keep each decision's memory once everything was applied.
    pub scale: Vec<ScaleDecision>,
    pub summary: PlanSummary,
    pub requeue_after: Duration,
}

/// Replicas of a Deployment that exists, applied as `managers::SCALE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaTarget {
    pub deployment: String,
    pub replicas: i32,
}

/// A live object to delete, with preconditions uid and resource version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectRef {
    /// `apps/v1` and so on.
    pub api_version: &'static str,
    pub kind: &'static str,
    pub name: String,
    pub uid: String,
    pub resource_version: String,
}

/// How the topic should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredTopic {
    pub name: String,
    pub settings: Topic,
}

/// What to do with the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicPlan {
    Create {
        name: String,
        partitions: i32,
        replication_factor: i32,
        retention_ms: i64,
    },
    /// `None` leaves a property as it is.
    Alter {
        name: String,
        partitions: Option<i32>,
        retention_ms: Option<i64>,
    },
}

/// What the status says beyond the applied objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlanSummary {
    pub paused: bool,
    /// The revision the spec asks for.
    pub revision: String,
    pub gateway: GatewayFacts,
    pub shards: ShardFacts,
    /// Deployments that drain, and since when.
    pub draining: BTreeMap<String, Timestamp>,
    /// Deployments that drained until now.
    pub drained: BTreeMap<String, Drained>,
}

/// How the draining of a Deployment has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// It holds nothing any more.
    Empty,
    /// Its time is up; with what it held then, if it could be asked.
    Deadline { held: Option<u64> },
    /// It is to stay after all.
    Wanted,
    /// Somebody else deleted it.
    Gone,
}

/// The gateways' part of [`PlanSummary`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayFacts {
    pub desired: i32,
    /// The revision that gets new sockets.
    pub serving: String,
}

/// The shards' part of [`PlanSummary`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardFacts {
    pub desired: i32,
    /// Deployments of the Active entries of the routing table.
    pub active: Vec<String>,
    /// Active entries on the wanted revision.
    pub updated: i32,
    pub routes_version: u64,
}

/// What became of a plan.
#[derive(Debug)]
pub struct Outcome {
    /// Of the plan that was carried out; `None` when the spec is invalid.
    pub summary: Option<PlanSummary>,
    /// The scaling decisions of the plan.
    pub scale: Vec<ScaleDecision>,
    pub applied: Result<Children<Applied>, Failure>,
}

impl Outcome {
    /// The outcome when nothing could be planned.
    pub fn not_planned() -> Self {
        Self {
            summary: None,
            scale: Vec::new(),
            applied: Ok(Children::default()),
        }
    }
}

/// Why a step could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// CamelCase, from a fixed set: it becomes the reason of a condition.
    pub reason: &'static str,
    /// For people; without secrets.
    pub message: String,
}

/// An event to record on the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    pub reason: String,
    pub message: String,
    pub warning: bool,
}
