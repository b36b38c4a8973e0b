//! What one shard needs, from what it used: the estimator of the vertical pod autoscaler, fed
//! with one shard's samples instead of a whole target's, so that each shard gets its own size.

mod histogram;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use histogram::Histogram;
use histogram::Scale;

const CORES: Scale = Scale {
    first_bucket: 0.01,
    max: 1000.0,
};
const BYTES: Scale = Scale {
    first_bucket: 1e7,
    max: 1e12,
};

const TARGET_SHARE: f64 = 0.9;
const LOWER_SHARE: f64 = 0.5;
const UPPER_SHARE: f64 = 0.95;
const MARGIN: f64 = 1.15;

/// Memory counts as one peak per interval: it must hold the peak, not the mean.
const PEAK_INTERVAL_SECONDS: i64 = 24 * 3600;
/// Samples of one day at one a minute give full confidence.
const SAMPLES_PER_DAY: f64 = 1440.0;
const DAY_SECONDS: f64 = 24.0 * 3600.0;

const OOM_BUMP_BYTES: f64 = 100.0 * 1024.0 * 1024.0;
const OOM_BUMP_RATIO: f64 = 1.2;

/// Far below the vertical autoscaler's floors (25 m, 250 MiB), which are large for a shard.
const CORES_MIN: f64 = 0.01;
const BYTES_MIN: f64 = 32.0 * 1024.0 * 1024.0;

/// A size within its bounds is changed only for this much, and not before that age.
const CHANGE_SHARE_MIN: f64 = 0.1;
const CHANGE_AGE_SECONDS_MIN: i64 = 12 * 3600;

/// The highest memory use of an interval that is not over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Peak {
    bytes: f64,
    since: Timestamp,
}

/// What is remembered of one shard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    cores: Histogram,
    bytes: Histogram,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak: Option<Peak>,
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
    /// Infinite without enough samples to bound it.
    pub upper: f64,
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
        // Busy times weigh more: sizing for them is what matters.
        self.cores.add(CORES, cores, cores.max(CORES_MIN), at);
        self.record_peak(bytes, at);
        self.first.get_or_insert(at);
        self.last = Some(at);
        self.samples = self.samples.saturating_add(1);
    }

    /// The shard was killed while it used that much: it wanted more than could be seen.
    pub fn record_out_of_memory(&mut self, bytes: f64, at: Timestamp) {
        if bytes.is_finite() && bytes >= 0.0 {
            self.record_peak((bytes + OOM_BUMP_BYTES).max(bytes * OOM_BUMP_RATIO), at);
        }
    }

    fn record_peak(&mut self, bytes: f64, at: Timestamp) {
        let interval = SignedDuration::from_secs(PEAK_INTERVAL_SECONDS);
        match &mut self.peak {
            Some(peak) if at.duration_since(peak.since) < interval => peak.bytes = peak.bytes.max(bytes),
            peak => {
                if let Some(over) = peak.replace(Peak { bytes, since: at }) {
                    self.bytes.add(BYTES, over.bytes, 1.0, over.since);
                }
            }
        }
    }

    /// The size for what was seen so far; `None` before the first sample.
    pub fn size(&self) -> Option<Size> {
        let mut bytes = self.bytes.clone();
        if let Some(peak) = self.peak {
            bytes.add(BYTES, peak.bytes, 1.0, peak.since);
        }
        let confidence = self.confidence();
        Some(Size {
            cores: estimate(&self.cores, CORES, CORES_MIN, confidence)?,
            bytes: estimate(&bytes, BYTES, BYTES_MIN, confidence)?,
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
fn estimate(histogram: &Histogram, scale: Scale, floor: f64, confidence: f64) -> Option<Estimate> {
    let at = |share| histogram.percentile(scale, share).map(|value| value * MARGIN);
    let (lower, upper) = if confidence > 0.0 {
        ((1.0 + 0.001 / confidence).powi(-2), 1.0 + 1.0 / confidence)
    } else {
        (0.0, f64::INFINITY)
    };
    Some(Estimate {
        target: at(TARGET_SHARE)?.max(floor),
        lower: (at(LOWER_SHARE)? * lower).max(floor),
        upper: (at(UPPER_SHARE)? * upper).max(floor),
    })
}

impl Estimate {
    /// Whether a shard of this size and age should get the target: it is outside the bounds, or
    /// old enough for a change that is worth it.
    pub fn is_due(&self, size: f64, age: SignedDuration) -> bool {
        let outside = size < self.lower || size > self.upper;
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
        assert!(few.upper > 10.0 * few.target && many.upper < 1.5 * many.target);
        assert!(few.lower < many.lower && many.lower <= many.target);
        let one = steady(0.5, 200.0 * MIB, 1).size().unwrap().cores;
        assert_eq!(one.upper, f64::INFINITY);
        assert!(Usage::default().size().is_none());
    }

    #[test]
    fn out_of_memory_asks_for_more_at_once() {
        let mut usage = steady(0.1, 200.0 * MIB, 60);
        let before = usage.size().unwrap().bytes.target;
        usage.record_out_of_memory(200.0 * MIB, minute(60));
        let after = usage.size().unwrap().bytes.target;
        assert!(
            before < 260.0 * MIB && after >= 300.0 * MIB * MARGIN,
            "{before} {after}"
        );
    }

    #[test]
    fn a_size_is_changed_outside_its_bounds_or_when_worth_it() {
        let estimate = Estimate {
            target: 1.0,
            lower: 0.5,
            upper: 2.0,
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
                prop_assert!(estimate.lower <= estimate.target && estimate.target <= estimate.upper);
                prop_assert!(estimate.target.is_finite());
            }
            prop_assert!(usage.cores.len().max(usage.bytes.len()) <= 180);
            prop_assert!(serde_json::to_string(&usage).unwrap().len() < 16 * 1024);
        }
    }
}
