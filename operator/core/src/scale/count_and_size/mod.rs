//! Decides how many shards to run and how large each is. The operator does not use this module yet; the lab does.
//!
//! [`plan`] returns the cheapest shape (count and size) that serves the demand, including the cost of the change: rooms
//! that move, resizes, starts. It is a pure function. [`JointMemory`] holds the state between two plans.
//!
//! # How to call it
//!
//! On every tick pass the demand to serve (the value of the forecast or the metric at the chosen quantile, over the
//! time that a change takes), the current request, the limits, the time and the memory of the last applied plan. Apply
//! `plan.shape` in the order of `plan.actions`, and store `plan.memory`. A tick of `dt` hours costs
//! `plan.running · dt` core-hours, plus `plan.change.core_hours` once. A simulator passes its trace as `demand`, applies
//! the shape after its start delay, and passes that shape as `current` on the next tick:
//!
//! ```
//! # use poker_operator_core::scale::count_and_size::*;
//! # fn step(input: &JointInput<'_>, hours: f64) -> Result<(Shape, f64, JointMemory), JointError> {
//! let plan = plan(input)?;
//! let core_hours = plan.running * hours + plan.change.core_hours;
//! # Ok(
//! (plan.shape, core_hours, plan.memory)
//! # )
//! # }
//! ```
//!
//! Scaling the count only is the special case `resizing: Resizing::NotServed`; one target per shard (as the Kubernetes
//! autoscaler's `averageValue`) at a known size is the model `per_unit = (size · utilization − base) / target`.
//!
//! # Method
//!
//! A shape runs for `count · (cores + price · GiB)`, and a shard needs `(base + per_unit · demand / count) /
//! utilization`. Each shard costs the base, so fewer and larger shards are cheaper. On the other hand, one failed shard of
//! `n` takes `1/n` of the rooms with it, and a larger one takes longer to recover. The expected number of rooms that move
//! after failures is the same for any count, so their price cannot determine the count. Instead, `min_count` is the count
//! that availability requires.
//!
//! Three rules prevent oscillation. A band follows the demand ([`JointMemory`]): it rises at once by a margin, falls only
//! to the peak of a window, and a cheaper shape is searched only at the end of the window. A change must pay for itself
//! within `payback_hours` and save a share in addition: lazy provisioning with switching costs (Lin, Wierman, Andrew,
//! Thereska: Dynamic right-sizing for power-proportional data centers, INFOCOM 2011). The cost of changes obeys the
//! triangle inequality ([`Prices::change`]), so the best shape seen from the current one is still the best once reached.
//!
//! Demand is absolute and never a use divided by the size, so one metric can drive both count and size.

mod actions;
mod cost;
mod explain;
mod input;
mod limited;
mod limits;
mod memory;
#[cfg(test)]
mod properties;
mod resize;
mod search;
mod shape;
#[cfg(test)]
mod tests;
mod tuning;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use actions::Action;
pub use cost::{Change, Prices};
pub use explain::Reason;
use explain::Values;
pub use input::{Current, JointInput, Limits};
pub use limited::Limit;
pub use memory::{JointMemory, Refused, Window};
pub use resize::{QosClass, ResizeState, Resizing};
use search::{Changes, Domain};
pub use shape::{Resources, Shape, UsageModel};
pub use tuning::Tuning;

/// Another shape and its cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    pub shape: Shape,
    /// Core-hours an hour.
    pub running: f64,
}

/// The plan under other assumptions. `None` if no shape would serve the demand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counterfactual {
    /// If changes cost nothing, and demand had no window.
    pub unrestrained: Option<Alternative>,
    /// If the size could not change.
    pub count_only: Option<Alternative>,
}

/// A shape, the actions to reach it, and the reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JointPlan {
    pub shape: Shape,
    /// In order. Empty if nothing changes.
    pub actions: Vec<Action>,
    pub reason: Reason,
    /// One sentence with the decisive values.
    pub message: String,
    /// The limits that prevent serving the planned demand. Empty if it is served.
    pub limited_by: Vec<Limit>,
    /// The demand that the shape serves.
    pub capacity: f64,
    /// The planned demand.
    pub planned: f64,
    /// The running cost in core-hours per hour.
    pub running: f64,
    pub change: Change,
    pub counterfactual: Counterfactual,
    /// The new memory. Store it once the shape is written; if the write fails, keep the old one.
    pub memory: JointMemory,
    pub at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JointError {
    #[error(
        "invalid usage model: a cost per unit must be greater than 0, no value may be negative, and the utilization must be greater than 0 and at most 1"
    )]
    Usage,
    #[error(
        "invalid limits: limits and sizes must be defined and not negative, and no minimum may exceed its maximum"
    )]
    Limits,
    #[error("invalid prices or tuning: all values must be finite and not negative")]
    Prices,
}

/// Plans the cheapest shape for the demand.
///
/// # Errors
/// An input is invalid.
pub fn plan(input: &JointInput<'_>) -> Result<JointPlan, JointError> {
    check(input)?;
    let mut memory = input.memory.clone();
    memory.refused = memory.refused.filter(|refused| refused.node == input.limits.node);
    if let ResizeState::Infeasible { in_force } = input.current.resize {
        memory.refuse(input.current.size, in_force, input.limits.node);
    }
    let domain = Domain::new(input, &memory);
    let known = input.demand.filter(|demand| demand.is_finite() && *demand >= 0.0);
    let Some(demand) = known else {
        let capacity = domain.capacity(domain.current);
        let planned = memory.planned.unwrap_or(capacity);
        return Ok(finish(
            input,
            &domain,
            memory,
            domain.current,
            Reason::DemandUnknown,
            planned,
        ));
    };
    let before = memory.planned;
    let capacity = domain.capacity(domain.current);
    let (planned, is_over) = memory.follow(
        demand,
        capacity,
        !domain.allows(domain.current),
        &input.tuning,
        input.now,
    );
    let shape = choose(&domain, planned, is_over);
    let reason = match shape {
        _ if !domain.covers(shape, planned) || !domain.allows(shape) => Reason::LimitReached,
        _ if shape == domain.current => Reason::OnTarget,
        _ if !domain.allows(domain.current) => Reason::OutsideLimits,
        _ if !domain.covers(domain.current, planned) => Reason::DemandAboveCapacity,
        _ if planned < before.unwrap_or(capacity) => Reason::DemandBelowCapacity,
        _ => Reason::CheaperShape,
    };
    Ok(finish(input, &domain, memory, shape, reason, planned))
}

fn choose(domain: &Domain<'_>, planned: f64, is_over: bool) -> Shape {
    let current = domain.current;
    if !is_over && domain.covers(current, planned) {
        return current;
    }
    let cheapest = |demand| domain.cheapest(demand, Changes::Priced);
    cheapest(planned)
        .or_else(|| cheapest(domain.largest_capacity()))
        .unwrap_or(current)
}

fn finish(
    input: &JointInput<'_>,
    domain: &Domain<'_>,
    memory: JointMemory,
    shape: Shape,
    reason: Reason,
    planned: f64,
) -> JointPlan {
    let asked = Shape {
        count: input.current.count,
        size: input.current.size,
    };
    let limited_by = match reason {
        Reason::LimitReached => limited::limits_for(input, &memory, planned),
        _ => Vec::new(),
    };
    let (capacity, running) = (domain.capacity(shape), input.prices.running(shape));
    let demand = input.demand;
    let (from, to) = (asked, shape);
    let message = explain::message(&Values {
        reason,
        from,
        to,
        demand,
        planned,
        capacity,
        running,
        limited_by: &limited_by,
    });
    JointPlan {
        shape,
        actions: actions::between(asked, shape, input.limits.quota),
        reason,
        message,
        limited_by,
        capacity,
        planned,
        running,
        change: input.prices.change(domain.current, shape, input.rooms),
        counterfactual: counterfactual(input, &memory),
        memory,
        at: input.now,
    }
}

fn counterfactual(input: &JointInput<'_>, memory: &JointMemory) -> Counterfactual {
    let Some(demand) = input.demand.filter(|demand| demand.is_finite()) else {
        return Counterfactual::default();
    };
    let cheapest = |input: &JointInput<'_>, changes| {
        let shape = Domain::new(input, memory).cheapest(demand * (1.0 + input.tuning.margin), changes)?;
        let running = input.prices.running(shape);
        Some(Alternative { shape, running })
    };
    let fixed = JointInput {
        resizing: Resizing::NotServed,
        ..*input
    };
    Counterfactual {
        unrestrained: cheapest(input, Changes::Free),
        count_only: cheapest(&fixed, Changes::Free),
    }
}

fn check(input: &JointInput<'_>) -> Result<(), JointError> {
    let (limits, tuning) = (&input.limits, &input.tuning);
    let in_force = match input.current.resize {
        ResizeState::Done | ResizeState::InProgress => input.current.size,
        ResizeState::Deferred { in_force } | ResizeState::Infeasible { in_force } => in_force,
    };
    let bounds = [
        limits.quota,
        limits.node,
        Some(limits.min_size),
        Some(limits.max_size),
    ];
    let mut sizes = bounds.into_iter().flatten().chain([input.current.size, in_force]);
    let ordered = limits.min_count <= limits.max_count && limits.min_size.fits(limits.max_size);
    let shares = [
        tuning.margin,
        tuning.payback_hours,
        tuning.saving_share_min,
        input.rooms,
    ];
    if !input.usage.is_usable() {
        return Err(JointError::Usage);
    }
    if !sizes.all(Resources::is_usable) || !ordered || input.current.count < 0 || limits.max_count < 1 {
        return Err(JointError::Limits);
    }
    if !input.prices.is_usable() || !shares.iter().all(|share| share.is_finite() && *share >= 0.0) {
        return Err(JointError::Prices);
    }
    Ok(())
}
