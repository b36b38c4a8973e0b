//! The input of a vector, converted to the autoscaler's types.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use poker_operator_core::scale::hpa::behavior::{PartialRules, Policy, PolicyKind, Rules, SelectPolicy};
use poker_operator_core::scale::hpa::history::{History, Recommendation, ScaleEvent};
use poker_operator_core::scale::hpa::metric::{ContainerSample, ResourceSample};
use poker_operator_core::scale::hpa::pods::{Container, Phase, Pod, PodSample, PodSamples, Readiness};
use poker_operator_core::scale::hpa::tolerance::Tolerance;

/// The value without fields that are `null`: some writers use null for empty or absent fields.
pub fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let known = fields.iter().filter(|(_, field)| !field.is_null());
            known
                .map(|(name, field)| (name.clone(), without_nulls(field)))
                .collect()
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        value => value.clone(),
    }
}

/// Seconds relative to the vector's `now`; negative is the past.
pub fn at(now: Timestamp, offset_seconds: i64) -> Timestamp {
    now.saturating_add(SignedDuration::from_secs(offset_seconds))
        .unwrap_or(now)
}

pub fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

#[derive(Deserialize)]
pub struct ToleranceInput {
    up: f64,
    down: f64,
}

impl From<ToleranceInput> for Tolerance {
    fn from(input: ToleranceInput) -> Tolerance {
        Tolerance {
            up: input.up,
            down: input.down,
        }
    }
}

#[derive(Deserialize)]
struct ContainerInput {
    #[serde(default)]
    name: String,
    request_milli: Option<i64>,
    #[serde(default)]
    restart_always: bool,
}

impl ContainerInput {
    fn container(&self, resource: &str) -> Container {
        let requests_milli = self
            .request_milli
            .map(|milli| (resource.to_owned(), milli))
            .into_iter()
            .collect();
        Container {
            name: self.name.clone(),
            requests_milli,
        }
    }
}

#[derive(Deserialize)]
pub struct PodInput {
    name: String,
    #[serde(default)]
    phase: String,
    ready: Option<bool>,
    ready_transition_offset_seconds: Option<i64>,
    start_time_offset_seconds: Option<i64>,
    deletion_timestamp_offset_seconds: Option<i64>,
    #[serde(default)]
    containers: Vec<ContainerInput>,
    #[serde(default)]
    init_containers: Vec<ContainerInput>,
    pod_level_request_milli: Option<i64>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl PodInput {
    /// `resource`: the resource of the requests.
    pub fn pod(&self, resource: &str, now: Timestamp) -> Pod {
        let restarting = self.init_containers.iter().filter(|c| c.restart_always);
        let since = self
            .ready_transition_offset_seconds
            .map_or(Timestamp::MIN, |o| at(now, o));
        let request = self
            .pod_level_request_milli
            .map(|milli| (resource.to_owned(), milli));
        Pod {
            name: self.name.clone(),
            labels: self.labels.clone(),
            phase: match self.phase.as_str() {
                "Pending" => Phase::Pending,
                "Running" => Phase::Running,
                "Succeeded" => Phase::Succeeded,
                "Failed" => Phase::Failed,
                _ => Phase::Unknown,
            },
            readiness: self.ready.map(|ready| Readiness { ready, since }),
            started: self.start_time_offset_seconds.map(|o| at(now, o)),
            deleting: self.deletion_timestamp_offset_seconds.is_some(),
            containers: self
                .containers
                .iter()
                .chain(restarting)
                .map(|c| c.container(resource))
                .collect(),
            requests_milli: request.into_iter().collect(),
        }
    }
}

pub fn pods(input: &[PodInput], resource: &str, now: Timestamp) -> Vec<Pod> {
    input.iter().map(|p| p.pod(resource, now)).collect()
}

#[derive(Deserialize)]
struct ContainerUsage {
    #[serde(default)]
    name: String,
    usage_milli: Option<i64>,
}

/// A sample of any kind: by container or a single value, of a pod or without one.
#[derive(Deserialize)]
pub struct SampleInput {
    #[serde(default)]
    pod: String,
    #[serde(default)]
    timestamp_offset_seconds: i64,
    #[serde(default)]
    window_seconds: i64,
    #[serde(default)]
    containers: Vec<ContainerUsage>,
    #[serde(default)]
    pub value_milli: i64,
}

pub fn pod_samples(input: &[SampleInput], now: Timestamp) -> PodSamples {
    let sample = |s: &SampleInput| PodSample {
        value_milli: s.value_milli,
        at: at(now, s.timestamp_offset_seconds),
        window: seconds(s.window_seconds),
    };
    input.iter().map(|s| (s.pod.clone(), sample(s))).collect()
}

pub fn resource_samples(input: &[SampleInput], now: Timestamp) -> Vec<ResourceSample> {
    let sample = |s: &SampleInput| ResourceSample {
        pod: s.pod.clone(),
        at: at(now, s.timestamp_offset_seconds),
        window: seconds(s.window_seconds),
        containers: s
            .containers
            .iter()
            .map(|c| ContainerSample {
                name: c.name.clone(),
                usage_milli: c.usage_milli,
            })
            .collect(),
    };
    input.iter().map(sample).collect()
}

#[derive(Deserialize)]
struct PolicyInput {
    #[serde(rename = "type")]
    kind: String,
    value: i32,
    period_seconds: i32,
}

#[derive(Deserialize)]
pub struct RulesInput {
    stabilization_window_seconds: Option<i32>,
    select_policy: Option<String>,
    policies: Option<Vec<PolicyInput>>,
    tolerance: Option<f64>,
}

impl RulesInput {
    pub fn partial(&self) -> PartialRules {
        let policy = |p: &PolicyInput| Policy {
            kind: if p.kind == "Percent" {
                PolicyKind::Percent
            } else {
                PolicyKind::Pods
            },
            value: p.value,
            period_seconds: p.period_seconds,
        };
        PartialRules {
            stabilization_window_seconds: self.stabilization_window_seconds,
            select_policy: self.select_policy.as_deref().map(|select| match select {
                "Min" => SelectPolicy::Min,
                "Disabled" => SelectPolicy::Disabled,
                _ => SelectPolicy::Max,
            }),
            policies: self
                .policies
                .as_ref()
                .map(|list| list.iter().map(policy).collect()),
            tolerance: self.tolerance,
        }
    }

    pub fn scale_up(&self) -> Rules {
        Rules::for_scale_up(self.partial())
    }

    pub fn scale_down(&self) -> Rules {
        Rules::for_scale_down(self.partial())
    }
}

#[derive(Deserialize)]
pub struct EventInput {
    replica_change: i32,
    timestamp_offset_seconds: i64,
    #[serde(default)]
    outdated: bool,
}

pub fn events(input: &[EventInput], now: Timestamp) -> Vec<ScaleEvent> {
    let event = |e: &EventInput| ScaleEvent {
        change: e.replica_change,
        at: at(now, e.timestamp_offset_seconds),
        outdated: e.outdated,
    };
    input.iter().map(event).collect()
}

#[derive(Deserialize)]
pub struct RecommendationInput {
    replicas: i32,
    timestamp_offset_seconds: i64,
}

/// `null` recommendations mean no history, an empty list an empty one.
pub fn history(
    recommendations: Option<&[RecommendationInput]>,
    ups: &[EventInput],
    downs: &[EventInput],
    now: Timestamp,
) -> History {
    let recommendation = |r: &RecommendationInput| Recommendation {
        replicas: r.replicas,
        at: at(now, r.timestamp_offset_seconds),
    };
    History {
        recommendations: recommendations.map(|list| list.iter().map(recommendation).collect()),
        scale_ups: events(ups, now),
        scale_downs: events(downs, now),
    }
}
