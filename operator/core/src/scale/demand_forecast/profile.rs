//! What followed at the same second of past hours and days.

use serde::{Deserialize, Serialize};

use super::limits::{DAY_SLOTS, HOUR_SLOTS};

/// Neighbouring slots on each side that count for the scale, for past hours and for past days.
const NEAR_HOUR: usize = 1;
const NEAR_DAY: usize = 4;
/// Weights of the newest cycle in the averages.
const WEIGHT_HOURS: f64 = 1.0 / 16.0;
const WEIGHT_LAST_HOURS: f64 = 0.4;
const WEIGHT_DAYS: f64 = 0.25;
/// Fixed point, so that the profiles of a day stay small.
const STEPS_PER_UNIT: f64 = 2_000.0;

/// The memory of all cycles, in bytes.
pub const PROFILES_BYTES: usize = 2 * (4 * DAY_SLOTS + 3 * HOUR_SLOTS);

/// The seasonal values of one slot.
pub struct Season {
    /// The mean outcome at this second of the hour, over many hours and over the last few.
    pub hours: f64,
    pub last_hours: f64,
    /// The mean outcome at this time of day, and the outcome of yesterday.
    pub days: f64,
    pub yesterday: f64,
    /// The logarithm of the value one day ago.
    pub yesterday_log: Option<f64>,
    /// The mean squared residuals at this time of the hour and of the day.
    pub hour_variance: f64,
    pub day_variance: f64,
}

/// One value for each slot of a cycle, in fixed point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Cycle(Vec<i16>);

impl Cycle {
    fn new(slots: usize) -> Cycle {
        Cycle(vec![0; slots])
    }

    fn place(&self, slot: i64) -> usize {
        usize::try_from(slot.rem_euclid(self.0.len() as i64)).unwrap_or(0)
    }

    fn get(&self, slot: i64) -> f64 {
        f64::from(self.0[self.place(slot)]) / STEPS_PER_UNIT
    }

    fn set(&mut self, slot: i64, value: f64) {
        let place = self.place(slot);
        self.0[place] = (value * STEPS_PER_UNIT).round() as i16; // saturates
    }

    fn blend(&mut self, slot: i64, value: f64, weight: f64) {
        let old = self.get(slot);
        self.set(slot, old + weight * (value - old));
    }

    /// Blends a root mean square by its square.
    fn blend_square(&mut self, slot: i64, square: f64, weight: f64) {
        let old = self.get(slot).powi(2);
        self.set(slot, (old + weight * (square - old)).sqrt());
    }

    fn mean_square(&self, slot: i64, near: usize) -> f64 {
        let near = near as i64;
        let sum: f64 = (-near..=near).map(|d| self.get(slot + d).powi(2)).sum();
        sum / (2 * near + 1) as f64
    }
}

/// The cycles of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profiles {
    hours: Cycle,
    last_hours: Cycle,
    days: Cycle,
    yesterday: Cycle,
    yesterday_log: Cycle,
    hour_scale: Cycle,
    day_scale: Cycle,
    /// `yesterday_log` is relative to this logarithm.
    origin: Option<f64>,
    passed: usize,
    learned: usize,
}

impl Profiles {
    pub fn new() -> Profiles {
        Profiles {
            hours: Cycle::new(HOUR_SLOTS),
            last_hours: Cycle::new(HOUR_SLOTS),
            days: Cycle::new(DAY_SLOTS),
            yesterday: Cycle::new(DAY_SLOTS),
            yesterday_log: Cycle::new(DAY_SLOTS),
            hour_scale: Cycle::new(HOUR_SLOTS),
            day_scale: Cycle::new(DAY_SLOTS),
            origin: None,
            passed: 0,
            learned: 0,
        }
    }

    /// The seasonal values of `slot`.
    pub fn at(&self, slot: i64) -> Season {
        let origin = self.origin.filter(|_| self.passed >= DAY_SLOTS);
        Season {
            hours: self.hours.get(slot),
            last_hours: self.last_hours.get(slot),
            days: self.days.get(slot),
            yesterday: self.yesterday.get(slot),
            yesterday_log: origin.map(|origin| origin + self.yesterday_log.get(slot)),
            hour_variance: self.hour_scale.mean_square(slot, NEAR_HOUR),
            day_variance: self.day_scale.mean_square(slot, NEAR_DAY),
        }
    }

    /// Records the value of a slot after the prediction for it.
    pub fn record(&mut self, slot: i64, log: f64) {
        let origin = *self.origin.get_or_insert(log);
        self.yesterday_log.set(slot, log - origin);
        self.passed = self.passed.saturating_add(1);
    }

    /// Records the outcome after a slot and its squared residual.
    pub fn learn(&mut self, slot: i64, outcome: f64, square: f64) {
        let first = |weight: f64, cycle: usize| weight.max(1.0 / (1 + self.learned / cycle) as f64);
        let (hours, last) = (
            first(WEIGHT_HOURS, HOUR_SLOTS),
            first(WEIGHT_LAST_HOURS, HOUR_SLOTS),
        );
        let days = first(WEIGHT_DAYS, DAY_SLOTS);
        self.hours.blend(slot, outcome, hours);
        self.last_hours.blend(slot, outcome, last);
        self.days.blend(slot, outcome, days);
        self.yesterday.set(slot, outcome);
        self.hour_scale.blend_square(slot, square, hours);
        self.day_scale.blend_square(slot, square, days);
        self.learned = self.learned.saturating_add(1);
    }
}
