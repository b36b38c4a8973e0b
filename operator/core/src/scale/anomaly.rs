//! Blocks scale-in while a metric is suspect: after a sudden fall or rise, or without a new sample.
//!
//! A mean over a minute changes little from one sample to the next. A counter reset, a target that is no longer
//! scraped or a query over fewer series makes a metric fall at once, and its value alone does not show the cause.
//!
//! - After a sudden fall, nothing is scaled in for as long as such a fault shows in an averaged metric
//!   ([`fault_window`](super::sample_change::fault_window)). A forecast may extrapolate the fall, so it lowers nothing
//!   for one stabilization window longer.
//! - After a sudden rise, the values before it may have been wrong and may have hidden a peak. Nothing is scaled in
//!   until one stabilization window of new values has passed.
//! - A value without a new sample counts as fresh until it is stale, but is unknown since its last sample. Nothing is
//!   scaled in meanwhile.

use jiff::{SignedDuration, Timestamp};

use super::limits::RENEWED_WITHIN;
use super::measure::Measured;
use super::memory::{Newest, ScaleMemory};
use super::sample_change::{clock_went_back, is_sudden_fall};

/// Records the newest value of every metric, and when one fell or rose suddenly.
pub fn record(measured: &[Measured], memory: &mut ScaleMemory, now: Timestamp) {
    memory
        .newest
        .retain(|name, _| measured.iter().any(|m| m.name == *name));
    for metric in measured.iter().filter(|metric| !metric.is_bound) {
        let Some((value, at)) = metric.value else { continue };
        let Some(newest) = memory.newest.get_mut(&metric.name) else {
            let newest = Newest {
                value,
                change: 0.0,
                at,
                received_at: now,
            };
            memory.newest.insert(metric.name.clone(), newest);
            continue;
        };
        if newest.at >= at && !clock_went_back(newest.at, at) {
            continue;
        }
        if is_sudden_fall(newest.value, value) {
            // It counts from the previous sample, so that it does not outlast the recommendations of that time.
            memory.fell_at = Some(now - at.duration_since(newest.at).max(SignedDuration::ZERO));
        } else if is_sudden_fall(value, newest.value + newest.change.max(0.0)) {
            // A steep but steady rise is expected and is not sudden.
            memory.rose_at = Some(now);
        }
        *newest = Newest {
            value,
            change: value - newest.value,
            at,
            received_at: now,
        };
    }
}

/// Whether a metric fell suddenly within `span`.
pub fn fell_within(memory: &ScaleMemory, span: SignedDuration, now: Timestamp) -> bool {
    memory.fell_at.is_some_and(|at| now.duration_since(at) < span)
}

/// Whether a metric rose suddenly within `span`.
pub fn rose_within(memory: &ScaleMemory, span: SignedDuration, now: Timestamp) -> bool {
    memory.rose_at.is_some_and(|at| now.duration_since(at) < span)
}

/// Whether every metric has a recent sample, by the operator's own clock.
pub fn all_renewed(memory: &ScaleMemory, now: Timestamp) -> bool {
    let is_renewed = |newest: &Newest| now.duration_since(newest.received_at) <= RENEWED_WITHIN;
    memory.newest.values().all(is_renewed)
}
