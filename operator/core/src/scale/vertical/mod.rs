//! What one shard needs, from what it used: the estimator of the vertical pod autoscaler, fed
//! with one shard's samples instead of a whole target's, so that each shard gets its own size.
//!
//! Cores are a histogram with decay, memory is a peak a day; the target is their 90th percentile with a
//! margin, the bounds are the 50th and 95th, widened while little is known. Sources: `recommender/logic`
//! (`estimator.go`, `recommender.go`), `recommender/model` (`container.go`, `aggregations_config.go`) and
//! `updater/config` of kubernetes/autoscaler. Where this differs from them it says so: finer buckets,
//! memory's peaks without buckets ([`peaks`]), lower floors, late reports of kills are kept.

mod histogram;
mod limits;
mod peaks;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use histogram::Histogram;
use limits::{
    BYTES_MIN, CHANGE_AGE_SECONDS_MIN, CHANGE_SHARE_MIN, CORES, CORES_MIN, DAY_SECONDS, EXPIRY_SECONDS,
    LOWER_CONFIDENCE, LOWER_SHARE, MARGIN, SAMPLES_PER_DAY, TARGET_SHARE, UPPER_CONFIDENCE, UPPER_SHARE,
};
use peaks::Peaks;

/// What is remembered of one shard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    cores: Histogram,
    bytes: Peaks,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Timestamp>,
    samples: u32,
}

/// One resource: what to ask for, and the bounds within which the present size may stay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    pub target: f64,
    pub lower: f64,
    /// `None` before there are samples enough to bound it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper: Option<f64>,
}

/// Cores and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Size {
    pub cores: Estimate,
    pub bytes: Estimate,
}

impl Usage {
    /// A sample of both resources. Older ones than the last and unusable values are left out.
    pub fn record(&mut self, cores: f64, bytes: f64, at: Timestamp) {
        let usable = |value: f64| value.is_finite() && value >= 0.0;
        if !usable(cores) || !usable(bytes) || self.last.is_some_and(|last| at <= last) {
            return;
        }
        let silent = |last: Timestamp| at.duration_since(last) >= SignedDuration::from_secs(EXPIRY_SECONDS);
        if self.last.is_some_and(silent) {
            *self = Self::default();
        }
        self.cores.add(CORES, cores, 1.0, at);
        self.bytes.record(bytes, at);
        self.first.get_or_insert(at);
        self.last = Some(at);
        self.samples = self.samples.saturating_add(1);
    }

    /// The shard was killed for memory at this limit: it wanted more than could be seen.
    pub fn record_out_of_memory(&mut self, limit_bytes: f64, at: Timestamp) {
        if limit_bytes.is_finite() && limit_bytes >= 0.0 {
            self.bytes.record_out_of_memory(limit_bytes, at);
        }
    }

    /// The size for what was seen so far; `None` before the first sample.
    pub fn size(&self) -> Option<Size> {
        let confidence = self.confidence();
        let cores = |share| self.cores.percentile(CORES, share);
        let mut bytes = estimate(|share| self.bytes.percentile(share), BYTES_MIN, confidence)?;
        // A size at which it was just killed is never within the bounds.
        bytes.lower = bytes.lower.max(self.bytes.needed());
        Some(Size {
            cores: estimate(cores, CORES_MIN, confidence)?,
            bytes,
        })
    }

    /// Days of samples: the shorter of their span and their number.
    fn confidence(&self) -> f64 {
        let span = match (self.first, self.last) {
            (Some(first), Some(last)) => last.duration_since(first).as_secs_f64() / DAY_SECONDS,
            _ => 0.0,
        };
        span.min(f64::from(self.samples) / SAMPLES_PER_DAY)
    }
}

/// Bounds are wide while little is known and close in on the percentiles.
fn estimate(percentile: impl Fn(f64) -> Option<f64>, floor: f64, confidence: f64) -> Option<Estimate> {
    let at = |share| percentile(share).map(|value| value * MARGIN);
    let upper = at(UPPER_SHARE)? * widening(UPPER_CONFIDENCE, confidence);
    Some(Estimate {
        target: at(TARGET_SHARE)?.max(floor),
        lower: (at(LOWER_SHARE)? * widening(LOWER_CONFIDENCE, confidence)).max(floor),
        upper: upper.is_finite().then_some(upper.max(floor)),
    })
}

/// `(1 + multiplier / confidence) ^ exponent`; with no confidence at all infinite, or zero for a negative
/// exponent.
fn widening((multiplier, exponent): (f64, f64), confidence: f64) -> f64 {
    (1.0 + multiplier / confidence).powf(exponent)
}

impl Estimate {
    /// Whether a shard of this size and age should get the target: it is outside the bounds, or
    /// old enough for a change that is worth it.
    pub fn is_due(&self, size: f64, age: SignedDuration) -> bool {
        let outside = size < self.lower || self.upper.is_some_and(|upper| size > upper);
        let change = (self.target - size).abs() / size.max(f64::MIN_POSITIVE);
        outside || (change > CHANGE_SHARE_MIN && age > SignedDuration::from_secs(CHANGE_AGE_SECONDS_MIN))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: f64 = 1024.0 * 1024.0;

    fn minute(n: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(n)
    }

    fn steady(cores: f64, bytes: f64, minutes: i64) -> Usage {
        let mut usage = Usage::default();
        (0..minutes).for_each(|n| usage.record(cores, bytes, minute(n)));
        usage
    }

    #[test]
    fn steady_use_gets_its_margin_and_little_more() {
        let size = steady(0.5, 200.0 * MIB, 3 * 1440).size().unwrap();
        assert!((1.15..1.3).contains(&(size.cores.target / 0.5)), "{size:?}");
        assert!(
            (1.15..1.3).contains(&(size.bytes.target / (200.0 * MIB))),
            "{size:?}"
        );
        assert!(
            !size
                .cores
                .is_due(size.cores.target, SignedDuration::from_hours(48))
        );
    }

    #[test]
    fn bounds_close_in_with_confidence() {
        let few = steady(0.5, 200.0 * MIB, 30).size().unwrap().cores;
        let many = steady(0.5, 200.0 * MIB, 5 * 1440).size().unwrap().cores;
        assert!(few.upper.unwrap() > 10.0 * few.target && many.upper.unwrap() < 1.5 * many.target);
        assert!(few.lower < many.lower && many.lower <= many.target);
        let one = steady(0.5, 200.0 * MIB, 1).size().unwrap().cores;
        assert_eq!(one.upper, None);
        assert!(Usage::default().size().is_none());
    }

    #[test]
    fn out_of_memory_asks_for_more_at_once() {
        let mut usage = steady(0.1, 200.0 * MIB, 60);
        assert_eq!(usage.size().unwrap().bytes.target, 200.0 * MIB * MARGIN);
        usage.record_out_of_memory(230.0 * MIB, minute(60));
        let size = usage.size().unwrap().bytes;
        assert_eq!(size.target, 330.0 * MIB * MARGIN);
        assert!(size.is_due(230.0 * MIB, SignedDuration::ZERO), "{size:?}");
        assert!(!size.is_due(size.target, SignedDuration::ZERO));
    }

    #[test]
    fn confidence_and_its_widening_are_the_known_ones() {
        let mut usage = Usage::default();
        (0..9).for_each(|n| usage.record(1.0, MIB, minute(2 * n)));
        assert_eq!(usage.confidence(), 0.00625);
        assert!((3140.0 * widening((0.1, 2.0), 0.00625) - 907_460.0).abs() < 1e-6);
        assert!((3140.0 * widening((0.1, 2.0), 0.5) - 4521.6).abs() < 1e-6);
        assert_eq!(widening((1.0, 1.0), 0.0), f64::INFINITY);
        assert_eq!(widening((1.0, -1.0), 0.0), 0.0);
        // As the vertical autoscaler's comments have it: 12 h, 24 h, a week; 5, 30 and 60 minutes.
        let near = |a: f64, b: f64| (a - b).abs() < 0.03;
        for (days, upper) in [(0.5, 3.0), (1.0, 2.0), (7.0, 1.14)] {
            assert!(near(widening(UPPER_CONFIDENCE, days), upper), "{days}");
        }
        for (minutes, lower) in [(5.0, 0.6), (30.0, 0.9), (60.0, 0.95)] {
            assert!(
                near(widening(LOWER_CONFIDENCE, minutes / 1440.0), lower),
                "{minutes}"
            );
        }
    }

    #[test]
    fn a_small_shard_gets_a_small_size() {
        let size = steady(0.02, 40.0 * MIB, 2 * 1440).size().unwrap();
        assert!((0.02 * MARGIN..0.026).contains(&size.cores.target), "{size:?}");
        assert_eq!(size.bytes.target, 40.0 * MIB * MARGIN);
        let idle = steady(0.0, 0.0, 2 * 1440).size().unwrap();
        assert_eq!((idle.cores.target, idle.bytes.target), (CORES_MIN, BYTES_MIN));
    }

    #[test]
    fn memory_that_lies_idle_is_less_than_a_seventh() {
        let bytes = steady(0.5, 700.0 * MIB, 10 * 1440).size().unwrap().bytes.target;
        assert!(1.0 - 700.0 * MIB / bytes < 0.15);
    }

    #[test]
    fn a_shard_that_was_silent_for_long_starts_anew() {
        let mut usage = steady(0.5, 200.0 * MIB, 1440);
        usage.record(0.1, 10.0 * MIB, minute(10 * 1440));
        let mut fresh = Usage::default();
        fresh.record(0.1, 10.0 * MIB, minute(10 * 1440));
        assert_eq!(usage, fresh);
    }

    #[test]
    fn a_size_is_changed_outside_its_bounds_or_when_worth_it() {
        let estimate = Estimate {
            target: 1.0,
            lower: 0.5,
            upper: Some(2.0),
        };
        let (young, old) = (SignedDuration::from_hours(1), SignedDuration::from_hours(13));
        let table = [
            (0.4, young, true),
            (2.1, young, true),
            (0.8, young, false),
            (0.8, old, true),
            (0.95, old, false),
        ];
        for (size, age, due) in table {
            assert_eq!(estimate.is_due(size, age), due, "{size}");
        }
    }

    proptest! {
        #[test]
        fn estimates_are_ordered_finite_and_small_to_keep(
            samples in proptest::collection::vec((1_i64..600, 0.0..64.0_f64, 0.0..1e11_f64), 1..200),
        ) {
            let (mut usage, mut now) = (Usage::default(), 0);
            for (minutes, cores, bytes) in samples {
                now += minutes;
                usage.record(cores, bytes, minute(now));
            }
            usage.record(f64::NAN, 1.0, minute(now + 1));
            let size = usage.size().unwrap();
            for estimate in [size.cores, size.bytes] {
                prop_assert!(estimate.lower <= estimate.target);
                prop_assert!(estimate.upper.is_none_or(|upper| estimate.target <= upper));
                prop_assert!(estimate.target.is_finite());
            }
            let text = serde_json::to_string(&usage).unwrap();
            prop_assert!(usage.cores.len() <= 230 && text.len() < 8 * 1024, "{}", text.len());
            let restored: Usage = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(restored.size().unwrap(), size);
        }
    }
}
