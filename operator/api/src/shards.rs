//! `spec.shards`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::autoscaling::Autoscaling;
use crate::common::Resources;
use crate::limits::{
    DRAIN_DEADLINE_SECONDS_DEFAULT, DRAIN_DEADLINE_SECONDS_MAX, PINS_MAX, SHARDS_DEFAULT, SHARDS_MAX,
};

/// Shards own the rooms: each team's room is on exactly one of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shards {
    /// How many shards run; also what `kubectl scale pokercluster` sets. Only the starting point
    /// when `autoscaling` is set.
    #[serde(default = "shards_default")]
    #[schemars(range(min = 1, max = SHARDS_MAX))]
    pub replicas: i32,

    /// Computing resources of one shard.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub resources: Resources,

    /// Which team goes to which shard. By default teams are spread evenly by a hash, and a
    /// change of the number of shards moves as few of them as possible.
    #[serde(default, skip_serializing_if = "Placement::is_empty")]
    pub placement: Placement,

    /// How long a shard that is removed or replaced may take to hand over its rooms, in seconds.
    #[serde(default = "drain_deadline_default")]
    #[schemars(range(min = 0, max = DRAIN_DEADLINE_SECONDS_MAX))]
    pub drain_deadline_seconds: i32,

    /// Scales the shards by what is measured.
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

/// Which team goes to which shard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// Teams that belong to a certain shard as long as it serves.
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

/// A team that belongs to a certain shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pin {
    /// The team's slug, as in its address.
    #[schemars(length(min = 3, max = 48), regex(pattern = r"^[a-z0-9-]+$"))]
    pub team: String,

    /// The shard's number, from 0.
    #[schemars(range(min = 0, max = SHARDS_MAX - 1))]
    pub shard: i32,
}

fn shards_default() -> i32 {
    SHARDS_DEFAULT
}

fn drain_deadline_default() -> i32 {
    DRAIN_DEADLINE_SECONDS_DEFAULT
}
