//! Count and size of replicas, planned together by [`poker_operator_core::scale::count_and_size`].
//!
//! The policy decides in parts of a replica with the same code, and the joint plan turns the parts into a count and a
//! size. A resize in place takes effect sooner than a new replica, moves no session and need not be a whole replica. The
//! simulation assumes that nodes have room up to the largest size.

use jiff::Timestamp;
use poker_operator_api::autoscaling::PolicyType;
use poker_operator_api::{Autoscaling, Quantity};

use poker_operator_core::scale::count_and_size::{
    Current, JointInput, JointMemory, Limits, Prices, ResizeState, Resizing, Resources, Tuning, UsageModel,
    plan,
};

/// Parts of a replica of the standard size.
const PARTS: i32 = 10;
/// Rooms on a replica of the standard size.
const ROOMS: f64 = 200.0;
/// The smallest and the largest replica, relative to the standard size.
const SIZES: [f64; 2] = [0.5, 2.0];
/// A cheaper shape must save this share besides its own cost. It is small, as the policy's windows stabilize the demand.
const SAVING_SHARE_MIN: f64 = 0.02;

/// The count of replicas and their size: 1 is the standard size, which the policy's target assumes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Replicas {
    pub count: i32,
    pub size: f64,
}

impl Replicas {
    /// Replicas of the standard size.
    pub fn standard(count: i32) -> Replicas {
        Replicas { count, size: 1.0 }
    }

    /// The capacity in replicas of the standard size.
    pub fn total(self) -> f64 {
        f64::from(self.count) * self.size
    }
}

/// The granularity of capacity, in replicas of the standard size.
pub fn grain(is_sized: bool) -> f64 {
    if is_sized { 1.0 / f64::from(PARTS) } else { 1.0 }
}

/// The joint plan of the controller.
pub struct Sizing {
    limits: Limits,
    memory: JointMemory,
}

impl Sizing {
    pub fn new(block: &Autoscaling) -> Sizing {
        let [min, max] = SIZES.map(cores);
        Sizing {
            limits: Limits {
                min_count: block.min_replicas,
                max_count: block.max_replicas,
                min_size: min,
                max_size: max,
                quota: None,
                node: None,
            },
            memory: JointMemory::default(),
        }
    }

    /// Replicas of the standard size in parts, rounded down.
    pub fn parts(total: f64) -> i32 {
        (total * f64::from(PARTS) + 1e-9).floor() as i32
    }

    /// The replicas for a count of parts.
    pub fn replicas(&mut self, parts: i32, desired: Replicas, now: Timestamp) -> Replicas {
        let input = JointInput {
            demand: Some(f64::from(parts) / f64::from(PARTS)),
            rooms: desired.total() * ROOMS,
            current: Current {
                count: desired.count,
                size: cores(desired.size),
                resize: ResizeState::Done,
            },
            usage: UsageModel {
                base: Resources::NONE,
                per_unit: cores(1.0),
                utilization: 1.0,
            },
            memory_estimate: None,
            limits: self.limits,
            resizing: Resizing::InPlace,
            prices: Prices::default(),
            tuning: Tuning {
                margin: 0.0,
                window: jiff::SignedDuration::ZERO,
                saving_share_min: SAVING_SHARE_MIN,
                ..Tuning::default()
            },
            memory: &self.memory,
            now,
        };
        let Ok(plan) = plan(&input) else { return desired };
        self.memory = plan.memory;
        Replicas {
            count: plan.shape.count,
            size: plan.shape.size.cores,
        }
    }
}

/// A replica of the standard size has one core.
fn cores(size: f64) -> Resources {
    Resources {
        cores: size,
        bytes: 0.0,
    }
}

/// The policy with counts in parts of a replica.
pub fn in_parts(block: &Autoscaling) -> Autoscaling {
    let mut block = block.clone();
    let parts = |replicas: &mut i32| *replicas = replicas.saturating_mul(PARTS);
    parts(&mut block.min_replicas);
    parts(&mut block.max_replicas);
    for target in block
        .metrics
        .iter_mut()
        .filter_map(|m| m.target.average_value.as_mut())
    {
        if let Some(milli) = target.milli() {
            *target = Quantity(format!("{}m", milli / i128::from(PARTS)));
        }
    }
    let rules = block
        .behavior
        .iter_mut()
        .flat_map(|b| [&mut b.scale_up, &mut b.scale_down]);
    let policies = rules
        .flatten()
        .flat_map(|rules| rules.policies.iter_mut().flatten());
    for policy in policies.filter(|policy| policy.type_ == PolicyType::Pods) {
        parts(&mut policy.value);
    }
    for schedule in &mut block.schedules {
        parts(&mut schedule.min_replicas);
    }
    if let Some(predictive) = &mut block.predictive {
        parts(&mut predictive.shortage_cost);
    }
    block
}
