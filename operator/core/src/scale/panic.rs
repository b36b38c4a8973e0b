//! The panic window: reacts to demand far above what the ready replicas serve.
//!
//! As the panic mode of Knative's autoscaler (`pkg/autoscaler/scaling/autoscaler.go`): with the mean over a short
//! window, panic begins when mean ÷ (target per replica · ready replicas) reaches the threshold (Knative's default:
//! 200 %). It proposes ⌈mean ÷ target per replica⌉ replicas, and ends once the mean has been below the threshold for
//! the whole stable time.

use jiff::{SignedDuration, Timestamp};
use poker_operator_api::autoscaling::Panic;

use super::demand::Demand;
use super::limits::PANIC_SAMPLES_COUNT_MAX;
use super::memory::{ScaleMemory, TimedValue};
use super::sample_change::clock_went_back;

/// The proposal of the panic window.
#[derive(Clone, Debug, PartialEq)]
pub struct PanicProposal {
    /// The metric with the largest proposal.
    pub metric: String,
    /// Its average over the window.
    pub average: f64,
    pub replicas: i32,
}

/// Records the values and returns the proposal during panic. During panic the operator only adds replicas.
pub fn detect(
    panic: &Panic,
    demands: &[Demand],
    ready: i32,
    memory: &mut ScaleMemory,
    now: Timestamp,
) -> Option<PanicProposal> {
    let window = SignedDuration::from_secs(i64::from(panic.window_seconds));
    let stable = SignedDuration::from_secs(i64::from(panic.stable_seconds));
    memory
        .recent
        .retain(|name, _| demands.iter().any(|d| d.name == name));
    let mut largest: Option<PanicProposal> = None;
    for demand in demands {
        let average = record(memory, demand, window, now);
        let capacity = demand.per_replica * f64::from(ready.max(1));
        if average / capacity * 100.0 >= f64::from(panic.threshold_percent) {
            memory.panic_at = Some(now);
        }
        let proposal = PanicProposal {
            metric: demand.name.to_owned(),
            average,
            replicas: (average / demand.per_replica).ceil() as i32,
        };
        if largest.as_ref().is_none_or(|l| proposal.replicas > l.replicas) {
            largest = Some(proposal);
        }
    }
    memory.panic_at = memory.panic_at.filter(|at| now.duration_since(*at) < stable);
    largest.filter(|_| memory.panic_at.is_some())
}

/// Stores a value once and returns the average over the window.
fn record(memory: &mut ScaleMemory, demand: &Demand, window: SignedDuration, now: Timestamp) -> f64 {
    let recent = memory.recent.entry(demand.name.to_owned()).or_default();
    recent.retain(|v| !clock_went_back(v.at, demand.at));
    if recent.last().is_none_or(|last| last.at < demand.at) {
        recent.push(TimedValue {
            value: demand.total,
            at: demand.at,
        });
    }
    recent.retain(|v| v.at == demand.at || now.duration_since(v.at) < window);
    let excess = recent.len().saturating_sub(PANIC_SAMPLES_COUNT_MAX);
    recent.drain(..excess);
    recent.iter().map(|v| v.value).sum::<f64>() / recent.len().max(1) as f64
}
