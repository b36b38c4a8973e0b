//! Bounds of the forecaster.

/// Samples are averaged into bins of this width; coarser samples keep their own step.
pub const BIN_SECONDS_MIN: i64 = 60;
/// A step beyond this is read as this.
pub const BIN_SECONDS_MAX: i64 = 3_600;
/// The horizons with a model of their own.
pub const HORIZONS_MINUTES: [i64; 4] = [5, 15, 30, 60];
/// A gap of so many bins is bridged by the last value; a longer one is missing.
pub const CARRY_BINS: usize = 5;
/// Bins kept at full resolution.
pub const RECENT_BINS: usize = 300;
/// Values beyond this are read as this, so that sums and squares stay finite.
pub const VALUE_MAX: f64 = 1e30;
/// Residuals needed before their quantile means anything.
pub const RESIDUALS_COUNT_MIN: usize = 20;
/// Residuals kept for one horizon.
pub const RESIDUALS_COUNT_MAX: usize = 1_000;
