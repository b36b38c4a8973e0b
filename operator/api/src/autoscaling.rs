//! The `autoscaling` block of a component.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::{
    GATEWAYS_MAX, LEAD_SECONDS_MAX, METRICS_MAX, POLICIES_MAX, POLICY_PERIOD_SECONDS_MAX, SCHEDULES_MAX,
    STABILIZATION_SECONDS_MAX,
};
use crate::quantity::Quantity;

/// Scales a component by metrics. The operator takes the largest count that a metric, the forecast, the
/// panic window or a schedule proposes, limits it to `minReplicas` and `maxReplicas`, and slows it down by
/// `behavior`. It never scales in on missing or stale samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.minReplicas <= self.maxReplicas")
    .message("minReplicas must not exceed maxReplicas: lower minReplicas or raise maxReplicas"))]
#[x_kube(validation = Rule::new("!has(self.schedules) || self.schedules.all(s, s.minReplicas <= self.maxReplicas)")
    .message("a schedule's minReplicas must not exceed maxReplicas: lower it or raise maxReplicas"))]
pub struct Autoscaling {
    /// The lower limit of the replica count.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = GATEWAYS_MAX))]
    pub min_replicas: i32,

    /// The upper limit of the replica count.
    #[schemars(range(min = 1, max = GATEWAYS_MAX))]
    pub max_replicas: i32,

    /// The metrics to scale by. Each proposes a count; the largest wins.
    #[schemars(length(min = 1, max = METRICS_MAX))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub metrics: Vec<Metric>,

    /// How fast the count may change. Same fields and meaning as `behavior` of a HorizontalPodAutoscaler
    /// (autoscaling/v2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behavior: Option<Behavior>,

    /// The panic window: reacts to a sudden rise in demand at once. Absent: off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panic: Option<Panic>,

    /// Adds replicas for the demand expected by the time a new replica serves. Absent: off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictive: Option<Predictive>,

    /// Times with a higher minimum of replicas, for instance before a daily meeting.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = SCHEDULES_MAX))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub schedules: Vec<Schedule>,

    /// If true, the operator does not scale in. Scale-out continues.
    #[serde(default, skip_serializing_if = "is_false")]
    pub paused_scale_in: bool,
}

/// One metric and its target. Exactly one of `builtin` and `promql` is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.builtin) != has(self.promql)")
    .message("set exactly one of builtin (Participants or Connections) and promql ({name, query})"))]
#[x_kube(validation = Rule::new("!has(self.builtin) || has(self.target.averageValue)")
    .message("a builtin metric requires target.averageValue: set it to the amount that one replica should serve"))]
pub struct Metric {
    /// A metric that every PokerCluster has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builtin: Option<BuiltinMetric>,

    /// A query against the Prometheus of `spec.prometheus`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promql: Option<PromqlMetric>,

    /// The target value of the metric.
    pub target: MetricTarget,
}

/// Metrics for which the operator knows the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum BuiltinMetric {
    /// People connected to the rooms of the cluster.
    Participants,
    /// Sockets open on the gateways of the cluster.
    Connections,
}

impl BuiltinMetric {
    /// The key of its samples.
    pub fn name(self) -> &'static str {
        match self {
            Self::Participants => "participants",
            Self::Connections => "connections",
        }
    }
}

/// A query with one number as its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PromqlMetric {
    /// The metric's name in status and messages. Must be unique among `metrics`.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,

    /// An instant query that returns exactly one series or scalar. `$namespace` and `$cluster` are
    /// replaced by the namespace and the name of this object.
    #[schemars(length(min = 1, max = 4096))]
    pub query: String,
}

/// The target value of a metric. Exactly one of `averageValue` and `value` is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.averageValue) != has(self.value)")
    .message("set exactly one of averageValue (amount per replica) and value (total amount)"))]
pub struct MetricTarget {
    /// The amount per replica: replicas = metric ÷ averageValue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_value: Option<Quantity>,

    /// The total amount: replicas = current replicas × metric ÷ value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Quantity>,
}

impl Metric {
    /// The key of its samples: the name of the query or of the built-in metric.
    pub fn name(&self) -> &str {
        match (&self.promql, self.builtin) {
            (Some(promql), _) => &promql.name,
            (None, Some(builtin)) => builtin.name(),
            (None, None) => "",
        }
    }
}

/// Scaling rules for both directions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Behavior {
    /// Rules for scale-out. Defaults: double the count or add 4 replicas per 15 seconds,
    /// whichever is more, without a stabilization window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_up: Option<ScalingRules>,

    /// Rules for scale-in. Defaults: any number of replicas per 15 seconds, with a stabilization
    /// window of 300 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down: Option<ScalingRules>,
}

/// Scaling rules for one direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingRules {
    /// The stabilization window in seconds. The operator uses the safest recommendation of this window:
    /// the highest for scale-in, the lowest for scale-out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = STABILIZATION_SECONDS_MAX))]
    pub stabilization_window_seconds: Option<i32>,

    /// Which policy applies if several allow different changes. Absent: `Max`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select_policy: Option<SelectPolicy>,

    /// Limits on how much the count may change in a period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = POLICIES_MAX))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub policies: Option<Vec<ScalingPolicy>>,

    /// The relative deviation from the target that causes no change, for instance `50m` for 5 %.
    /// Absent: 10 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Quantity>,
}

/// How several policies combine.
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
    /// Whether `value` is a number of replicas or a percentage.
    #[serde(rename = "type")]
    pub type_: PolicyType,

    /// The largest change allowed within the period.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub value: i32,

    /// The length of the period in seconds.
    #[schemars(range(min = 1, max = POLICY_PERIOD_SECONDS_MAX))]
    pub period_seconds: i32,
}

/// The unit of a policy's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PolicyType {
    /// Replicas.
    Pods,
    /// Percent of the replicas at the start of the period.
    Percent,
}

/// The panic window. Panic begins when the average demand over a short window reaches a threshold,
/// relative to what the ready replicas should serve. During panic the operator only adds replicas. Panic
/// ends once demand has been below the threshold for `stableSeconds`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Panic {
    /// The threshold, in percent of the demand that the ready replicas should serve.
    #[serde(default = "panic_threshold_percent")]
    #[schemars(range(min = 110, max = 1000))]
    pub threshold_percent: i32,

    /// The length of the panic window in seconds: demand is averaged over it.
    #[serde(default = "panic_window_seconds")]
    #[schemars(range(min = 1, max = 600))]
    pub window_seconds: i32,

    /// How long demand must stay below the threshold before panic ends, in seconds.
    #[serde(default = "panic_stable_seconds")]
    #[schemars(range(min = 1, max = 3600))]
    pub stable_seconds: i32,
}

/// Forecasts of demand, for metrics with `averageValue`. A forecast can raise the count that the metrics
/// propose and never lowers it. It replaces the headroom of a lower target, and provides more of it the less
/// certain demand is. So set `averageValue` to the full capacity of a replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Predictive {
    /// Whether forecasts change the count: `"On"`, `"Preview"` or `"Off"`. The quotes are required because
    /// YAML reads a bare On or Off as a boolean.
    #[serde(default)]
    pub mode: PredictiveMode,

    /// How far ahead to forecast, in seconds: the time from a decision until a new replica serves, plus the
    /// delay of the metric.
    #[serde(default = "lead_seconds")]
    #[schemars(range(min = 15, max = LEAD_SECONDS_MAX))]
    pub lead_seconds: i32,

    /// The cost of one hour with too few replicas, in replica hours. The operator adds replicas as long as
    /// each saves more shortage than it costs.
    #[serde(default = "shortage_cost")]
    #[schemars(range(min = 1, max = 100_000))]
    pub shortage_cost: i32,

    /// The headroom in percent of the measured demand that replaces the forecast while there is none, and
    /// for some minutes after a sudden fall of a metric. It also limits cost: over a day, forecasts cost no
    /// more than a plain autoscaler with this headroom. If demand is unpredictable, forecasts therefore
    /// provide less safety rather than cost more.
    #[serde(default = "headroom_percent")]
    #[schemars(range(min = 0, max = 1000))]
    pub headroom_percent: i32,
}

/// Whether forecasts change the count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PredictiveMode {
    /// No forecasts.
    Off,
    /// Forecasts appear in the status and change nothing.
    Preview,
    /// Forecasts add replicas.
    #[default]
    On,
}

/// A higher minimum of replicas for some time, starting whenever a cron expression matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// The schedule's name in status and messages.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,

    /// When the schedule starts, as `minute hour day-of-month month day-of-week`, e.g. `50 8 * * 1-5`.
    #[schemars(length(min = 9, max = 100), regex(pattern = r"^\S+ \S+ \S+ \S+ \S+$"))]
    pub cron: String,

    /// How long the schedule lasts, in minutes.
    #[serde(default = "schedule_duration_minutes")]
    #[schemars(range(min = 1, max = 10_080))]
    pub duration_minutes: i32,

    /// The IANA time zone of `cron`.
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,

    /// The minimum of replicas during the schedule.
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

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's `skip_serializing_if` passes a reference
fn is_false(value: &bool) -> bool {
    !value
}
