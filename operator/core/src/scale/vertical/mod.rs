//! Estimates the size of one shard from its use. The operator does not use the estimator yet: only [`Estimate`] has a
//! caller (`count_and_size`).
//!
//! It is the estimator of the vertical pod autoscaler, but with the samples of one shard instead of a whole target, so
//! that each shard gets its own size. CPU is a histogram with decay, memory one peak a day. The target is their 90th
//! percentile with a margin. The bounds are the 50th and 95th percentiles, widened while there are few samples.
//! Sources: `recommender/logic` (`estimator.go`, `recommender.go`), `recommender/model` (`container.go`,
//! `aggregations_config.go`) and `updater/config` of kubernetes/autoscaler. Differences: finer buckets, memory peaks
//! without buckets ([`peaks`]), lower minimums, and late reports of kills count.

mod buckets;
mod histogram;
mod limits;
mod peaks;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use histogram::Histogram;
use limits::{
    BYTES_MIN, CHANGE_AGE_SECONDS_MIN, CHANGE_SHARE_MIN, CORES, CORES_MIN, DAY_SECONDS, EXPIRY_SECONDS,
    LOWER_CONFIDENCE, LOWER_SHARE, SAMPLES_PER_DAY, SIZE_MARGIN_FACTOR, TARGET_SHARE, UPPER_CONFIDENCE,
    UPPER_SHARE,
};
use peaks::Peaks;

/// The memory for one shard.
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

/// One resource: the target, and the bounds within which the current size may stay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    pub target: f64,
    pub lower: f64,
    /// `None` until there are enough samples for an upper bound.
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
    /// Records a sample of both resources. Ignores invalid values and samples older than the last.
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

    /// Records an out-of-memory kill at this limit: the shard needed more than its samples show.
    pub fn record_out_of_memory(&mut self, limit_bytes: f64, at: Timestamp) {
        if limit_bytes.is_finite() && limit_bytes >= 0.0 {
            self.bytes.record_out_of_memory(limit_bytes, at);
        }
    }

    /// The size for the samples so far. `None` before the first sample.
    pub fn size(&self) -> Option<Size> {
        let confidence = self.confidence();
        let cores = |share| self.cores.percentile(CORES, share);
        let mut bytes = estimate(|share| self.bytes.percentile(share), BYTES_MIN, confidence)?;
        // The size at the last kill is never within the bounds.
        bytes.lower = bytes.lower.max(self.bytes.needed());
        Some(Size {
            cores: estimate(cores, CORES_MIN, confidence)?,
            bytes,
        })
    }

    /// The days of samples: by their span or their number, whichever is less.
    fn confidence(&self) -> f64 {
        let span = match (self.first, self.last) {
            (Some(first), Some(last)) => last.duration_since(first).as_secs_f64() / DAY_SECONDS,
            _ => 0.0,
        };
        span.min(f64::from(self.samples) / SAMPLES_PER_DAY)
    }
}

/// The bounds are wide with few samples and narrow down to the percentiles.
fn estimate(percentile: impl Fn(f64) -> Option<f64>, floor: f64, confidence: f64) -> Option<Estimate> {
    let at = |share| percentile(share).map(|value| value * SIZE_MARGIN_FACTOR);
    let upper = at(UPPER_SHARE)? * widening(UPPER_CONFIDENCE, confidence);
    Some(Estimate {
        target: at(TARGET_SHARE)?.max(floor),
        lower: (at(LOWER_SHARE)? * widening(LOWER_CONFIDENCE, confidence)).max(floor),
        upper: upper.is_finite().then_some(upper.max(floor)),
    })
}

/// `(1 + multiplier / confidence) ^ exponent`. Without any confidence infinite, or zero for a negative exponent.
fn widening((multiplier, exponent): (f64, f64), confidence: f64) -> f64 {
    (1.0 + multiplier / confidence).powf(exponent)
}

impl Estimate {
    /// Whether a shard of this size and age should get the target: the size is outside the bounds, or old enough
    /// and different enough.
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
    fn steady_use_gets_the_margin_and_little_more() {
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
    fn bounds_narrow_with_confidence() {
        let few = steady(0.5, 200.0 * MIB, 30).size().unwrap().cores;
        let many = steady(0.5, 200.0 * MIB, 5 * 1440).size().unwrap().cores;
        assert!(few.upper.unwrap() > 10.0 * few.target && many.upper.unwrap() < 1.5 * many.target);
        assert!(few.lower < many.lower && many.lower <= many.target);
        let one = steady(0.5, 200.0 * MIB, 1).size().unwrap().cores;
        assert_eq!(one.upper, None);
        assert!(Usage::default().size().is_none());
    }

    #[test]
    fn an_out_of_memory_kill_raises_the_target_at_once() {
        let mut usage = steady(0.1, 200.0 * MIB, 60);
        assert_eq!(
            usage.size().unwrap().bytes.target,
            200.0 * MIB * SIZE_MARGIN_FACTOR
        );
        usage.record_out_of_memory(230.0 * MIB, minute(60));
        let size = usage.size().unwrap().bytes;
        assert_eq!(size.target, 330.0 * MIB * SIZE_MARGIN_FACTOR);
        assert!(size.is_due(230.0 * MIB, SignedDuration::ZERO), "{size:?}");
        assert!(!size.is_due(size.target, SignedDuration::ZERO));
    }

    #[test]
    fn confidence_and_widening_have_the_known_values() {
        let mut usage = Usage::default();
        (0..9).for_each(|n| usage.record(1.0, MIB, minute(2 * n)));
        assert_eq!(usage.confidence(), 0.00625);
        assert!((3140.0 * widening((0.1, 2.0), 0.00625) - 907_460.0).abs() < 1e-6);
        assert!((3140.0 * widening((0.1, 2.0), 0.5) - 4521.6).abs() < 1e-6);
        assert_eq!(widening((1.0, 1.0), 0.0), f64::INFINITY);
        assert_eq!(widening((1.0, -1.0), 0.0), 0.0);
        // The values in the comments of the vertical autoscaler: 12 h, 24 h, a week; 5, 30 and 60 minutes.
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
        assert!(
            (0.02 * SIZE_MARGIN_FACTOR..0.026).contains(&size.cores.target),
            "{size:?}"
        );
        assert_eq!(size.bytes.target, 40.0 * MIB * SIZE_MARGIN_FACTOR);
        let idle = steady(0.0, 0.0, 2 * 1440).size().unwrap();
        assert_eq!((idle.cores.target, idle.bytes.target), (CORES_MIN, BYTES_MIN));
    }

    #[test]
    fn less_than_a_seventh_of_the_memory_is_unused() {
        let bytes = steady(0.5, 700.0 * MIB, 10 * 1440).size().unwrap().bytes.target;
        assert!(1.0 - 700.0 * MIB / bytes < 0.15);
    }

    #[test]
    fn a_shard_without_samples_for_long_counts_as_new() {
        let mut usage = steady(0.5, 200.0 * MIB, 1440);
        usage.record(0.1, 10.0 * MIB, minute(10 * 1440));
        let mut fresh = Usage::default();
        fresh.record(0.1, 10.0 * MIB, minute(10 * 1440));
        assert_eq!(usage, fresh);
    }

    #[test]
    fn a_size_changes_outside_its_bounds_or_when_old_and_different() {
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
        fn estimates_are_ordered_and_finite_and_their_memory_is_small(
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
