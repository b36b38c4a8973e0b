//! Why a plan is as it is, in a sentence.

use serde::{Deserialize, Serialize};

use super::limited::Limit;
use super::shape::Shape;

const MIB: f64 = 1024.0 * 1024.0;

/// The names are part of the API: they appear in status and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// What is there serves the demand, and nothing else is so much cheaper that a change is worth it.
    OnTarget,
    /// Missing demand is never zero: nothing changes.
    DemandUnknown,
    /// More demand than what is there was planned for.
    DemandAboveCapacity,
    /// Demand stayed low for the whole window.
    DemandBelowCapacity,
    /// The same demand for less.
    CheaperShape,
    /// What is there is outside the limits.
    OutsideLimits,
    /// No allowed shape serves the demand: the largest is taken.
    LimitReached,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::OnTarget => "OnTarget",
            Reason::DemandUnknown => "DemandUnknown",
            Reason::DemandAboveCapacity => "DemandAboveCapacity",
            Reason::DemandBelowCapacity => "DemandBelowCapacity",
            Reason::CheaperShape => "CheaperShape",
            Reason::OutsideLimits => "OutsideLimits",
            Reason::LimitReached => "LimitReached",
        }
    }
}

/// The values that decided.
pub(super) struct Values<'a> {
    pub reason: Reason,
    pub from: Shape,
    pub to: Shape,
    pub demand: Option<f64>,
    pub planned: f64,
    pub capacity: f64,
    pub running: f64,
    pub limited_by: &'a [Limit],
}

pub(super) fn message(values: &Values<'_>) -> String {
    let Values {
        from,
        to,
        planned,
        capacity,
        running,
        ..
    } = values;
    let change = match from == to {
        true => format!("stays at {}", shape(*to)),
        false => format!("{} instead of {}", shape(*to), shape(*from)),
    };
    let demand = values.demand.map_or("unknown demand".to_owned(), |demand| {
        format!("demand {demand:.1}, planned for {planned:.1}")
    });
    let limits: Vec<String> = values
        .limited_by
        .iter()
        .map(|limit| format!("{limit:?}"))
        .collect();
    let limits = match limits.is_empty() {
        true => String::new(),
        false => format!(", limited by {}", limits.join(", ")),
    };
    let reason = values.reason.as_str();
    format!("{reason}: {change}; {demand}, capacity {capacity:.1}{limits}; {running:.2} core-hours an hour")
}

fn shape(shape: Shape) -> String {
    let (cores, mib) = (shape.size.cores, shape.size.bytes / MIB);
    format!("{} × {cores:.2} cores, {mib:.0} MiB", shape.count)
}
