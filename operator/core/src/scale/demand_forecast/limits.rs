//! Limits of the model, in slots of [`SLOT_SECONDS`].

/// The width of a slot. It is short enough to separate the start of a job from the time before it.
pub const SLOT_SECONDS: i64 = 15;
pub const HOUR_SLOTS: usize = 240;
pub const DAY_SLOTS: usize = 5_760;
/// The longest gap that is filled with the last value.
pub const CARRY_SLOTS: i64 = 20;
/// Closed slots before the first forecast: a quarter of a day.
pub const MATURE_SLOTS: usize = DAY_SLOTS / 4;
/// How long a sudden fall must last before it counts: the common averaging window of a metric.
pub const DOUBT_SECONDS: i64 = 60;
/// Closed slots after a gap before the next forecast: a quarter of an hour, which the features of the course need.
pub const WARM_SLOTS: usize = 60;
/// The number of slots between two solves of the regression.
pub const REFIT_SLOTS: usize = HOUR_SLOTS;
/// The longest lead time. Beyond half an hour, slots of 15 seconds add nothing over slots of a minute.
pub const LEAD_SLOTS_MAX: usize = 120;
/// The model takes logarithms of the value plus this share of the mean.
pub const FLOOR_FRACTION: f64 = 0.25;
/// The probabilities with which demand exceeds the levels of a distribution.
pub const EXCEEDANCES: [f64; 10] = [0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005];
/// The largest state of one series.
pub const FORECASTER_BYTES_MAX: usize = 64_000;
/// The ridge penalty as a share of the mean diagonal.
pub const RIDGE_PENALTY: f64 = 1e-4;
/// The share of old observations that every refit keeps: a half after three days.
pub const RIDGE_DECAY: f64 = 0.99;
/// The share of old residuals that every hour keeps: a half after four days.
pub const TAIL_DECAY: f64 = 0.992;
/// The exceedance at which the loss compares experts.
pub const LOSS_EXCEEDANCE: f64 = 0.01;
