//! Bounds and constants of the forecaster. Where no source is named, the value was chosen on the
//! first halves of the development series.

pub const DAY_SECONDS: i64 = 86_400;
pub const HOUR_SECONDS: i64 = 3_600;
/// Samples are averaged into bins of this width; coarser samples keep their own step.
pub const BIN_SECONDS_MIN: i64 = 60;
/// A step beyond this is read as this.
pub const BIN_SECONDS_MAX: i64 = 3_600;
/// Bins are joined into slots of about this width for what is older than hours, and forecasts are
/// judged once a slot.
pub const SLOT_SECONDS: i64 = 300;
/// The horizons with a model of their own.
pub const HORIZONS_MINUTES: [i64; 4] = [5, 15, 30, 60];
/// How far ahead the hourly model looks.
pub const HOURS_COUNT_MAX: usize = 48;
/// A gap of so many bins is bridged by the last value; a longer one is missing.
pub const CARRY_BINS: i64 = 5;
/// Bins kept at full resolution: the longest short window (180 min) before the longest horizon
/// (60 min) at a bin a minute, and room.
pub const RECENT_BINS: usize = 256;
/// Slots are kept for so many days.
pub const HISTORY_DAYS: i64 = 28;
/// So many samples in a row from before the open bin mean that the clock was set back for good.
pub const LATE_SAMPLES_COUNT_MAX: u32 = 120;
/// Values beyond this are read as this, so that sums and squares stay finite.
pub const VALUE_MAX: f64 = 1e30;
/// Series that begin beyond these are taken in units of their beginning.
pub const USUAL_LOADS: std::ops::Range<f64> = 1e-20..1e20;
/// The part of the mean load that is added under the logarithm.
pub const SCALE_OF_MEAN: f64 = 0.5;
/// A forecast is at most so many times the highest load of the last weeks.
pub const PEAK_FACTOR: f64 = 1.5;
/// Half-lives of the mean, the peak, the sums of the two regressions, the residuals and the skill.
pub const MEAN_HALF_LIFE_DAYS: f64 = 14.0;
pub const PEAK_HALF_LIFE_DAYS: f64 = 28.0;
pub const SLOW_HALF_LIFE_DAYS: f64 = 10.0;
pub const FAST_HALF_LIFE_DAYS: f64 = 2.0;
pub const RESIDUAL_HALF_LIFE_DAYS: f64 = 5.0;
pub const SKILL_HALF_LIFE_DAYS: f64 = 1.5;
/// The ridge, as a part of the mean diagonal of the Gram matrix.
pub const RIDGE: f64 = 1e-3;
/// And besides for so many rows, each as many times as forecasts overlap: of few rows little is learnt.
pub const RIDGE_ROWS: f64 = 0.5;
/// No more than this.
pub const RIDGE_MAX: f64 = 0.1;
/// Residuals beyond so many times their spread count less (Huber 1964).
pub const HUBER: f64 = 2.0;
/// Coefficients are solved for again after this time.
pub const REFIT_SECONDS: i64 = 3_600;
/// A model that is worse than the last value by 1 / this loses its say.
pub const SKILL_SLOPE: f64 = 5.0;
/// Residuals needed before their quantile means anything.
pub const RESIDUALS_COUNT_MIN: u32 = 20;
/// The offset of a quantile moves by this part of the residuals' spread for an outcome above it.
pub const OFFSET_GAIN: f64 = 0.03;
/// It pulls a quantile in by at most so many spreads.
pub const OFFSET_SPREADS_MIN: f64 = 1.5;
/// The tail of a quantile shrinks by e for tail / this outcomes too many above it, times the root of the
/// forecasts that overlap: at 1 %, 2.5 outcomes where none do.
pub const EXCESS_GAIN: f64 = 0.004;
/// Outcomes too many or too few are forgotten with this half-life.
pub const EXCESS_HALF_LIFE_DAYS: f64 = 10.0;
