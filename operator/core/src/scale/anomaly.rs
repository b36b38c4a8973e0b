//! Values that may be wrong: after a sudden change, and without a new sample.
//!
//! A mean over a minute changes little from one sample to the next. A counter reset, a target that is no longer
//! scraped or a query over fewer series makes a metric fall at once, and its value alone does not show the cause.
//!
//! - After a sudden fall, the value before it counts for one stabilization window, and as much more as it was rising by.
//! - After a sudden rise, the values before it may have been too low by the share of the rise and may have hidden a peak,
//!   which counts for one stabilization window.
//! - A metric that rises counts as if it went on rising: a fault that begins meanwhile does not show as a fall.
//!
//!   Such a value does not propose a count, but nothing is scaled in below what it needs. A metric far below its target
//!   holds nothing. A change is sudden if it is larger than the metric usually deviates from its course, so noise does not
//!   hold a count either. After a fall, a forecast may extrapolate it, so it lowers nothing for as long as such a fault
//!   shows in an averaged metric ([`fault_window`](super::sample_change::fault_window)) longer.
//! - A value without a new sample counts as fresh until it is stale, but is unknown since its last sample. Nothing is
//!   scaled in meanwhile.

use jiff::{SignedDuration, Timestamp};

use super::limits::{
    DEVIATION_SAMPLES, FAULT_WINDOW_MAX, RENEWED_WITHIN, RISE_CONTINUES, STALE_SECONDS,
    SUDDEN_CHANGE_DEVIATIONS, SUDDEN_FALL_SHARE,
};
use super::measure::Measured;
use super::memory::{Newest, ScaleMemory};
use super::peaks::Peaks;
use super::sample_change::{clock_went_back, is_sudden_fall};

/// Records the newest value of every metric, and when one fell or rose suddenly. `window` is the stabilization window.
pub fn record(measured: &[Measured], memory: &mut ScaleMemory, window: SignedDuration, now: Timestamp) {
    memory
        .newest
        .retain(|name, _| measured.iter().any(|m| m.name == *name));
    for metric in measured.iter().filter(|metric| !metric.is_bound) {
        let Some((value, at)) = metric.value else { continue };
        let Some(newest) = memory.newest.get_mut(&metric.name) else {
            memory.newest.insert(metric.name.clone(), first(value, at, now));
            continue;
        };
        newest.hidden.forget_before(now - window);
        if newest.at >= at && !clock_went_back(newest.at, at) {
            continue;
        }
        let interval = at.duration_since(newest.at).max(SignedDuration::ZERO);
        if is_sudden_fall(newest.value, value) {
            // It counts from the previous sample, so that it does not outlast the recommendations of that time.
            memory.fell_at = Some(now - interval);
        }
        newest.follow(value, at, interval, now);
        newest.hidden.forget_before(now - window);
    }
}

fn first(value: f64, at: Timestamp, now: Timestamp) -> Newest {
    let mut newest = Newest {
        value,
        change: 0.0,
        deviation: 0.0,
        at,
        received_at: now,
        interval: SignedDuration::ZERO,
        shown: Peaks::default(),
        negated: Peaks::default(),
        hidden: Peaks::default(),
    };
    newest.show(value, now);
    newest
}

impl Newest {
    fn follow(&mut self, value: f64, at: Timestamp, interval: SignedDuration, now: Timestamp) {
        // A steep but steady rise is expected and is not sudden.
        let expected = self.value + self.change.max(0.0);
        let excess = if expected > 0.0 {
            value / expected - 1.0
        } else {
            0.0
        };
        let sudden = SUDDEN_FALL_SHARE.max(SUDDEN_CHANGE_DEVIATIONS * self.deviation);
        let largest = self.shown.largest().unwrap_or(self.value);
        if excess > sudden {
            self.hidden.push(largest * (1.0 + excess), now);
        } else if value < self.value * (1.0 - sudden) {
            self.hidden.push(self.possible(self.value), now);
        }
        self.show(value, now);
        self.deviation += (excess.abs().min(1.0) - self.deviation) / DEVIATION_SAMPLES;
        self.change = value - self.value;
        self.interval = interval.min(SignedDuration::from_secs(STALE_SECONDS.cast_signed()));
        (self.value, self.at, self.received_at) = (value, at, now);
    }

    fn show(&mut self, value: f64, now: Timestamp) {
        for (peaks, value) in [(&mut self.shown, value), (&mut self.negated, -value)] {
            peaks.forget_before(now - FAULT_WINDOW_MAX);
            peaks.push(value, now);
        }
    }

    /// The largest value that the metric may have had or may soon have: a peak hidden before a sudden rise, or `value` if
    /// the metric rises on as it did within [`FAULT_WINDOW_MAX`].
    pub fn possible(&self, value: f64) -> f64 {
        let lowest = self.negated.largest().map_or(self.value, |negated| -negated);
        let rise = self.value - lowest;
        self.hidden
            .largest()
            .unwrap_or(0.0)
            .max(value + RISE_CONTINUES * rise)
    }
}

/// Whether every metric has a recent sample, by the operator's own clock and the metric's own interval.
pub fn all_renewed(memory: &ScaleMemory, now: Timestamp) -> bool {
    let is_renewed = |newest: &Newest| {
        let within = RENEWED_WITHIN.max(newest.interval * 2);
        now.duration_since(newest.received_at) <= within
    };
    memory.newest.values().all(is_renewed)
}

/// Whether a metric fell suddenly within `span`.
pub fn fell_within(memory: &ScaleMemory, span: SignedDuration, now: Timestamp) -> bool {
    memory.fell_at.is_some_and(|at| now.duration_since(at) < span)
}
