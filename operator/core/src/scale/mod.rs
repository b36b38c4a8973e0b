//! How many replicas a component should have, and why.
//!
//! [`decide`] is the operator's own decision. It uses the parts of [`hpa`] and adds what the Kubernetes autoscaler
//! lacks: four states of a sample, forecasts, a panic window, schedules, and a cold start that never scales in.
//! Everything is a pure function of its input. [`ScaleMemory`] holds the state between two decisions.

mod anomaly;
pub mod base64_floats;
mod choice;
mod cost_ledger;
pub mod count_and_size;
mod cron;
mod decide;
mod demand;
pub mod demand_forecast;
mod expected_demand;
mod explain;
mod format;
mod gap;
pub mod hpa;
mod hpa_config;
mod limits;
mod measure;
mod memory;
pub mod metric_keys;
mod panic;
mod peaks;
pub mod pod_sum;
#[cfg(test)]
mod properties;
mod replica_cost;
pub mod ridge;
mod sample;
mod sample_change;
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
pub use expected_demand::Forecasts;
pub use hpa_config::scale_in_window;
pub use memory::{ScaleMemory, TimedValue};
pub use sample::{Cause, PENDING, Sample, stale_after};
pub use schedule::check as check_schedule;

/// The inputs of a decision.
#[derive(Clone, Copy, Debug)]
pub struct ScaleInput<'a> {
    pub component: Component,
    /// The desired count before this decision: from the last decision or from the spec.
    pub current: i32,
    /// The number of ready replicas.
    pub ready: i32,
    pub block: &'a Autoscaling,
    /// By `Metric::name()`. A metric without an entry has no sample.
    pub samples: &'a BTreeMap<String, Sample>,
    /// From [`demand_forecast::DemandForecaster`], which the caller owns. Only for metrics with a predictive block.
    pub forecasts: &'a Forecasts,
    /// The memory of the last decision. The default after a restart.
    pub memory: &'a ScaleMemory,
    pub now: Timestamp,
}

/// The reason for a count. The names are part of the API: they appear in status and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// A metric recommends more replicas.
    MetricAboveTarget,
    /// All metrics recommend fewer replicas.
    MetricsBelowTarget,
    /// No metric recommends a change.
    OnTarget,
    /// The count was below `minReplicas`.
    BelowMinimum,
    /// The count was above `maxReplicas`.
    AboveMaximum,
    /// A schedule requires more replicas.
    Schedule,
    /// The forecast expects more demand than is measured, or headroom replaces the forecast.
    Forecast,
    /// The panic window: demand rose far above what the ready replicas serve.
    Panic,
    /// A metric has no usable sample, so nothing is scaled in.
    MetricsUnavailable,
    /// No replica is ready, so the metrics do not show the demand.
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
    /// The name in the status, e.g. `MetricAboveTarget`.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::MetricAboveTarget => "MetricAboveTarget",
            Reason::MetricsBelowTarget => "MetricsBelowTarget",
            Reason::OnTarget => "OnTarget",
            Reason::BelowMinimum => "BelowMinimum",
            Reason::AboveMaximum => "AboveMaximum",
            Reason::Schedule => "Schedule",
            Reason::Forecast => "Forecast",
            Reason::Panic => "Panic",
            Reason::MetricsUnavailable => "MetricsUnavailable",
            Reason::NoneReady => "NoneReady",
            Reason::ColdStart => "ColdStart",
            Reason::ScaleInPaused => "ScaleInPaused",
            Reason::Stabilized => "Stabilized",
            Reason::Limited => "Limited",
        }
    }
}

/// What kept the count from being the recommended one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Restraint {
    Minimum,
    Maximum,
    ScaleOutRate,
    ScaleInRate,
    ScaleOutStabilization,
    ScaleInStabilization,
    Panic,
    MissingMetrics,
    SuddenChange,
    NoneReady,
    ColdStart,
    ScaleInPaused,
}

/// The proposal of one metric, forecast, panic window or schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposal {
    /// The metric's name, `schedule/<name>`, `panic/<metric>`, or `forecast/`, `headroom/` and
    /// `preview/<metric>` of a predictive block.
    pub name: String,
    /// The value as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Why there is no count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A decision with its inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleDecision {
    pub component: Component,
    /// The count before the decision.
    pub current: i32,
    /// The new count. Equal to `current` if nothing changes.
    pub replicas: i32,
    pub reason: Reason,
    /// One sentence with the decisive values, the recommendation, and what held it.
    pub message: String,
    pub proposals: Vec<Proposal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited_by: Option<Restraint>,
    /// The new memory. Store it even if the API server rejects the write of the count.
    pub memory: ScaleMemory,
    /// When to decide again, unless a new sample arrives earlier.
    pub requeue_after: Duration,
    pub at: Timestamp,
}
