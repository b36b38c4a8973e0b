//! The `autoscaling` block of a component.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::{
    GATEWAYS_MAX, LEAD_SECONDS_MAX, METRICS_MAX, POLICIES_MAX, POLICY_PERIOD_SECONDS_MAX, SCHEDULES_MAX,
    STABILIZATION_SECONDS_MAX,
};
use crate::quantity::Quantity;

/// Scales a component by what is measured. The largest proposal of all metrics, the forecast, the
/// panic window and the schedules wins, bounded by `minReplicas` and `maxReplicas` and slowed by `behavior`.
/// Missing or old samples never scale in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.minReplicas <= self.maxReplicas")
    .message("minReplicas must not exceed maxReplicas: lower minReplicas or raise maxReplicas"))]
#[x_kube(validation = Rule::new("!has(self.schedules) || self.schedules.all(s, s.minReplicas <= self.maxReplicas)")
    .message("a schedule's minReplicas must not exceed maxReplicas: lower it or raise maxReplicas"))]
pub struct Autoscaling {
    /// The fewest replicas ever asked for.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = GATEWAYS_MAX))]
    pub min_replicas: i32,

    /// The most replicas ever asked for.
    #[schemars(range(min = 1, max = GATEWAYS_MAX))]
    pub max_replicas: i32,

    /// What to scale by; each gives a proposal and the largest wins.
    #[schemars(length(min = 1, max = METRICS_MAX))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub metrics: Vec<Metric>,

    /// How fast and how far a decision may go, in the shape and meaning of `behavior` of a
    /// HorizontalPodAutoscaler (autoscaling/v2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behavior: Option<Behavior>,

    /// Reacts to bursts faster than `behavior.scaleDown` and metrics alone would. Absent: off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panic: Option<Panic>,

    /// Adds replicas for the demand that is expected before a decision takes effect. Absent: off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictive: Option<Predictive>,

    /// Times at which at least so many replicas must run, for instance before a daily meeting.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = SCHEDULES_MAX))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub schedules: Vec<Schedule>,

    /// Holds scale-in while true; scale-out continues.
    #[serde(default, skip_serializing_if = "is_false")]
    pub paused_scale_in: bool,
}

/// One metric and its target: exactly one of `builtin` and `promql`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.builtin) != has(self.promql)")
    .message("set exactly one of builtin (Participants or Connections) and promql ({name, query})"))]
#[x_kube(validation = Rule::new("!has(self.builtin) || has(self.target.averageValue)")
    .message("a builtin metric needs target.averageValue: the amount one replica should serve"))]
pub struct Metric {
    /// A metric every cluster has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builtin: Option<BuiltinMetric>,

    /// A query to the Prometheus of `spec.prometheus`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promql: Option<PromqlMetric>,

    /// What the metric should be.
    pub target: MetricTarget,
}

/// Metrics that need no query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum BuiltinMetric {
    /// Connected people in all rooms of the cluster.
    Participants,
    /// Open sockets on all gateways of the cluster.
    Connections,
}

impl BuiltinMetric {
    /// The name under which samples of it are kept.
    pub fn name(self) -> &'static str {
        match self {
            Self::Participants => "participants",
            Self::Connections => "connections",
        }
    }
}

/// A query that gives one number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PromqlMetric {
    /// The metric's name in status and messages; unique in the block.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,

    /// An instant query that gives exactly one series or scalar. `$namespace` and `$cluster` are
    /// replaced by those of this object.
    #[schemars(length(min = 1, max = 4096))]
    pub query: String,
}

/// The wanted value: exactly one of `averageValue` and `value`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.averageValue) != has(self.value)")
    .message("set exactly one of averageValue (amount per replica) and value (amount in all)"))]
pub struct MetricTarget {
    /// The amount per replica: replicas = measured ÷ averageValue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_value: Option<Quantity>,

    /// The wanted value itself: replicas = current replicas × measured ÷ value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Quantity>,
}

impl Metric {
    /// The name under which samples of this metric are kept: of the built-in, or the query's.
    pub fn name(&self) -> &str {
        match (&self.promql, self.builtin) {
            (Some(promql), _) => &promql.name,
            (None, Some(builtin)) => builtin.name(),
            (None, None) => "",
        }
    }
}

/// Policies for both directions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Behavior {
    /// Policies for adding replicas. Absent fields: doubling or 4 replicas per 15 seconds,
    /// whichever is more, and no stabilisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_up: Option<ScalingRules>,

    /// Policies for removing replicas. Absent fields: all within 15 seconds, after the
    /// recommendation has been lower for 300 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down: Option<ScalingRules>,
}

/// Policies for one direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingRules {
    /// How many seconds of past recommendations count: the safest of them is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = STABILIZATION_SECONDS_MAX))]
    pub stabilization_window_seconds: Option<i32>,

    /// Which policy decides when several allow a different change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select_policy: Option<SelectPolicy>,

    /// How much may change in what time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = POLICIES_MAX))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub policies: Option<Vec<ScalingPolicy>>,

    /// The relative difference from the target that is left alone, for instance `50m` for 5 %.
    /// Absent: 10 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Quantity>,
}

/// How policies combine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SelectPolicy {
    /// The policy that allows the largest change.
    Max,
    /// The policy that allows the smallest change.
    Min,
    /// No change in this direction.
    Disabled,
}

/// One limit on the speed of change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingPolicy {
    /// Whether `value` counts replicas or percent of them.
    #[serde(rename = "type")]
    pub type_: PolicyType,

    /// The most that may change within the period.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub value: i32,

    /// The period in seconds.
    #[schemars(range(min = 1, max = POLICY_PERIOD_SECONDS_MAX))]
    pub period_seconds: i32,
}

/// What a policy's value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PolicyType {
    /// Replicas.
    Pods,
    /// Percent of the replicas at the period's start.
    Percent,
}

/// Burst reaction: while demand is at or above the threshold of what the ready replicas should
/// serve, replicas are only ever added; it ends one stable window after demand fell below.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Panic {
    /// Demand in percent of what the ready replicas should serve at which panic begins.
    #[serde(default = "panic_threshold_percent")]
    #[schemars(range(min = 110, max = 1000))]
    pub threshold_percent: i32,

    /// The window in seconds over which demand is averaged to detect a burst.
    #[serde(default = "panic_window_seconds")]
    #[schemars(range(min = 1, max = 600))]
    pub window_seconds: i32,

    /// How long demand must have been below the threshold before panic ends, in seconds.
    #[serde(default = "panic_stable_seconds")]
    #[schemars(range(min = 1, max = 3600))]
    pub stable_seconds: i32,
}

/// Expected demand, for metrics with `averageValue`. A forecast adds replicas to what the metrics
/// ask for and never removes any, so `averageValue` may be all that a replica can serve: the
/// forecast gives the headroom that a lower target would give otherwise, as large as demand is
/// uncertain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Predictive {
    /// Whether the forecast acts: `"On"`, `"Preview"` or `"Off"`, in quotes because YAML reads a bare
    /// On or Off as a truth value.
    #[serde(default)]
    pub mode: PredictiveMode,

    /// How far ahead to look, in seconds: from a decision until a new replica serves, and the delay
    /// of the metric.
    #[serde(default = "lead_seconds")]
    #[schemars(range(min = 15, max = LEAD_SECONDS_MAX))]
    pub lead_seconds: i32,

    /// How many replica hours an hour below demand is worth. Replicas are added as long as each
    /// makes that much less likely than it costs.
    #[serde(default = "shortage_cost")]
    #[schemars(range(min = 1, max = 100_000))]
    pub shortage_cost: i32,

    /// Headroom in percent of the measured demand while there is no forecast, and for minutes after
    /// a metric fell suddenly. Over a day forecasts cost no more than a plain autoscaler with this
    /// headroom would: where demand cannot be predicted they give up safety, not money.
    #[serde(default = "headroom_percent")]
    #[schemars(range(min = 0, max = 1000))]
    pub headroom_percent: i32,
}

/// Whether a forecast acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PredictiveMode {
    /// No forecast.
    Off,
    /// The forecast is shown in status and changes nothing.
    Preview,
    /// The forecast adds replicas.
    #[default]
    On,
}

/// At least so many replicas from each time the cron expression matches, for some minutes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// The schedule's name in status and messages.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,

    /// When it begins, as `minute hour day-of-month month day-of-week`, e.g. `50 8 * * 1-5`.
    #[schemars(length(min = 9, max = 100), regex(pattern = r"^\S+ \S+ \S+ \S+ \S+$"))]
    pub cron: String,

    /// How long it lasts, in minutes.
    #[serde(default = "schedule_duration_minutes")]
    #[schemars(range(min = 1, max = 10_080))]
    pub duration_minutes: i32,

    /// The IANA time zone of `cron`.
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,

    /// The fewest replicas while it lasts.
    #[schemars(range(min = 1, max = GATEWAYS_MAX))]
    pub min_replicas: i32,
}

fn one() -> i32 {
    1
}

fn panic_threshold_percent() -> i32 {
    200
}

fn panic_window_seconds() -> i32 {
    6
}

fn panic_stable_seconds() -> i32 {
    60
}

fn lead_seconds() -> i32 {
    120
}

fn shortage_cost() -> i32 {
    400
}

fn headroom_percent() -> i32 {
    40
}

fn schedule_duration_minutes() -> i32 {
    60
}

fn utc() -> String {
    "UTC".to_owned()
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's `skip_serializing_if` hands a reference
fn is_false(value: &bool) -> bool {
    !value
}
