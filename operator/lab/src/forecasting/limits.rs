//! Bounds and constants of the forecaster. A value without a source was chosen on the first halves of the development
//! series.

pub const DAY_SECONDS: i64 = 86_400;
pub const HOUR_SECONDS: i64 = 3_600;
/// Samples are averaged into bins of this width; coarser samples keep their own step.
pub const BIN_SECONDS_MIN: i64 = 60;
/// The maximum step; a longer one is clamped to it.
pub const BIN_SECONDS_MAX: i64 = 3_600;
/// Bins older than hours are joined into slots of about this width, and forecasts are judged once per slot.
pub const SLOT_SECONDS: i64 = 300;
/// The horizons that have their own model.
pub const HORIZONS_MINUTES: [i64; 4] = [5, 15, 30, 60];
/// The horizon of the hourly model.
pub const HOURS_COUNT_MAX: usize = 48;
/// A gap of up to this many bins is bridged by the last value; a longer one is missing data.
pub const CARRY_BINS: i64 = 5;
/// Bins kept at full resolution: the longest short window (180 min) before the longest horizon
/// (60 min) at a bin a minute, and room.
pub const RECENT_BINS: usize = 256;
/// Slots are kept for this many days.
pub const HISTORY_DAYS: i64 = 28;
/// After this many consecutive samples from before the open bin, the clock was set back permanently.
pub const LATE_SAMPLES_COUNT_MAX: u32 = 120;
/// Values are clamped to this, so that sums and squares stay finite.
pub const VALUE_MAX: f64 = 1e30;
/// Series that begin outside these bounds are scaled by their first value.
pub const USUAL_LOADS: std::ops::Range<f64> = 1e-20..1e20;
/// The fraction of the mean load that is added under the logarithm.
pub const SCALE_OF_MEAN: f64 = 0.5;
/// A forecast is at most this multiple of the highest load of the last weeks.
pub const PEAK_FACTOR: f64 = 1.5;
/// Half-lives of the mean, the peak, the sums of the two regressions, the residuals and the skill.
pub const MEAN_HALF_LIFE_DAYS: f64 = 14.0;
pub const PEAK_HALF_LIFE_DAYS: f64 = 28.0;
pub const SLOW_HALF_LIFE_DAYS: f64 = 10.0;
pub const FAST_HALF_LIFE_DAYS: f64 = 2.0;
pub const RESIDUAL_HALF_LIFE_DAYS: f64 = 5.0;
pub const SKILL_HALF_LIFE_DAYS: f64 = 1.5;
/// The ridge, relative to the mean diagonal of the Gram matrix.
pub const RIDGE: f64 = 1e-3;
/// An additional ridge of this many rows, times the forecasts that overlap: few rows must not determine the model.
pub const RIDGE_ROWS: f64 = 0.5;
/// The maximum of the ridge.
pub const RIDGE_MAX: f64 = 0.1;
/// Residuals beyond this multiple of their spread count less (Huber 1964).
pub const HUBER: f64 = 2.0;
/// The coefficients are solved again after this time.
pub const REFIT_SECONDS: i64 = 3_600;
/// A model that is worse than the last value by 1 / this gets no weight.
pub const SKILL_SLOPE: f64 = 5.0;
/// The minimum of residuals for a quantile.
pub const RESIDUALS_COUNT_MIN: u32 = 20;
/// The offset of a quantile moves by this fraction of the residuals' spread for an outcome above it.
pub const OFFSET_GAIN: f64 = 0.03;
/// The offset lowers a quantile by at most this many spreads.
pub const OFFSET_SPREADS_MIN: f64 = 1.5;
/// The tail of a quantile shrinks by a factor of e for every tail / this outcomes too many above it, times the square root
/// of the forecasts that overlap: at 1 %, 2.5 outcomes without overlap.
pub const EXCESS_GAIN: f64 = 0.004;
/// The half-life of the outcomes that are too many or too few.
pub const EXCESS_HALF_LIFE_DAYS: f64 = 10.0;
