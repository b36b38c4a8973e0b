//! How many shards, and how large each: one decision.
//!
//! [`plan`] picks the cheapest shape (count and size) that serves the demand, counting what the change itself
//! costs: rooms that move, resizes, starts. It is a pure function; what must be remembered is in
//! [`JointMemory`].
//!
//! # How to call it
//!
//! On every tick give the demand for which there must be room (the forecast's or the metric's value at the
//! chosen quantile, over the time a change takes), what is asked for now, the limits, the time and the memory
//! of the last plan that was applied. Take `plan.shape` as the new count and size, in the order of
//! `plan.actions`, and keep `plan.memory`. Over a tick of `dt` hours it costs `plan.running · dt`
//! core-hours, plus `plan.change.core_hours` once. A simulator feeds its trace as `demand`, applies
//! the shape after its start delay, and passes that shape as `current` at the next tick:
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
//! A count scaler is the special case `resizing: Resizing::NotServed`; one target per shard (as the Kubernetes
//! autoscaler's `averageValue`) at a known size is the model `per_unit = (size · utilization − base) / target`.
//!
//! # Method
//!
//! A shape runs for `count · (cores + price · GiB)`, and a shard needs `(base + per_unit · demand / count) /
//! utilization`. The base is paid per shard, so fewer and larger shards are cheaper; against that stands that
//! one of `n` shards that fails takes `1/n` of the rooms with it, and a larger one takes longer to come back.
//! Expected moves by failures are the same for any count, so no price of them sets a count: `min_count` states
//! how many the availability asks for.
//!
//! Three things keep it from swinging. A band follows the demand ([`JointMemory`]): up at once by a margin,
//! down only to the peak of a window, and only at its end a cheaper shape is looked for. A change must pay for itself within `payback_hours` and save a share
//! besides: lazy provisioning with switching costs (Lin, Wierman, Andrew, Thereska: Dynamic right-sizing for
//! power-proportional data centers, INFOCOM 2011). And the cost of changes obeys the triangle inequality
//! ([`Prices::change`]), so what is best from here is still best when one is there.
//!
//! Demand is absolute, never a use divided by the size: so one metric may drive both axes.

mod actions;
mod cost;
mod explain;
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

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use actions::Action;
pub use cost::{Change, Prices};
pub use explain::Reason;
use explain::Values;
pub use limited::Limit;
use limits::{MARGIN, PAYBACK_HOURS, SAVING_SHARE_MIN, WINDOW};
pub use memory::{JointMemory, Refused, Window};
pub use resize::{QosClass, ResizeState, Resizing};
use search::{Changes, Domain};
pub use shape::{Resources, Shape, UsageModel};

use super::vertical::Estimate;

/// What shards ask for now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Current {
    pub count: i32,
    /// As asked for, whether or not it is in force.
    pub size: Resources,
    pub resize: ResizeState,
}

/// What may be chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// At least one; for availability more.
    pub min_count: i32,
    pub max_count: i32,
    /// Of one shard.
    pub min_size: Resources,
    pub max_size: Resources,
    /// What all shards together may ask for: the namespace's quota without what others use of it.
    pub quota: Option<Resources>,
    /// What the largest node can give to one shard.
    pub node: Option<Resources>,
}

/// How eager plans are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// Planned above demand, and tolerated below it, as a share.
    pub margin: f64,
    /// How long demand must be low, and a change be ago, before anything is taken away or changed for its cost.
    pub window: SignedDuration,
    pub payback_hours: f64,
    pub saving_share_min: f64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            margin: MARGIN,
            window: WINDOW,
            payback_hours: PAYBACK_HOURS,
            saving_share_min: SAVING_SHARE_MIN,
        }
    }
}

/// Everything a plan looks at.
#[derive(Clone, Copy, Debug)]
pub struct JointInput<'a> {
    /// In the metric's unit, for all shards; `None` when it is not known.
    pub demand: Option<f64>,
    /// Rooms that are held now.
    pub rooms: f64,
    pub current: Current,
    pub usage: UsageModel,
    /// Of the shard that needs most memory: no size below it, whatever the model says.
    pub memory_estimate: Option<Estimate>,
    pub limits: Limits,
    pub resizing: Resizing,
    pub prices: Prices,
    pub tuning: Tuning,
    /// Of the last plan that was applied; default after a restart.
    pub memory: &'a JointMemory,
    pub now: Timestamp,
}

/// Another shape and what it would cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    pub shape: Shape,
    /// Core-hours an hour.
    pub running: f64,
}

/// What would have been done otherwise; `None` where no shape would serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counterfactual {
    /// Were changes free, and demand not held.
    pub unrestrained: Option<Alternative>,
    /// Were the size left as it is.
    pub count_only: Option<Alternative>,
}

/// A shape, how to get there, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JointPlan {
    pub shape: Shape,
    /// In order; empty when nothing changes.
    pub actions: Vec<Action>,
    pub reason: Reason,
    /// One sentence with the values that decided.
    pub message: String,
    /// What keeps the planned demand from being served; empty when it is.
    pub limited_by: Vec<Limit>,
    /// The demand that the shape serves.
    pub capacity: f64,
    /// The demand planned for.
    pub planned: f64,
    /// Core-hours an hour.
    pub running: f64,
    pub change: Change,
    pub counterfactual: Counterfactual,
    /// To be kept once the shape was written; keep the old one when writing failed.
    pub memory: JointMemory,
    pub at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JointError {
    #[error(
        "the usage model needs a cost per unit above zero, no negative value, and a utilization above 0 up to 1"
    )]
    Usage,
    #[error("limits and sizes must not be negative or undefined, and no minimum above its maximum")]
    Limits,
    #[error("prices and tuning must be finite and not negative")]
    Prices,
}

/// The cheapest shape for the demand.
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
    let (planned, is_over) = memory.follow(demand, capacity, !domain.allows(domain.current), input);
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
