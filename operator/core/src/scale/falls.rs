//! Falls too sudden to be believed at once.
//!
//! Demand as a mean over a minute moves little from one sample to the next. Counters that start again, a target
//! that is scraped no more, a query over fewer series make a metric fall at once, and nothing in its value says
//! so. Right after such a fall nothing goes for as long as such a fault shows in an averaged metric.

use jiff::Timestamp;

use super::limits::SUDDEN_FALL_SHARE;
use super::measure::Measured;
use super::memory::{ScaleMemory, TimedValue};

/// Remembers the newest value of every metric, and when one fell suddenly.
pub fn note(measured: &[Measured], memory: &mut ScaleMemory, now: Timestamp) {
    memory
        .newest
        .retain(|name, _| measured.iter().any(|m| m.name == *name));
    for metric in measured {
        let Some((value, at)) = metric.value else { continue };
        match memory.newest.get_mut(&metric.name) {
            Some(newest) if newest.at >= at => {}
            Some(newest) => {
                if is_sudden(newest.value, value) {
                    // Since the sample before: not a moment longer than recommendations hold.
                    memory.fell_at = Some(now - at.duration_since(newest.at));
                }
                *newest = TimedValue { value, at };
            }
            None => {
                memory
                    .newest
                    .insert(metric.name.clone(), TimedValue { value, at });
            }
        }
    }
}

/// Whether the second value is too far below the first, the one before it.
pub fn is_sudden(before: f64, value: f64) -> bool {
    value < before * (1.0 - SUDDEN_FALL_SHARE)
}
