//! Values that nothing goes on: they fell too suddenly, or were not renewed lately.
//!
//! Demand as a mean over a minute moves little from one sample to the next. Counters that start again, a target
//! that is scraped no more, a query over fewer series make a metric fall at once, and nothing in its value says
//! so. Right after such a fall nothing goes for as long as such a fault shows in an averaged metric, and a forecast,
//! which may take it for the beginning of more, lowers nothing for a window longer. When a rise takes back at once
//! what a fall took, the values between were wrong and may have hidden a peak: nothing goes until a window of right
//! ones has passed. And a value that is not renewed says nothing about the time since: it passes for fresh until it
//! is stale.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::limits::{FAULT_LINGERS, RENEWED_WITHIN, SUDDEN_FALL_SHARE};
use super::measure::Measured;
use super::memory::{Fall, Newest, ScaleMemory};

/// Remembers the newest value of every metric, and when one fell suddenly.
pub fn note(measured: &[Measured], memory: &mut ScaleMemory, now: Timestamp) {
    memory
        .newest
        .retain(|name, _| measured.iter().any(|m| m.name == *name));
    memory
        .falls
        .retain(|_, fall| now.duration_since(fall.at) <= FAULT_LINGERS);
    for metric in measured {
        let Some((value, at)) = metric.value else { continue };
        match memory.newest.get_mut(&metric.name) {
            Some(newest) if newest.at >= at && !set_back(newest.at, at) => {}
            Some(newest) => {
                if is_sudden(newest.value, value) {
                    // Since the sample before: not a moment longer than recommendations hold.
                    memory.fell_at = Some(now - at.duration_since(newest.at).max(SignedDuration::ZERO));
                    fell(&mut memory.falls, &metric.name, value / newest.value, now);
                } else if is_sudden(value, newest.value)
                    && let Some(fall) = memory.falls.remove(&metric.name)
                    && now.duration_since(fall.at) <= FAULT_LINGERS
                    && is_undone(fall.left, value / newest.value)
                {
                    memory.undone_at = Some(now);
                }
                *newest = Newest { value, at, seen: now };
            }
            None => {
                let newest = Newest { value, at, seen: now };
                memory.newest.insert(metric.name.clone(), newest);
            }
        }
    }
}

/// Remembers a fall, one with the fall right before it.
fn fell(falls: &mut BTreeMap<String, Fall>, name: &str, left: f64, now: Timestamp) {
    let before = falls
        .get(name)
        .filter(|fall| now.duration_since(fall.at) <= RENEWED_WITHIN);
    let left = before.map_or(1.0, |fall| fall.left) * left;
    falls.insert(name.to_owned(), Fall { at: now, left });
}

/// Whether a rise takes back what a fall took, but for what demand may do meanwhile.
fn is_undone(left: f64, risen: f64) -> bool {
    let usual = (1.0 - SUDDEN_FALL_SHARE).powi(2);
    (usual..=1.0 / usual).contains(&(left * risen))
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

/// Whether values turned out to be wrong so lately that a higher one may have gone unseen.
pub fn undone_within(memory: &ScaleMemory, span: SignedDuration, now: Timestamp) -> bool {
    memory.undone_at.is_some_and(|at| now.duration_since(at) < span)
}

/// Whether every metric has a sample that came lately, by our own clock.
pub fn all_renewed(memory: &ScaleMemory, now: Timestamp) -> bool {
    let is_renewed = |newest: &Newest| now.duration_since(newest.seen) <= RENEWED_WITHIN;
    memory.newest.values().all(is_renewed)
}
