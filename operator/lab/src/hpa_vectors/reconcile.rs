//! Vectors of a whole reconcile of the autoscaler.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::input::{self, EventInput, PodInput, RecommendationInput, RulesInput, SampleInput};
use poker_operator_core::scale::hpa::behavior::Behavior;
use poker_operator_core::scale::hpa::condition::{Condition, ConditionType, Conditions};
use poker_operator_core::scale::hpa::controller::{Outcome, Reconcile, Scale, Settings, Status};
use poker_operator_core::scale::hpa::error::MetricError;
use poker_operator_core::scale::hpa::metric::{Metric, MetricStatus, Reading, Source, Target};
use poker_operator_core::scale::hpa::pods::Warmup;
use poker_operator_core::scale::hpa::quantity::Quantity;
use poker_operator_core::scale::hpa::rate::{Bounds, ScaleUpLimit};

/// The resource of the requests in these vectors.
const REQUESTED: &str = "cpu";

#[derive(Deserialize)]
struct ReconcileVector {
    now: Timestamp,
    controller: ControllerInput,
    features: FeaturesInput,
    scale_target: TargetInput,
    hpa: HpaInput,
    recommendations: Option<Vec<RecommendationInput>>,
    #[serde(default)]
    scale_up_events: Vec<EventInput>,
    #[serde(default)]
    scale_down_events: Vec<EventInput>,
    #[serde(default)]
    other_hpas: Vec<OtherInput>,
    #[serde(default)]
    pods: Vec<PodInput>,
}

#[derive(Deserialize)]
struct ControllerInput {
    tolerance: f64,
    cpu_initialization_seconds: i64,
    initial_readiness_delay_seconds: i64,
    downscale_stabilization_seconds: i64,
    scale_up_limit_factor: f64,
    scale_up_limit_minimum: f64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FeaturesInput {
    scale_to_zero: bool,
    configurable_tolerance: bool,
    pod_level_resources: bool,
}

#[derive(Deserialize)]
struct TargetInput {
    spec_replicas: i32,
    status_replicas: i32,
    #[serde(default)]
    selector: String,
    /// True, or an error when it is read.
    #[serde(default)]
    get_error: Value,
    update_error: Option<String>,
}

#[derive(Deserialize)]
struct HpaInput {
    min_replicas: Option<i32>,
    max_replicas: i32,
    #[serde(default)]
    metrics: Vec<MetricInput>,
    behavior: Option<BehaviorInput>,
    status: StatusInput,
}

#[derive(Deserialize)]
struct BehaviorInput {
    scale_up: RulesInput,
    scale_down: RulesInput,
}

#[derive(Deserialize)]
struct StatusInput {
    current_replicas: i32,
    desired_replicas: i32,
    last_scale_time_offset_seconds: Option<i64>,
    #[serde(default)]
    conditions: Vec<ConditionInput>,
    #[serde(default)]
    current_metrics: Vec<CurrentMetricInput>,
}

#[derive(Deserialize)]
struct ConditionInput {
    #[serde(rename = "type")]
    kind: String,
    status: bool,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct CurrentMetricInput {
    #[serde(rename = "type")]
    kind: String,
    #[serde(alias = "metric", default)]
    resource: String,
    utilization_percent: Option<i32>,
    average_value_milli: Option<i64>,
    value_milli: Option<i64>,
}

#[derive(Deserialize)]
struct MetricInput {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    container: String,
    #[serde(default)]
    metric: String,
    object: Option<ObjectInput>,
    target: Option<MetricTargetInput>,
    #[serde(default)]
    fetch_error: bool,
    #[serde(default)]
    samples: Vec<SampleInput>,
}

#[derive(Deserialize)]
struct ObjectInput {
    kind: String,
}

#[derive(Deserialize)]
struct MetricTargetInput {
    #[serde(rename = "type")]
    kind: String,
    utilization_percent: Option<i32>,
    value_milli: Option<i64>,
}

#[derive(Deserialize)]
struct OtherInput {
    selector: String,
}

pub fn run(vector: &Value) -> Result<Value, serde_json::Error> {
    let v = ReconcileVector::deserialize(vector)?;
    let now = v.now;
    let behavior = v.hpa.behavior.as_ref().map(|b| Behavior {
        scale_up: b.scale_up.scale_up(),
        scale_down: b.scale_down.scale_down(),
    });
    let metrics: Vec<Metric> = v.hpa.metrics.iter().map(|m| m.metric(now)).collect();
    let pods = input::pods(&v.pods, REQUESTED, now);
    let other_selectors: Vec<String> = v.other_hpas.iter().map(|o| o.selector.clone()).collect();
    let pass = Reconcile {
        settings: v.settings(),
        scale: v.scale_target.scale(),
        bounds: Bounds {
            min: v.hpa.min_replicas.unwrap_or(1),
            max: v.hpa.max_replicas,
        },
        metrics: &metrics,
        behavior: behavior.as_ref(),
        pods: &pods,
        other_selectors: &other_selectors,
        now,
    };
    let mut history = input::history(
        v.recommendations.as_deref(),
        &v.scale_up_events,
        &v.scale_down_events,
        now,
    );
    let entry = v.hpa.status.status(now);
    // The writer retries conflicts, so only a permanent error counts.
    let fails = v.scale_target.update_error.as_deref() == Some("always");
    let write = |_| {
        if fails {
            Err("the write is refused".to_owned())
        } else {
            Ok(())
        }
    };
    let outcome = pass.run(entry.clone(), &mut history, write);
    Ok(report(&metrics, &entry, &outcome, v.scale_target.spec_replicas))
}

impl ReconcileVector {
    fn settings(&self) -> Settings {
        let c = &self.controller;
        Settings {
            tolerance: c.tolerance,
            warmup: Warmup {
                cpu_initialization: input::seconds(c.cpu_initialization_seconds),
                initial_readiness_delay: input::seconds(c.initial_readiness_delay_seconds),
            },
            downscale_window: input::seconds(c.downscale_stabilization_seconds),
            scale_up_limit: ScaleUpLimit {
                factor: c.scale_up_limit_factor,
                minimum: c.scale_up_limit_minimum,
            },
            scale_to_zero: self.features.scale_to_zero,
            configurable_tolerance: self.features.configurable_tolerance,
            pod_level_requests: self.features.pod_level_resources,
        }
    }
}

impl TargetInput {
    fn scale(&self) -> Result<Scale, String> {
        if self.get_error == true || self.get_error == "always" {
            return Err("the scale cannot be read".to_owned());
        }
        let selector = self.selector.clone();
        Ok(Scale {
            asked: self.spec_replicas,
            reported: self.status_replicas,
            selector,
        })
    }
}

impl StatusInput {
    fn status(&self, now: Timestamp) -> Status {
        let condition = |c: &ConditionInput| {
            let kind = match c.kind.as_str() {
                "AbleToScale" => ConditionType::AbleToScale,
                "ScalingActive" => ConditionType::ScalingActive,
                "ScalingLimited" => ConditionType::ScalingLimited,
                "ScaledToZero" => ConditionType::ScaledToZero,
                _ => return None,
            };
            Some(Condition {
                kind,
                status: c.status,
                reason: c.reason.clone(),
                message: String::new(),
            })
        };
        Status {
            current_replicas: self.current_replicas,
            desired_replicas: self.desired_replicas,
            last_scale: self.last_scale_time_offset_seconds.map(|o| input::at(now, o)),
            metrics: self.current_metrics.iter().map(|m| Some(m.status())).collect(),
            conditions: Conditions(self.conditions.iter().filter_map(condition).collect()),
        }
    }
}

impl CurrentMetricInput {
    fn status(&self) -> MetricStatus {
        MetricStatus {
            type_name: self.kind.clone(),
            name: self.resource.clone(),
            utilization_percent: self.utilization_percent,
            average_value: self
                .average_value_milli
                .map(|m| Quantity::of_resource(&self.resource, m)),
            value: self.value_milli.map(Quantity::decimal),
        }
    }
}

impl MetricInput {
    fn metric(&self, now: Timestamp) -> Metric {
        let source = match self.kind.as_str() {
            "Resource" => Source::Resource {
                resource: self.resource.clone(),
            },
            "ContainerResource" => {
                let (resource, container) = (self.resource.clone(), self.container.clone());
                Source::ContainerResource { resource, container }
            }
            "Pods" => Source::Pods {
                metric: self.metric.clone(),
            },
            "Object" => {
                let kind = self.object.as_ref().map(|o| o.kind.clone()).unwrap_or_default();
                Source::Object {
                    kind,
                    metric: self.metric.clone(),
                }
            }
            "External" => Source::External {
                metric: self.metric.clone(),
            },
            other => Source::Unsupported {
                kind: other.to_owned(),
            },
        };
        Metric {
            target: self.target.as_ref().and_then(MetricTargetInput::target),
            reading: self.reading(now),
            source,
        }
    }

    fn reading(&self, now: Timestamp) -> Reading {
        if self.fetch_error {
            return Reading::Failed("the source cannot be read".to_owned());
        }
        match self.kind.as_str() {
            "Resource" | "ContainerResource" => {
                Reading::Resources(input::resource_samples(&self.samples, now))
            }
            "Pods" => Reading::Pods(input::pod_samples(&self.samples, now)),
            _ => Reading::Values(self.samples.iter().map(|s| s.value_milli).collect()),
        }
    }
}

impl MetricTargetInput {
    fn target(&self) -> Option<Target> {
        match self.kind.as_str() {
            "Utilization" => self.utilization_percent.map(Target::UtilizationPercent),
            "AverageValue" => self.value_milli.map(Target::AverageValueMilli),
            "Value" => self.value_milli.map(Target::ValueMilli),
            _ => None,
        }
    }
}

/// The result in the form of `expect`.
fn report(metrics: &[Metric], entry: &Status, outcome: &Outcome, current: i32) -> Value {
    let conditions: Vec<Value> = outcome
        .status
        .conditions
        .0
        .iter()
        .map(|c| json!({ "type": c.kind.name(), "status": c.status, "reason": c.reason }))
        .collect();
    let results: Vec<Value> = metrics
        .iter()
        .zip(&outcome.proposals)
        .map(|(metric, proposal)| {
            let error = match proposal {
                Ok(_) => "none",
                Err(MetricError::UnknownSource(_)) => "spec",
                Err(_) => "internal",
            };
            let desired = proposal.as_ref().map_or(entry.current_replicas, |p| p.replicas);
            let action = action(desired, entry.current_replicas);
            json!({ "type": metric.source.type_name(), "action": action, "error": error })
        })
        .collect();
    let rescaled = outcome.events.iter().find(|e| e.reason == "SuccessfulRescale");
    json!({
        "desired_replicas": outcome.written.unwrap_or(outcome.status.desired_replicas),
        "scale_updated": outcome.written.is_some(),
        "conditions": conditions,
        "reconcile_action": action(outcome.written.unwrap_or(current), current),
        "reconcile_error": if outcome.error.is_some() { "internal" } else { "none" },
        "metric_results": results,
        "cpu_utilization": cpu_utilization(&outcome.status),
        "event": rescaled.map(|e| json!({ "reason": e.reason, "new_size": e.new_size })),
        "status_written": !same_status(entry, &outcome.status),
    })
}

fn action(desired: i32, current: i32) -> &'static str {
    match desired.cmp(&current) {
        Ordering::Greater => "scale_up",
        Ordering::Less => "scale_down",
        Ordering::Equal => "none",
    }
}

fn cpu_utilization(status: &Status) -> Option<i32> {
    let mut metrics = status.metrics.iter().flatten();
    metrics
        .find(|m| m.type_name == "Resource" && m.name == "cpu")?
        .utilization_percent
}

/// Equal except for the messages of conditions, which vectors do not hold.
fn same_status(a: &Status, b: &Status) -> bool {
    let textless = |status: &Status| {
        let mut status = status.clone();
        status.conditions.0.iter_mut().for_each(|c| c.message.clear());
        status.conditions.0.sort_by_key(|c| c.kind);
        status
    };
    textless(a) == textless(b)
}
