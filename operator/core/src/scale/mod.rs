//! How many replicas a component should have, and why.
//!
//! [`decide`] is the operator's own decision: the parts of [`hpa`], and around them what the
//! Kubernetes autoscaler lacks: three states of a sample, forecasts, bursts, schedules, and a cold
//! start that never scales in. Everything is a pure function of its input; what must be remembered between
//! two decisions is in [`ScaleMemory`].

mod anomaly;
pub mod base64_floats;
pub mod count_and_size;
mod cron;
mod decide;
pub mod demand_forecast;
mod explain;
mod format;
pub mod hpa;
mod hpa_config;
mod limits;
mod measure;
mod memory;
pub mod metric_keys;
mod panic;
#[cfg(test)]
mod properties;
mod replica_cost;
pub mod ridge;
mod sample;
mod schedule;
#[cfg(test)]
mod tests;
pub mod vertical;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use poker_operator_api::{Autoscaling, Component};
use serde::{Deserialize, Serialize};

pub use cron::CronError;
pub use decide::decide;
pub use hpa_config::scale_in_window;
pub use memory::{ScaleMemory, TimedValue};
pub use replica_cost::Forecasts;
pub use sample::{Sample, stale_after};
pub use schedule::check as check_schedule;

/// Everything a decision looks at.
#[derive(Clone, Copy, Debug)]
pub struct ScaleInput<'a> {
    pub component: Component,
    /// The count asked for now: that of the last decision, or of the spec.
    pub current: i32,
    /// Replicas that serve.
    pub ready: i32,
    pub block: &'a Autoscaling,
    /// By `Metric::name()`; an absent entry is a missing sample.
    pub samples: &'a BTreeMap<String, Sample>,
    /// Of metrics with a predictive block; made by [`demand_forecast::DemandForecaster`], which the caller keeps.
    pub forecasts: &'a Forecasts,
    /// The memory of the last decision that was applied; default after a restart.
    pub memory: &'a ScaleMemory,
    pub now: Timestamp,
}

/// Why a count was chosen. The names are part of the API: they appear in status and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// A metric asks for more.
    MetricAboveTarget,
    /// All metrics ask for less.
    MetricsBelowTarget,
    /// No metric asks for a change.
    OnTarget,
    /// The count was below `minReplicas`.
    BelowMinimum,
    /// The count was above `maxReplicas`.
    AboveMaximum,
    /// A schedule asks for more.
    Schedule,
    /// More demand is expected than is measured, or there is no forecast and the headroom replaces it.
    Forecast,
    /// Demand jumped far above what the ready replicas serve.
    Burst,
    /// Without all samples nothing is scaled in.
    MetricsUnavailable,
    /// Nothing serves, so what is measured says nothing.
    NoneReady,
    /// The first decision after a start never scales in.
    ColdStart,
    /// `pausedScaleIn` holds the count.
    ScaleInPaused,
    /// Recent recommendations hold the count.
    Stabilized,
    /// Policies, `minReplicas` or `maxReplicas` hold the count.
    Limited,
}

impl Reason {
    /// The name as in status, e.g. `MetricAboveTarget`.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::MetricAboveTarget => "MetricAboveTarget",
            Reason::MetricsBelowTarget => "MetricsBelowTarget",
            Reason::OnTarget => "OnTarget",
            Reason::BelowMinimum => "BelowMinimum",
            Reason::AboveMaximum => "AboveMaximum",
            Reason::Schedule => "Schedule",
            Reason::Forecast => "Forecast",
            Reason::Burst => "Burst",
            Reason::MetricsUnavailable => "MetricsUnavailable",
            Reason::NoneReady => "NoneReady",
            Reason::ColdStart => "ColdStart",
            Reason::ScaleInPaused => "ScaleInPaused",
            Reason::Stabilized => "Stabilized",
            Reason::Limited => "Limited",
        }
    }
}

/// What kept the count from being what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Restraint {
    Minimum,
    Maximum,
    ScaleOutRate,
    ScaleInRate,
    ScaleOutStabilization,
    ScaleInStabilization,
    Burst,
    MissingMetrics,
    SuddenFall,
    SuddenRise,
    NoneReady,
    ColdStart,
    ScaleInPaused,
}

/// What one metric, forecast, schedule or burst asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposal {
    /// The metric's name, `schedule/<name>`, `burst/<metric>`, or `forecast/`, `headroom/` and
    /// `preview/<metric>` of a predictive block.
    pub name: String,
    /// What was measured, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Why there are no replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A decision with its inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleDecision {
    pub component: Component,
    /// The count before.
    pub current: i32,
    /// The count to ask for; equal to `current` when nothing changes.
    pub replicas: i32,
    pub reason: Reason,
    /// One sentence with the values that decided, and what would have been done without what held it.
    pub message: String,
    pub proposals: Vec<Proposal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited_by: Option<Restraint>,
    /// To be kept once the count was written; keep the old one when writing failed.
    pub memory: ScaleMemory,
    /// When to decide again at the latest, if no sample comes before.
    pub look_again_after: Duration,
    pub at: Timestamp,
}
