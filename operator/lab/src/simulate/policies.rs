//! Policies for comparison.

use poker_operator_api::autoscaling::{BuiltinMetric, Metric, MetricTarget, PredictiveMode};
use poker_operator_api::{Autoscaling, Quantity};

/// The decision period of the Kubernetes autoscaler.
pub const HPA_TICK_SECONDS: i64 = 15;

/// A plain HorizontalPodAutoscaler at this target in percent of a replica's capacity, within the bounds of `block`.
pub fn hpa(percent: u32, capacity: f64, block: &Autoscaling) -> Autoscaling {
    let target = MetricTarget {
        average_value: Some(quantity(capacity * f64::from(percent) / 100.0)),
        value: None,
    };
    Autoscaling {
        min_replicas: block.min_replicas,
        max_replicas: block.max_replicas,
        metrics: vec![Metric {
            builtin: Some(BuiltinMetric::Participants),
            promql: None,
            target,
        }],
        behavior: None,
        panic: None,
        predictive: None,
        schedules: Vec::new(),
        paused_scale_in: false,
    }
}

/// The policy without forecast and panic window: its headroom becomes part of the target.
pub fn reactive(block: &Autoscaling) -> Autoscaling {
    Autoscaling {
        panic: None,
        ..without_forecast(block)
    }
}

/// The policy without forecast.
pub fn without_forecast(block: &Autoscaling) -> Autoscaling {
    let mut block = block.clone();
    let predictive = block.predictive.take().filter(|p| p.mode == PredictiveMode::On);
    let share = predictive.map_or(1.0, |p| 1.0 + f64::from(p.headroom_percent) / 100.0);
    for target in block
        .metrics
        .iter_mut()
        .filter_map(|m| m.target.average_value.as_mut())
    {
        if let Some(milli) = target.milli() {
            *target = quantity(milli as f64 / 1000.0 / share);
        }
    }
    block
}

/// The capacity of a replica: the target of the first metric with a target per replica.
pub fn capacity(block: &Autoscaling) -> Option<f64> {
    let targets = block
        .metrics
        .iter()
        .filter_map(|m| m.target.average_value.as_ref());
    targets
        .filter_map(Quantity::milli)
        .map(|milli| milli as f64 / 1000.0)
        .next()
}

fn quantity(value: f64) -> Quantity {
    Quantity(format!("{}m", (value * 1000.0).round()))
}
