//! Count and size of replicas by one plan: what [`poker_operator_core::scale::count_and_size`] adds to a
//! count.
//!
//! The policy decides in parts of a replica, by the same code, and the joint plan makes a count and a
//! size of that. A resize in place is in force sooner than a new replica, moves nobody, and need not
//! be a whole replica: that is what it may earn. Nodes are taken to have room up to the largest size.

use jiff::Timestamp;
use poker_operator_api::autoscaling::PolicyType;
use poker_operator_api::{Autoscaling, Quantity};

use poker_operator_core::scale::count_and_size::{
    Current, JointInput, JointMemory, Limits, Prices, ResizeState, Resizing, Resources, Tuning, UsageModel,
    plan,
};

/// A replica is planned in so many parts.
const PARTS: i32 = 10;
/// Rooms that one replica of the usual size holds.
const ROOMS: f64 = 200.0;
/// The smallest and the largest replica, in usual sizes.
const SIZES: [f64; 2] = [0.5, 2.0];
/// What a cheaper shape must save besides its own cost: the policy's windows have calmed demand already.
const SAVING_SHARE_MIN: f64 = 0.02;

/// How many replicas, and how large each: 1 is the size that the policy's target assumes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Replicas {
    pub count: i32,
    pub size: f64,
}

impl Replicas {
    /// Replicas of the usual size.
    pub fn usual(count: i32) -> Replicas {
        Replicas { count, size: 1.0 }
    }

    /// In replicas of the usual size.
    pub fn total(self) -> f64 {
        f64::from(self.count) * self.size
    }
}

/// How finely capacity can be asked for, in replicas of the usual size.
pub fn grain(is_sized: bool) -> f64 {
    if is_sized { 1.0 / f64::from(PARTS) } else { 1.0 }
}

/// The joint plan's part of the controller.
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

    /// Replicas of the usual size as parts, rounded down.
    pub fn parts(total: f64) -> i32 {
        (total * f64::from(PARTS) + 1e-9).floor() as i32
    }

    /// The replicas for so many parts.
    pub fn replicas(&mut self, parts: i32, asked: Replicas, now: Timestamp) -> Replicas {
        let input = JointInput {
            demand: Some(f64::from(parts) / f64::from(PARTS)),
            rooms: asked.total() * ROOMS,
            current: Current {
                count: asked.count,
                size: cores(asked.size),
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
        let Ok(plan) = plan(&input) else { return asked };
        self.memory = plan.memory;
        Replicas {
            count: plan.shape.count,
            size: plan.shape.size.cores,
        }
    }
}

/// A replica of the usual size is one core.
fn cores(size: f64) -> Resources {
    Resources {
        cores: size,
        bytes: 0.0,
    }
}

/// The same policy, where a replica is what one part was.
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
