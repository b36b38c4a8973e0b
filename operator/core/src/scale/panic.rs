//! Bursts: demand far above what the ready replicas serve.
//!
//! As the panic mode of Knative's autoscaler (`pkg/autoscaler/scaling/autoscaler.go`): with the mean over a short
//! window, a burst begins when mean ÷ (target per replica · ready replicas) reaches the threshold (Knative's default:
//! 200 %), asks for ⌈mean ÷ target per replica⌉, and ends when it was below the threshold for the whole stable time.

use jiff::{SignedDuration, Timestamp};
use poker_operator_api::autoscaling::Panic;

use super::anomaly::set_back;
use super::limits::BURST_SAMPLES_COUNT_MAX;
use super::memory::{ScaleMemory, TimedValue};

/// One metric with a target per replica, measured now.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    pub name: &'a str,
    pub total: f64,
    pub at: Timestamp,
    pub per_replica: f64,
}

/// What a burst asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Burst {
    /// The metric that asks for most.
    pub metric: String,
    /// Its average over the window.
    pub average: f64,
    pub replicas: i32,
    /// Demand is above the threshold now; else the burst only lingers.
    pub above_threshold: bool,
}

/// Remembers the values and tells whether a burst is on: from the threshold on, until demand was
/// below it for the whole stable time. While it is on, replicas are only added.
pub fn detect(
    panic: &Panic,
    demands: &[Demand],
    ready: i32,
    memory: &mut ScaleMemory,
    now: Timestamp,
) -> Option<Burst> {
    let window = SignedDuration::from_secs(i64::from(panic.window_seconds));
    let stable = SignedDuration::from_secs(i64::from(panic.stable_seconds));
    memory
        .recent
        .retain(|name, _| demands.iter().any(|d| d.name == name));
    let mut largest: Option<Burst> = None;
    for demand in demands {
        let average = remember(memory, demand, window, now);
        let capacity = demand.per_replica * f64::from(ready.max(1));
        let burst = Burst {
            metric: demand.name.to_owned(),
            average,
            replicas: (average / demand.per_replica).ceil() as i32,
            above_threshold: average / capacity * 100.0 >= f64::from(panic.threshold_percent),
        };
        if burst.above_threshold {
            memory.burst_at = Some(now);
        }
        if largest.as_ref().is_none_or(|b| burst.replicas > b.replicas) {
            largest = Some(burst);
        }
    }
    let lingers = memory.burst_at.is_some_and(|at| now.duration_since(at) < stable);
    if !lingers {
        memory.burst_at = None;
    }
    largest.filter(|_| lingers)
}

/// Stores a value once and gives the average over the window.
fn remember(memory: &mut ScaleMemory, demand: &Demand, window: SignedDuration, now: Timestamp) -> f64 {
    let recent = memory.recent.entry(demand.name.to_owned()).or_default();
    recent.retain(|v| !set_back(v.at, demand.at));
    if recent.last().is_none_or(|last| last.at < demand.at) {
        recent.push(TimedValue {
            value: demand.total,
            at: demand.at,
        });
    }
    recent.retain(|v| v.at == demand.at || now.duration_since(v.at) < window);
    let excess = recent.len().saturating_sub(BURST_SAMPLES_COUNT_MAX);
    recent.drain(..excess);
    recent.iter().map(|v| v.value).sum::<f64>() / recent.len().max(1) as f64
}
