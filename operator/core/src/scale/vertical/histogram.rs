//! A histogram of usage whose samples lose half their weight every half-life.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Each bucket is wider than the one before it by this factor.
const GROWTH: f64 = 1.05;
const HALF_LIFE_SECONDS: f64 = 24.0 * 3600.0;
/// Weights are scaled down before they outgrow what a float tells apart.
const EXPONENT_MAX: f64 = 100.0;
/// A bucket below this share of a fresh sample is forgotten.
const WEIGHT_MIN: f64 = 1e-4;

/// The range of a histogram in the unit of its values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    pub first_bucket: f64,
    pub max: f64,
}

impl Scale {
    /// Where a bucket begins.
    fn start(&self, bucket: u16) -> f64 {
        self.first_bucket * (GROWTH.powi(i32::from(bucket)) - 1.0) / (GROWTH - 1.0)
    }

    fn bucket(&self, value: f64) -> u16 {
        let exact = |value: f64| (value * (GROWTH - 1.0) / self.first_bucket + 1.0).ln() / GROWTH.ln();
        let last = exact(self.max).ceil();
        if value < self.first_bucket {
            0
        } else {
            exact(value).floor().min(last) as u16
        }
    }
}

/// Weights by bucket; a sample at time t weighs 2^((t − reference) / half-life).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    weights: BTreeMap<u16, f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<Timestamp>,
}

impl Histogram {
    pub fn add(&mut self, scale: Scale, value: f64, weight: f64, at: Timestamp) {
        let reference = *self.reference.get_or_insert(at);
        let mut exponent = half_lives(reference, at);
        if exponent > EXPONENT_MAX {
            self.move_reference(exponent, at);
            exponent = 0.0;
        }
        *self.weights.entry(scale.bucket(value)).or_default() += weight * exponent.exp2();
    }

    fn move_reference(&mut self, exponent: f64, at: Timestamp) {
        self.reference = Some(at);
        for weight in self.weights.values_mut() {
            *weight *= (-exponent).exp2();
        }
        self.weights.retain(|_, weight| *weight >= WEIGHT_MIN);
    }

    /// The end of the bucket below which this share of the weight lies; `None` when empty.
    pub fn percentile(&self, scale: Scale, share: f64) -> Option<f64> {
        let threshold = share * self.weights.values().sum::<f64>();
        let mut sum = 0.0;
        let reached = self.weights.iter().find(|(_, weight)| {
            sum += **weight;
            sum >= threshold
        });
        // Rounding may leave the sum just below the whole.
        let (bucket, _) = reached.or(self.weights.last_key_value())?;
        Some(scale.start(bucket + 1).min(scale.max))
    }

    /// Buckets in use.
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

    const CORES: Scale = Scale {
        first_bucket: 0.01,
        max: 1000.0,
    };

    fn day(n: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * n)
    }

    #[test]
    fn a_percentile_is_the_end_of_its_bucket() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(CORES, 0.9), None);
        for value in [0.1, 0.2, 0.3, 0.4, 0.5] {
            histogram.add(CORES, value, 1.0, day(0));
        }
        for (share, value) in [(0.0, 0.1), (0.2, 0.1), (0.5, 0.3), (0.8, 0.4), (1.0, 0.5)] {
            let found = histogram.percentile(CORES, share).unwrap();
            assert!(
                found > value && found <= value * GROWTH + CORES.first_bucket,
                "{share}: {found}"
            );
        }
    }

    #[test]
    fn values_beyond_the_scale_stay_in_its_ends() {
        let mut histogram = Histogram::default();
        histogram.add(CORES, 0.0, 1.0, day(0));
        assert_eq!(histogram.percentile(CORES, 1.0), Some(CORES.first_bucket));
        histogram.add(CORES, 1e9, 1.0, day(0));
        assert_eq!(histogram.percentile(CORES, 1.0), Some(CORES.max));
    }

    #[test]
    fn a_sample_weighs_half_after_a_half_life() {
        let mut histogram = Histogram::default();
        histogram.add(CORES, 1.0, 2.0, day(0));
        histogram.add(CORES, 0.1, 1.01, day(1));
        assert!(histogram.percentile(CORES, 0.5).unwrap() < 0.2);
        let mut histogram = Histogram::default();
        histogram.add(CORES, 1.0, 2.0, day(0));
        histogram.add(CORES, 0.1, 0.99, day(1));
        assert!(histogram.percentile(CORES, 0.5).unwrap() > 0.9);
    }

    #[test]
    fn what_is_very_old_is_forgotten() {
        let mut histogram = Histogram::default();
        histogram.add(CORES, 8.0, 1.0, day(0));
        histogram.add(CORES, 0.1, 1.0, day(101));
        assert_eq!(histogram.len(), 1);
        assert!(histogram.percentile(CORES, 1.0).unwrap() < 0.2);
    }
}
