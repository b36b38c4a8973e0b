//! The inputs of a plan.

use jiff::Timestamp;

use super::cost::Prices;
use super::memory::JointMemory;
use super::resize::{ResizeState, Resizing};
use super::shape::{Resources, UsageModel};
use super::tuning::Tuning;
use crate::scale::vertical::Estimate;

/// The current request of the shards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Current {
    pub count: i32,
    /// The requested size, whether or not it is in effect.
    pub size: Resources,
    pub resize: ResizeState,
}

/// The limits of a shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// At least one, or more for availability.
    pub min_count: i32,
    pub max_count: i32,
    /// Of one shard.
    pub min_size: Resources,
    pub max_size: Resources,
    /// The quota of all shards together: the quota of the namespace minus the use of other pods.
    pub quota: Option<Resources>,
    /// The most that the largest node can give to one shard.
    pub node: Option<Resources>,
}

/// The inputs of a plan.
#[derive(Clone, Copy, Debug)]
pub struct JointInput<'a> {
    /// The demand on all shards in the unit of the metric. `None` if it is unknown.
    pub demand: Option<f64>,
    /// The current number of rooms.
    pub rooms: f64,
    pub current: Current,
    pub usage: UsageModel,
    /// The estimate of the shard that needs the most memory. No size is below it, regardless of the model.
    pub memory_estimate: Option<Estimate>,
    pub limits: Limits,
    pub resizing: Resizing,
    pub prices: Prices,
    pub tuning: Tuning,
    /// The memory of the last applied plan. The default after a restart.
    pub memory: &'a JointMemory,
    pub now: Timestamp,
}
