//! Parameters of the estimate. They are those of the vertical pod autoscaler unless noted.

use super::buckets::Buckets;

pub const HALF_LIFE_SECONDS: f64 = 24.0 * 3600.0;

/// The first bucket is a tenth of the one of the vertical autoscaler. A small shard uses some hundredths of a core, and
/// the buckets of the vertical autoscaler would be wider than that.
pub const CORES: Buckets = Buckets {
    first_width: 0.001,
    growth: 1.05,
    max: 1000.0,
};

pub const TARGET_SHARE: f64 = 0.9;
pub const LOWER_SHARE: f64 = 0.5;
pub const UPPER_SHARE: f64 = 0.95;
pub const SIZE_MARGIN_FACTOR: f64 = 1.15;

/// One day of samples, one a minute, gives a confidence of one.
pub const SAMPLES_PER_DAY: f64 = 1440.0;
pub const DAY_SECONDS: f64 = 24.0 * 3600.0;
/// Multiplier and exponent of `(1 + multiplier / confidence) ^ exponent`, for either bound.
pub const LOWER_CONFIDENCE: (f64, f64) = (0.001, -2.0);
pub const UPPER_CONFIDENCE: (f64, f64) = (1.0, 1.0);

/// Memory counts as one peak for each interval, because the limit must exceed the peak and not the mean.
pub const PEAK_INTERVAL_SECONDS: i64 = 24 * 3600;
pub const PEAKS_COUNT_MAX: usize = 8;
/// A shard without samples for so long counts as a new one.
pub const EXPIRY_SECONDS: i64 = PEAKS_COUNT_MAX as i64 * PEAK_INTERVAL_SECONDS;

pub const OOM_BUMP_BYTES: f64 = 100.0 * 1024.0 * 1024.0;
pub const OOM_BUMP_RATIO: f64 = 1.2;

/// Well below the minimums of the vertical autoscaler (25 m, 250 MiB), which are large for a shard.
pub const CORES_MIN: f64 = 0.01;
pub const BYTES_MIN: f64 = 32.0 * 1024.0 * 1024.0;

/// A size within its bounds changes only by at least this share, and not before that age.
pub const CHANGE_SHARE_MIN: f64 = 0.1;
pub const CHANGE_AGE_SECONDS_MIN: i64 = 12 * 3600;

const _: () = assert!(LOWER_SHARE < TARGET_SHARE && TARGET_SHARE < UPPER_SHARE);
