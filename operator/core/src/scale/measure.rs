//! From samples to what each metric asks for.

use jiff::Timestamp;
use poker_operator_api::autoscaling::Metric as ApiMetric;

use super::hpa::calculator::PodContext;
use super::hpa::error::MetricError;
use super::hpa::metric::{self, Metric, Reading, Scope, Source, Target};
use super::hpa::pods::Warmup;
use super::hpa::tolerance::Tolerance;
use super::panic::Demand;
use super::{Proposal, Sample, ScaleInput, format, hpa_config};

/// One metric of the block, its target, its value, and the count it asks for.
#[derive(Clone, Debug)]
pub struct Measured {
    pub name: String,
    pub target: Option<Target>,
    /// The whole component's value and when it was measured.
    pub value: Option<(f64, Timestamp)>,
    pub wish: Result<metric::Proposal, MetricError>,
}

/// Works out every metric of the block.
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
    let value = usable(input.samples.get(&name));
    let reading = match &value {
        Ok((value, _)) => Reading::Values(vec![(value * 1000.0).round() as i64]),
        Err(why) => Reading::Failed(why.clone()),
    };
    let asked = Metric {
        source: Source::External { metric: name.clone() },
        target,
        reading,
    };
    let wish = asked
        .propose(&scope(input, tolerance))
        .map(|p| keep_direction(p, input.current, target));
    Measured {
        name,
        target,
        value: value.ok(),
        wish,
    }
}

/// A value that can be acted on, or why there is none. Never zero in place of nothing.
fn usable(sample: Option<&Sample>) -> Result<(f64, Timestamp), String> {
    match sample {
        Some(Sample::Fresh { value, at, .. }) if value.is_finite() && *value >= 0.0 => Ok((*value, *at)),
        Some(Sample::Fresh { value, .. }) => Err(format!("the value {value} cannot be used")),
        Some(Sample::Stale { at }) => Err(format!("the last sample is from {at}")),
        Some(Sample::Missing { why }) => Err(why.clone()),
        None => Err("no sample yet".to_owned()),
    }
}

/// The component instead of a list of pods: metrics here are of the whole component.
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

/// A `value` target multiplies the ready replicas, so while some start, more load could ask for
/// fewer than there are. Above the target never fewer than now.
fn keep_direction(mut wish: metric::Proposal, current: i32, target: Option<Target>) -> metric::Proposal {
    if let (Some(Target::ValueMilli(target)), Some(value)) = (target, wish.status.value)
        && current > 0
        && value.milli > target
    {
        wish.replicas = wish.replicas.max(current);
    }
    wish
}

impl Measured {
    pub fn proposal(&self) -> Proposal {
        Proposal {
            name: self.name.clone(),
            value: self.value.map(|(value, _)| format::number(value)),
            replicas: self.wish.as_ref().ok().map(|w| w.replicas),
            problem: self.wish.as_ref().err().map(ToString::to_string),
        }
    }

    /// The metric as demand per replica; only an `averageValue` tells what one replica serves.
    pub fn demand(&self) -> Option<Demand<'_>> {
        let (Some(Target::AverageValueMilli(target)), Some((total, at))) = (self.target, self.value) else {
            return None;
        };
        Some(Demand {
            name: &self.name,
            total,
            at,
            per_replica: target as f64 / 1000.0,
        })
    }
}
