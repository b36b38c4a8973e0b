//! From samples to the proposal of each metric.

use jiff::Timestamp;
use poker_operator_api::autoscaling::Metric as ApiMetric;

use super::demand::Demand;
use super::hpa::calculator::PodContext;
use super::hpa::error::MetricError;
use super::hpa::metric::{self, Metric, Reading, Scope, Source, Target};
use super::hpa::pods::Warmup;
use super::hpa::tolerance::Tolerance;
use super::{Proposal, Sample, ScaleInput, format, hpa_config};

/// One metric of the block with its target, its value and the count it proposes.
#[derive(Clone, Debug)]
pub struct Measured {
    pub name: String,
    pub target: Option<Target>,
    /// The value for the whole component and when it was measured.
    pub value: Option<(f64, Timestamp)>,
    /// The value is a lower bound: only a part of the pods is in it.
    pub is_bound: bool,
    pub proposed: Result<metric::Proposal, MetricError>,
}

/// Evaluates every metric of the block.
pub fn all(input: &ScaleInput, tolerance: Tolerance) -> Vec<Measured> {
    input
        .block
        .metrics
        .iter()
        .map(|metric| one(input, metric, tolerance))
        .collect()
}

fn one(input: &ScaleInput, metric: &ApiMetric, tolerance: Tolerance) -> Measured {
    let name = metric.name().to_owned();
    let target = hpa_config::target(metric);
    let sample = input.samples.get(&name);
    let value = usable(sample);
    let proposed = propose(input, metric, value.as_ref().map(|(value, _)| *value), tolerance);
    let (proposed, is_bound) = match sample {
        Some(Sample::Partial { why, .. }) => (scale_out_only(proposed, input.current, why), true),
        _ => (proposed, false),
    };
    Measured {
        name,
        target,
        value: value.ok(),
        is_bound,
        proposed,
    }
}

/// The count that a value of a metric proposes.
pub fn propose(
    input: &ScaleInput,
    metric: &ApiMetric,
    value: Result<f64, &String>,
    tolerance: Tolerance,
) -> Result<metric::Proposal, MetricError> {
    let target = hpa_config::target(metric);
    let external = Metric {
        source: Source::External {
            metric: metric.name().to_owned(),
        },
        target,
        reading: match value {
            Ok(value) => Reading::Values(vec![(value * 1000.0).round() as i64]),
            Err(why) => Reading::Failed(why.clone()),
        },
    };
    let proposed = external.propose(&scope(input, tolerance));
    proposed.map(|p| keep_direction(p, input.current, target))
}

/// A usable value, or why there is none. A missing value is never zero.
fn usable(sample: Option<&Sample>) -> Result<(f64, Timestamp), String> {
    match sample {
        Some(Sample::Fresh { value, at, .. } | Sample::Partial { value, at, .. }) => {
            if value.is_finite() && *value >= 0.0 {
                Ok((*value, *at))
            } else {
                Err(format!("the value {value} cannot be used"))
            }
        }
        Some(Sample::Stale { at }) => Err(format!("the last sample is from {at}")),
        Some(Sample::Missing { why, .. }) => Err(why.clone()),
        None => Err("no sample yet".to_owned()),
    }
}

/// A scope without pods, because each metric is a total of the whole component.
fn scope<'a>(input: &ScaleInput<'a>, tolerance: Tolerance) -> Scope<'a> {
    let warmup = Warmup {
        cpu_initialization: jiff::SignedDuration::ZERO,
        initial_readiness_delay: jiff::SignedDuration::ZERO,
    };
    let pods = PodContext {
        current: input.current,
        tolerance,
        pods: &[],
        warmup,
        pod_level_requests: false,
        now: input.now,
    };
    let ready = i64::from(input.ready.min(input.current));
    Scope {
        pods,
        reported: input.current,
        ready: (ready > 0).then_some(ready),
    }
}

/// Keeps a metric above its target from proposing fewer replicas than there are. A `value` target multiplies the
/// ready replicas, so this could happen while some of them start.
fn keep_direction(mut proposed: metric::Proposal, current: i32, target: Option<Target>) -> metric::Proposal {
    if let (Some(Target::ValueMilli(target)), Some(value)) = (target, proposed.status.value)
        && current > 0
        && value.milli > target
    {
        proposed.replicas = proposed.replicas.max(current);
    }
    proposed
}

/// A lower bound says how many replicas are needed at least. It says nothing about fewer.
fn scale_out_only(
    proposed: Result<metric::Proposal, MetricError>,
    current: i32,
    why: &str,
) -> Result<metric::Proposal, MetricError> {
    let proposed = proposed?;
    if proposed.replicas > current {
        Ok(proposed)
    } else {
        Err(MetricError::LowerBound(why.to_owned()))
    }
}

impl Measured {
    pub fn proposal(&self) -> Proposal {
        Proposal {
            name: self.name.clone(),
            value: self.value.map(|(value, _)| format::number(value)),
            replicas: self.proposed.as_ref().ok().map(|p| p.replicas),
            problem: self.proposed.as_ref().err().map(ToString::to_string),
        }
    }

    /// The metric as demand. Only an `averageValue` defines what one replica should serve.
    pub fn demand(&self) -> Option<Demand<'_>> {
        let (Some(Target::AverageValueMilli(target)), Some((total, at))) = (self.target, self.value) else {
            return None;
        };
        Some(Demand {
            name: &self.name,
            total,
            at,
            is_bound: self.is_bound,
            per_replica: target as f64 / 1000.0,
        })
    }
}
