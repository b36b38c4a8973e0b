//! Bounds of the model, in slots of [`SLOT_SECONDS`].

/// Samples are kept by slots of this width: fine enough to tell a job's start from the time before.
pub const SLOT_SECONDS: i64 = 15;
pub const HOUR_SLOTS: usize = 240;
pub const DAY_SLOTS: usize = 5_760;
/// Slots without a sample that are bridged by the last value.
pub const CARRY_SLOTS: i64 = 20;
/// Closed slots before anything is said: a quarter of a day.
pub const MATURE_SLOTS: usize = DAY_SLOTS / 4;
/// How long a sudden fall must last before it is believed: the usual averaging window of a metric.
pub const DOUBT_SECONDS: i64 = 60;
/// Closed slots after a gap before anything is said: a quarter of an hour, so that the course is one again.
pub const WARM_SLOTS: usize = 60;
/// The regression is solved anew after so many slots.
pub const REFIT_SLOTS: usize = HOUR_SLOTS;
/// The longest lead time; beyond half an hour the slots say less than a forecast by the minute.
pub const LEAD_SLOTS_MAX: usize = 120;
/// Logarithms are of the value plus this part of the mean.
pub const FLOOR_FRACTION: f64 = 0.25;
/// Probabilities with which the levels of a distribution are exceeded.
pub const EXCEEDANCES: [f64; 10] = [0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005];
/// What the state of one series may take.
pub const BYTES_MAX: usize = 64_000;
/// Ridge penalty as part of the mean diagonal.
pub const RIDGE_PENALTY: f64 = 1e-4;
/// What is kept of old observations with every refit: half after three days.
pub const RIDGE_DECAY: f64 = 0.99;
/// What is kept of old residuals with every hour: half after four days.
pub const TAIL_DECAY: f64 = 0.992;
/// The exceedance at which experts are compared.
pub const LOSS_EXCEEDANCE: f64 = 0.01;
