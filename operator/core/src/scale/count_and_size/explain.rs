//! The reason and the message of a plan.

use serde::{Deserialize, Serialize};

use super::limited::Limit;
use super::shape::Shape;

const MIB: f64 = 1024.0 * 1024.0;

/// The names are part of the API: they appear in status and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// The current shape serves the demand, and no other is enough cheaper to justify a change.
    OnTarget,
    /// The demand is unknown, which is never taken as zero. Nothing changes.
    DemandUnknown,
    /// The demand exceeds the capacity of the current shape.
    DemandAboveCapacity,
    /// The demand stayed low for the whole window.
    DemandBelowCapacity,
    /// Another shape serves the same demand at a lower cost.
    CheaperShape,
    /// The current shape is outside the limits.
    OutsideLimits,
    /// No allowed shape serves the demand, so the plan is the largest one.
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

/// The decisive values.
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
    format!("{reason}: {change}; {demand}, capacity {capacity:.1}{limits}; {running:.2} core-hours per hour")
}

fn shape(shape: Shape) -> String {
    let (cores, mib) = (shape.size.cores, shape.size.bytes / MIB);
    format!("{} × {cores:.2} cores, {mib:.0} MiB", shape.count)
}
