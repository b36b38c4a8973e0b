//! Values that nothing goes on: they fell or rose too suddenly, or were not renewed lately.
//!
//! Demand as a mean over a minute moves little from one sample to the next. Counters that start again, a target
//! that is scraped no more, a query over fewer series make a metric fall at once, and nothing in its value says
//! so. Right after such a fall nothing goes for as long as such a fault shows in an averaged metric, and a forecast,
//! which may take it for the beginning of more, lowers nothing for a window longer. A rise as sudden says
//! that the values before it may have been wrong, and may have hidden a peak: nothing goes until a window of right ones
//! has passed. And a value that is not renewed says nothing about the time since: it passes for fresh until it is
//! stale.

use jiff::{SignedDuration, Timestamp};

use super::limits::{RENEWED_WITHIN, SUDDEN_FALL_SHARE};
use super::measure::Measured;
use super::memory::{Newest, ScaleMemory};

/// Remembers the newest value of every metric, and when one fell or rose suddenly.
pub fn note(measured: &[Measured], memory: &mut ScaleMemory, now: Timestamp) {
    memory
        .newest
        .retain(|name, _| measured.iter().any(|m| m.name == *name));
    for metric in measured {
        let Some((value, at)) = metric.value else { continue };
        match memory.newest.get_mut(&metric.name) {
            Some(newest) if newest.at >= at && !set_back(newest.at, at) => {}
            Some(newest) => {
                if is_sudden(newest.value, value) {
                    // Since the sample before: not a moment longer than recommendations hold.
                    memory.fell_at = Some(now - at.duration_since(newest.at).max(SignedDuration::ZERO));
                } else if is_sudden(value, newest.value + newest.change.max(0.0)) {
                    // Beyond its course: a steep rise is no sudden one.
                    memory.rose_at = Some(now);
                }
                *newest = Newest {
                    value,
                    change: value - newest.value,
                    at,
                    seen: now,
                };
            }
            None => {
                let newest = Newest {
                    value,
                    change: 0.0,
                    at,
                    seen: now,
                };
                memory.newest.insert(metric.name.clone(), newest);
            }
        }
    }
}

/// Whether a clock that ran ahead was set back: a sample that is only a little older came late.
pub fn set_back(newest: Timestamp, at: Timestamp) -> bool {
    newest.duration_since(at) > RENEWED_WITHIN
}

/// Whether the second value is too far below the first, the one before it.
pub fn is_sudden(before: f64, value: f64) -> bool {
    value < before * (1.0 - SUDDEN_FALL_SHARE)
}

/// Whether a metric fell suddenly so lately.
pub fn fell_within(memory: &ScaleMemory, span: SignedDuration, now: Timestamp) -> bool {
    memory.fell_at.is_some_and(|at| now.duration_since(at) < span)
}

/// Whether a metric rose suddenly so lately.
pub fn rose_within(memory: &ScaleMemory, span: SignedDuration, now: Timestamp) -> bool {
    memory.rose_at.is_some_and(|at| now.duration_since(at) < span)
}

/// Whether every metric has a sample that came lately, by our own clock.
pub fn all_renewed(memory: &ScaleMemory, now: Timestamp) -> bool {
    let is_renewed = |newest: &Newest| now.duration_since(newest.seen) <= RENEWED_WITHIN;
    memory.newest.values().all(is_renewed)
}
