//! `spec.shards`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::autoscaling::Autoscaling;
use crate::common::Resources;
use crate::limits::{
    DRAIN_DEADLINE_SECONDS_DEFAULT, DRAIN_DEADLINE_SECONDS_MAX, PINS_MAX, SHARDS_DEFAULT, SHARDS_MAX,
};

/// Shards own the rooms. Each team's room is on exactly one shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shards {
    /// The number of shards, also set by `kubectl scale pokercluster`. With `autoscaling` it is only the
    /// initial count.
    #[serde(default = "shards_default")]
    #[schemars(range(min = 1, max = SHARDS_MAX))]
    pub replicas: i32,

    /// Compute resources of one shard.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub resources: Resources,

    /// The placement of teams on shards. By default a hash spreads teams evenly, and a change of the number
    /// of shards moves as few teams as possible.
    #[serde(default, skip_serializing_if = "Placement::is_empty")]
    pub placement: Placement,

    /// How long a shard may take to hand over its rooms before it is deleted, in seconds.
    #[serde(default = "drain_deadline_default")]
    #[schemars(range(min = 0, max = DRAIN_DEADLINE_SECONDS_MAX))]
    pub drain_deadline_seconds: i32,

    /// Scales the shards by metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
}

impl Default for Shards {
    fn default() -> Self {
        Self {
            replicas: shards_default(),
            resources: Resources::default(),
            placement: Placement::default(),
            drain_deadline_seconds: drain_deadline_default(),
            autoscaling: None,
        }
    }
}

/// The placement of teams on shards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// Teams assigned to a fixed shard. They move only while that shard does not serve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = PINS_MAX))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["team".into()]))]
    pub pins: Vec<Pin>,
}

impl Placement {
    fn is_empty(&self) -> bool {
        self.pins.is_empty()
    }
}

/// A team assigned to a fixed shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pin {
    /// The slug of the team, as in its URL.
    #[schemars(length(min = 3, max = 48), regex(pattern = r"^[a-z0-9-]+$"))]
    pub team: String,

    /// The number of the shard, starting at 0.
    #[schemars(range(min = 0, max = SHARDS_MAX - 1))]
    pub shard: i32,
}

fn shards_default() -> i32 {
    SHARDS_DEFAULT
}

fn drain_deadline_default() -> i32 {
    DRAIN_DEADLINE_SECONDS_DEFAULT
}
