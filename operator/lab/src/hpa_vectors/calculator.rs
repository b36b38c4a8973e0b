//! Vectors of a single metric: pod groups, requests, ratios, counts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::input::{self, PodInput, SampleInput, ToleranceInput};
use poker_operator_core::scale::hpa::calculator::{self, PodContext};
use poker_operator_core::scale::hpa::error::MetricError;
use poker_operator_core::scale::hpa::metric::{Metric, Reading, Scope, Source, Target};
use poker_operator_core::scale::hpa::pods::{self, Pod, PodSample, PodSamples, Warmup};
use poker_operator_core::scale::hpa::{ratio, requests as pod_requests};

type Actual = Result<Value, serde_json::Error>;

#[derive(Deserialize)]
struct MetricVector {
    kind: String,
    now: Timestamp,
    current_replicas: i32,
    tolerance: ToleranceInput,
    #[serde(default)]
    resource: String,
    container: Option<String>,
    #[serde(default)]
    target_utilization_percent: i32,
    #[serde(default)]
    target_value_milli: i64,
    #[serde(default)]
    cpu_initialization_seconds: i64,
    #[serde(default)]
    initial_readiness_delay_seconds: i64,
    #[serde(default)]
    pods: Vec<PodInput>,
    #[serde(default)]
    metrics: Vec<SampleInput>,
    #[serde(default)]
    metric_values_milli: Vec<i64>,
}

impl MetricVector {
    fn propose(
        self,
        metric: Metric,
    ) -> Result<poker_operator_core::scale::hpa::metric::Proposal, MetricError> {
        let pods: Vec<Pod> = input::pods(&self.pods, &self.resource, self.now);
        let context = PodContext {
            current: self.current_replicas,
            tolerance: self.tolerance.into(),
            pods: &pods,
            warmup: warmup(
                self.cpu_initialization_seconds,
                self.initial_readiness_delay_seconds,
            ),
            pod_level_requests: false,
            now: self.now,
        };
        metric.propose(&Scope::of_pods(context, self.current_replicas))
    }
}

fn warmup(cpu_initialization_seconds: i64, initial_readiness_delay_seconds: i64) -> Warmup {
    Warmup {
        cpu_initialization: input::seconds(cpu_initialization_seconds),
        initial_readiness_delay: input::seconds(initial_readiness_delay_seconds),
    }
}

fn failed(error: &MetricError) -> Value {
    let class = match error {
        MetricError::NoMetrics(_) | MetricError::LowerBound(_) => "no_metrics",
        MetricError::NoPods | MetricError::NoSamples | MetricError::NoMatchingPods => "no_matching_pods",
        MetricError::MissingRequest { .. } | MetricError::MissingPodRequest { .. } => "missing_request",
        MetricError::ContainerNotFound { .. } => "container_not_found",
        MetricError::TargetNotSet(_) | MetricError::UnknownSource(_) => "invalid_source",
    };
    json!({ "error": { "class": class, "message": error.to_string() } })
}

pub fn resource(vector: &Value) -> Actual {
    let vector = MetricVector::deserialize(vector)?;
    let resource = vector.resource.clone();
    let source = match vector.container.clone() {
        Some(container) => Source::ContainerResource { resource, container },
        None => Source::Resource { resource },
    };
    let target = Some(Target::UtilizationPercent(vector.target_utilization_percent));
    let reading = Reading::Resources(input::resource_samples(&vector.metrics, vector.now));
    Ok(
        match vector.propose(Metric {
            source,
            target,
            reading,
        }) {
            Ok(proposal) => json!({
                "replicas": proposal.replicas,
                "utilization": proposal.status.utilization_percent,
                "raw_value": proposal.status.average_value.map(|q| q.milli),
            }),
            Err(error) => failed(&error),
        },
    )
}

pub fn pods(vector: &Value) -> Actual {
    let vector = MetricVector::deserialize(vector)?;
    let source = Source::Pods {
        metric: "metric".to_owned(),
    };
    let target = Some(Target::AverageValueMilli(vector.target_value_milli));
    let reading = Reading::Pods(input::pod_samples(&vector.metrics, vector.now));
    Ok(used(vector.propose(Metric {
        source,
        target,
        reading,
    })))
}

pub fn total(vector: &Value) -> Actual {
    let vector = MetricVector::deserialize(vector)?;
    let target = Target::ValueMilli(vector.target_value_milli);
    Ok(of_values(vector, target))
}

pub fn share(vector: &Value) -> Actual {
    let vector = MetricVector::deserialize(vector)?;
    let target = Target::AverageValueMilli(vector.target_value_milli);
    Ok(of_values(vector, target))
}

fn of_values(vector: MetricVector, target: Target) -> Value {
    let metric = "metric".to_owned();
    let source = match vector.kind.starts_with("object") {
        true => Source::Object {
            kind: "Deployment".to_owned(),
            metric,
        },
        false => Source::External { metric },
    };
    let reading = Reading::Values(vector.metric_values_milli.clone());
    used(vector.propose(Metric {
        source,
        target: Some(target),
        reading,
    }))
}

fn used(proposal: Result<poker_operator_core::scale::hpa::metric::Proposal, MetricError>) -> Value {
    match proposal {
        Ok(proposal) => {
            let usage = proposal
                .status
                .average_value
                .or(proposal.status.value)
                .map(|q| q.milli);
            json!({ "replicas": proposal.replicas, "usage": usage })
        }
        Err(error) => failed(&error),
    }
}

pub fn group(vector: &Value) -> Actual {
    #[derive(Deserialize)]
    struct GroupVector {
        now: Timestamp,
        resource: String,
        cpu_initialization_seconds: i64,
        initial_readiness_delay_seconds: i64,
        #[serde(default)]
        pods: Vec<PodInput>,
        #[serde(default)]
        metrics: Vec<SampleInput>,
    }
    let vector = GroupVector::deserialize(vector)?;
    let pods = input::pods(&vector.pods, &vector.resource, vector.now);
    let samples = input::pod_samples(&vector.metrics, vector.now);
    let warmup = warmup(
        vector.cpu_initialization_seconds,
        vector.initial_readiness_delay_seconds,
    );
    let groups = pods::group(&pods, &samples, &vector.resource, warmup, vector.now);
    Ok(json!({
        "ready_pod_count": groups.ready,
        "unready_pods": groups.unready,
        "missing_pods": groups.missing,
        "ignored_pods": groups.ignored,
    }))
}

pub fn requests(vector: &Value) -> Actual {
    #[derive(Deserialize)]
    struct RequestsVector {
        now: Timestamp,
        resource: String,
        container: Option<String>,
        pod_level_resources_enabled: bool,
        #[serde(default)]
        pods: Vec<PodInput>,
    }
    let vector = RequestsVector::deserialize(vector)?;
    let pods = input::pods(&vector.pods, &vector.resource, vector.now);
    let container = vector.container.as_deref();
    let pod_level = vector.pod_level_resources_enabled;
    Ok(
        match pod_requests::by_pod(&pods, container, &vector.resource, pod_level) {
            Ok(requests) => json!({ "requests": requests }),
            Err(error) => failed(&error),
        },
    )
}

pub fn per_pod_usage(vector: &Value) -> Actual {
    #[derive(Deserialize)]
    struct UsageVector {
        usage: i64,
        status_replicas: i32,
    }
    let vector = UsageVector::deserialize(vector)?;
    Ok(json!({ "usage": calculator::share(vector.usage, vector.status_replicas) }))
}

#[derive(Deserialize)]
struct RatioVector {
    #[serde(default)]
    metrics: BTreeMap<String, i64>,
    #[serde(default)]
    requests: BTreeMap<String, i64>,
    #[serde(default)]
    target_utilization_percent: i32,
    #[serde(default)]
    target_value_milli: i64,
}

impl RatioVector {
    fn samples(&self) -> PodSamples {
        let sample = |value_milli| PodSample {
            value_milli,
            at: Timestamp::UNIX_EPOCH,
            window: input::seconds(0),
        };
        self.metrics
            .iter()
            .map(|(pod, value)| (pod.clone(), sample(*value)))
            .collect()
    }
}

pub fn utilization_ratio(vector: &Value) -> Actual {
    let vector = RatioVector::deserialize(vector)?;
    let target = vector.target_utilization_percent;
    Ok(
        match ratio::utilization(&vector.samples(), &vector.requests, target) {
            Ok(found) => json!({
                "ratio": found.ratio, "utilization": found.utilization_percent, "raw_value": found.raw_milli,
            }),
            Err(error) => failed(&error),
        },
    )
}

pub fn usage_ratio(vector: &Value) -> Actual {
    let vector = RatioVector::deserialize(vector)?;
    let found = ratio::usage(&vector.samples(), vector.target_value_milli);
    Ok(json!({ "ratio": found.ratio, "usage": found.usage_milli }))
}
