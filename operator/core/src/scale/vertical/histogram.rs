//! A histogram of usage whose samples lose half their weight every half-life.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::buckets::Buckets;
use super::limits::HALF_LIFE_SECONDS;

/// Weights are scaled down before they exceed the precision of a float.
const EXPONENT_MAX: f64 = 100.0;
/// A bucket below this share of a new sample is dropped when weights are scaled down.
const WEIGHT_MIN: f64 = 1e-4;

/// Weights by bucket. A sample at time t weighs 2^((t − reference) / half-life).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    weights: BTreeMap<u16, f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<Timestamp>,
}

impl Histogram {
    pub fn add(&mut self, buckets: Buckets, value: f64, weight: f64, at: Timestamp) {
        let reference = *self.reference.get_or_insert(at);
        let mut exponent = half_lives(reference, at);
        if exponent > EXPONENT_MAX {
            self.move_reference(exponent, at);
            exponent = 0.0;
        }
        *self.weights.entry(buckets.bucket(value)).or_default() += weight * exponent.exp2();
    }

    fn move_reference(&mut self, exponent: f64, at: Timestamp) {
        self.reference = Some(at);
        for weight in self.weights.values_mut() {
            *weight *= (-exponent).exp2();
        }
        self.weights.retain(|_, weight| *weight >= WEIGHT_MIN);
    }

    /// The end of the bucket below which this share of the weight lies, or the start of the last bucket. `None` if
    /// empty.
    pub fn percentile(&self, buckets: Buckets, share: f64) -> Option<f64> {
        let threshold = share * self.weights.values().sum::<f64>();
        let mut sum = 0.0;
        let reached = self.weights.iter().find(|(_, weight)| {
            sum += **weight;
            sum >= threshold
        });
        // Rounding may leave the sum just below the total.
        let (bucket, _) = reached.or(self.weights.last_key_value())?;
        Some(buckets.start((bucket + 1).min(buckets.last())))
    }

    /// The number of buckets with weight.
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }
}

fn half_lives(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64() / HALF_LIFE_SECONDS
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    /// The buckets of the known values below.
    const KNOWN: Buckets = Buckets {
        first_width: 40.0,
        growth: 1.5,
        max: 500.0,
    };

    fn half_life(n: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(n * HALF_LIFE_SECONDS as i64)
    }

    /// Gives samples by their bucket, so that the known values hold for any buckets.
    fn filled(samples: &[(u16, f64, i64)]) -> Histogram {
        let mut histogram = Histogram::default();
        for (bucket, weight, at) in samples {
            histogram.add(KNOWN, KNOWN.start(*bucket), *weight, half_life(*at));
        }
        histogram
    }

    #[test]
    fn buckets_start_at_the_known_values() {
        let starts: Vec<f64> = (0..=KNOWN.last()).map(|bucket| KNOWN.start(bucket)).collect();
        assert_eq!(starts, [0.0, 40.0, 100.0, 190.0, 325.0, 527.5]);
        for (value, bucket) in [(-1.0, 0), (39.99, 0), (40.0, 1), (100.0, 2), (900.0, 5)] {
            assert_eq!(KNOWN.bucket(value), bucket, "{value}");
        }
    }

    #[test]
    fn percentiles_with_decay_have_the_known_values() {
        // Weights 1·2⁻³, 2·2⁻², 3·2⁻¹ and 4 end at 2, 10, 34 and 100 %.
        let decayed = filled(&[(1, 1.0, 0), (2, 2.0, 1), (3, 3.0, 2), (4, 4.0, 3)]);
        let steady = filled(&[(1, 1.0, 0), (2, 2.0, 0), (3, 3.0, 0), (4, 4.0, 0)]);
        let table = [
            (&decayed, 0.00, 2),
            (&decayed, 0.02, 2),
            (&decayed, 0.03, 3),
            (&decayed, 0.10, 3),
            (&decayed, 0.11, 4),
            (&decayed, 0.34, 4),
            (&decayed, 0.35, 5),
            (&decayed, 1.00, 5),
            (&steady, -0.1, 2),
            (&steady, 0.1, 2),
            (&steady, 0.2, 3),
            (&steady, 0.3, 3),
            (&steady, 0.4, 4),
            (&steady, 0.6, 4),
            (&steady, 0.7, 5),
            (&steady, 1.1, 5),
        ];
        for (histogram, share, end) in table {
            assert_eq!(
                histogram.percentile(KNOWN, share),
                Some(KNOWN.start(end)),
                "{share}"
            );
        }
        assert_eq!(Histogram::default().percentile(KNOWN, 0.5), None);
    }

    #[test]
    fn a_heavy_sample_has_almost_no_weight_after_twenty_half_lives() {
        let histogram = filled(&[(2, 1000.0, 0), (1, 1.0, 20)]);
        assert_eq!(histogram.percentile(KNOWN, 0.999), Some(KNOWN.start(2)));
        assert_eq!(histogram.percentile(KNOWN, 1.0), Some(KNOWN.start(3)));
    }

    #[test]
    fn very_old_samples_are_dropped() {
        let histogram = filled(&[(2, 1.0, 0), (1, 1.0, 101)]);
        assert_eq!(histogram.len(), 1);
        assert_eq!(histogram.percentile(KNOWN, 1.0), Some(KNOWN.start(2)));
    }

    #[test]
    fn values_outside_the_buckets_count_in_the_first_or_last() {
        let mut histogram = Histogram::default();
        histogram.add(KNOWN, 0.0, 1.0, half_life(0));
        assert_eq!(histogram.percentile(KNOWN, 1.0), Some(40.0));
        histogram.add(KNOWN, 1e9, 1.0, half_life(0));
        assert_eq!(histogram.percentile(KNOWN, 1.0), Some(527.5));
    }
}
