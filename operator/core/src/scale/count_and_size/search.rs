//! Searches the cheapest shape within the limits.
//!
//! The allowed shapes and their costs do not depend on demand. Demand only determines how much capacity is enough. So a
//! higher demand leaves fewer shapes, and the cheapest of these never has less capacity: otherwise it would have been the
//! cheapest before. Ties are broken by a fixed order.

use std::ops::RangeInclusive;

use super::input::JointInput;
use super::limits::{BYTES_STEP, CORES_STEP, SHARD_BYTES_MAX, SHARD_CORES_MAX, SHARDS_CONSIDERED_MAX};
use super::memory::JointMemory;
use super::resize::{ResizeState, Resizing};
use super::shape::{ROUNDING, Resources, Shape};

const STEP: Resources = Resources {
    cores: CORES_STEP,
    bytes: BYTES_STEP,
};

/// The allowed shapes.
pub(super) struct Domain<'a> {
    input: &'a JointInput<'a>,
    /// The current shape, and the size that counts for it while a resize is deferred.
    pub current: Shape,
    in_force: Resources,
    counts: RangeInclusive<i32>,
    /// The minimum for new sizes. The current size may stay a little below.
    least: Resources,
    least_kept: Resources,
    most: Resources,
    quota: Resources,
    /// Only the count can change.
    is_fixed: bool,
}

/// Whether the search includes the cost of the change.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Changes {
    /// A change has a cost and must be worth it.
    Priced,
    Free,
}

impl<'a> Domain<'a> {
    pub fn new(input: &'a JointInput<'a>, memory: &JointMemory) -> Self {
        let (limits, asked) = (&input.limits, input.current.size);
        let (size, in_force, waits) = match input.current.resize {
            ResizeState::Done | ResizeState::InProgress => (asked, asked, false),
            ResizeState::Deferred { in_force } => (asked, asked.min(in_force), true),
            ResizeState::Infeasible { in_force } => (in_force, in_force, false),
        };
        let is_fixed = waits || input.resizing != Resizing::InPlace;
        let hard = Resources {
            cores: SHARD_CORES_MAX,
            bytes: SHARD_BYTES_MAX,
        };
        let node = limits.node.unwrap_or(Resources::UNBOUNDED);
        let refused = memory
            .refused
            .map_or(Resources::UNBOUNDED, |refused| refused.size.join(STEP, below));
        let most = limits.max_size.min(node).min(refused).min(hard);
        let need = |bytes: Option<f64>| Resources {
            cores: 0.0,
            bytes: bytes.unwrap_or(0.0),
        };
        let estimate = input.memory_estimate;
        let least = limits
            .min_size
            .max(need(estimate.map(|estimate| estimate.target)));
        let least_kept = limits.min_size.max(need(estimate.map(|estimate| estimate.lower)));
        Self {
            input,
            current: Shape {
                count: input.current.count,
                size,
            },
            in_force,
            counts: limits.min_count.max(1)..=limits.max_count.min(SHARDS_CONSIDERED_MAX),
            least: least.min(most),
            least_kept: if is_fixed {
                Resources::NONE
            } else {
                least_kept.min(most)
            },
            most: if is_fixed { Resources::UNBOUNDED } else { most },
            quota: limits.quota.unwrap_or(Resources::UNBOUNDED),
            is_fixed,
        }
    }

    pub fn capacity(&self, shape: Shape) -> f64 {
        let size = if shape.size == self.current.size {
            self.in_force
        } else {
            shape.size
        };
        self.input.usage.capacity(Shape { size, ..shape })
    }

    pub fn covers(&self, shape: Shape, demand: f64) -> bool {
        self.capacity(shape) >= demand * (1.0 - ROUNDING)
    }

    /// Whether the limits allow this shape.
    pub fn allows(&self, shape: Shape) -> bool {
        let least = if shape.size == self.current.size {
            self.least_kept
        } else {
            self.least
        };
        let fits = least.fits(shape.size) && shape.size.fits(self.largest(shape.count));
        fits && self.counts.contains(&shape.count)
    }

    /// The largest size at this count.
    fn largest(&self, count: i32) -> Resources {
        self.most.min(self.quota.times(1.0 / f64::from(count.max(1))))
    }

    /// The smallest size with this count that serves the demand, apart from the current one.
    fn least(&self, count: i32, demand: f64) -> Option<Resources> {
        let largest = self.largest(count);
        let need = self.input.usage.size_for(demand / f64::from(count));
        let allowed = !self.is_fixed && need.fits(largest) && self.least.fits(largest);
        allowed.then(|| need.join(STEP, above).max(self.least).min(largest))
    }

    fn options(&self, demand: f64) -> impl Iterator<Item = Shape> {
        self.counts.clone().flat_map(move |count| {
            let sizes = [Some(self.current.size), self.least(count, demand)];
            let shapes = sizes.into_iter().flatten().map(move |size| Shape { count, size });
            shapes.filter(move |shape| self.allows(*shape) && self.covers(*shape, demand))
        })
    }

    /// The cheapest shape that serves the demand. `None` if there is none.
    pub fn cheapest(&self, demand: f64, changes: Changes) -> Option<Shape> {
        let order = |a: &Shape, b: &Shape| {
            let cost = self.cost(*a, changes).total_cmp(&self.cost(*b, changes));
            cost.then_with(|| self.capacity(*b).total_cmp(&self.capacity(*a)))
                .then(a.count.cmp(&b.count))
                .then(a.size.cores.total_cmp(&b.size.cores))
                .then(a.size.bytes.total_cmp(&b.size.bytes))
        };
        self.options(demand).min_by(order)
    }

    /// The largest capacity of any shape. Zero if none is allowed.
    pub fn largest_capacity(&self) -> f64 {
        let most = self.counts.clone().map(|count| self.largest_capacity_of(count));
        most.fold(0.0, f64::max)
    }

    /// Whether some shape serves the demand.
    pub fn serves(&self, demand: f64) -> bool {
        self.options(demand).next().is_some()
    }

    fn largest_capacity_of(&self, count: i32) -> f64 {
        let sizes = [
            Some(self.current.size),
            (!self.is_fixed).then(|| self.largest(count)),
        ];
        let shapes = sizes.into_iter().flatten().map(|size| Shape { count, size });
        let allowed = shapes.filter(|shape| self.allows(*shape));
        allowed.map(|shape| self.capacity(shape)).fold(0.0, f64::max)
    }

    /// The cost in core-hours over the time within which a change must pay for itself.
    fn cost(&self, shape: Shape, changes: Changes) -> f64 {
        let (prices, tuning) = (&self.input.prices, &self.input.tuning);
        let running = |shape| prices.running(shape) * tuning.payback_hours;
        let change = prices.change(self.current, shape, self.input.rooms).core_hours;
        let worth = change + tuning.saving_share_min * running(self.current);
        let counted = changes == Changes::Priced && shape != self.current;
        running(shape) + if counted { worth } else { 0.0 }
    }
}

/// The next multiple of the step.
fn above(value: f64, step: f64) -> f64 {
    (value / step - ROUNDING).ceil() * step
}

/// The last multiple of the step that is strictly below.
fn below(value: f64, step: f64) -> f64 {
    ((value / step).ceil() - 1.0).max(0.0) * step
}
