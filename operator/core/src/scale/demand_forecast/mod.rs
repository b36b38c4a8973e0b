//! Forecasts the demand that must be served before a decision takes effect: minutes ahead, in slots of 15 seconds.
//!
//! [`DemandForecaster::observe`] takes samples. [`DemandForecaster::distribution`] returns the probability distribution
//! of the largest demand within the lead time. An online ridge regression (Hoerl, Kennard, 1970) predicts the logarithm
//! of the ratio of that maximum to the current value. Its features are the course of the last hour, and what followed at
//! the same second of past hours and days, because jobs that start on the hour cause most sudden changes in production
//! load. Residuals are divided by a scale that depends on the time of the hour and day, as in seasonal GARCH models, and
//! their decaying histogram gives the probabilities. A second expert, the last value with its own residuals, replaces
//! the regression whenever its recent pinball loss is lower.

mod expert;
mod limits;
mod profile;
mod tail;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ridge::{Normal, dot};
use super::sample_change::is_sudden_fall;
use expert::{Expert, Guess};
use limits::{
    CARRY_SLOTS, DAY_SLOTS, DOUBT_SECONDS, FLOOR_FRACTION, FORECASTER_BYTES_MAX, HOUR_SLOTS, LEAD_SLOTS_MAX,
    MATURE_SLOTS, REFIT_SLOTS, RIDGE_DECAY, RIDGE_PENALTY, SLOT_SECONDS, WARM_SLOTS,
};
use profile::{Profiles, Season};

pub use limits::EXCEEDANCES;

/// The distribution of the largest demand within the lead time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Distribution {
    /// The time of the newest sample.
    pub at: Timestamp,
    /// The levels exceeded with the probabilities [`EXCEEDANCES`], rising, in the unit of the samples.
    pub levels: [f64; EXCEEDANCES.len()],
    /// Whether the regression was recently better than the last value. If not, the levels are those around the
    /// last value.
    pub skilled: bool,
}

/// The state of one series. It takes less than 64 kB of memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DemandForecaster {
    lead_slots: usize,
    /// The newest sample: slot, time and value.
    last: Option<(i64, Timestamp, f64)>,
    /// When samples suddenly fell below it.
    fell_at: Option<Timestamp>,
    /// The number of closed slots.
    closed: usize,
    mean: f64,
    /// The logarithms of the last closed slots, oldest first, for at most an hour.
    recent: VecDeque<f64>,
    pending: VecDeque<Row>,
    profiles: Profiles,
    sums: Normal,
    /// The weights of the regression from the last solve.
    weights: Vec<f64>,
    model: Expert,
    last_value: Expert,
}

const FEATURES: usize = 12;
/// The features of a prediction. The first is 1.
type Features = [f32; FEATURES];

/// A prediction whose outcome is not known yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    slot: i64,
    features: Features,
    model: Guess,
    last_value: Guess,
}

const _: () = assert!(
    profile::PROFILES_BYTES
        + 2 * tail::TAIL_BYTES
        + LEAD_SLOTS_MAX * size_of::<Row>()
        + (HOUR_SLOTS + 1) * 8
        + (FEATURES * (FEATURES + 1) / 2 + 2 * FEATURES) * 8
        + size_of::<DemandForecaster>()
        <= FORECASTER_BYTES_MAX,
    "the state of a series exceeds FORECASTER_BYTES_MAX"
);

impl DemandForecaster {
    /// For decisions that take effect after `lead`, including the delay of the samples.
    pub fn new(lead: Duration) -> DemandForecaster {
        let slots = lead.as_secs().div_ceil(SLOT_SECONDS.unsigned_abs());
        DemandForecaster {
            lead_slots: usize::try_from(slots).unwrap_or(1).clamp(1, LEAD_SLOTS_MAX),
            last: None,
            fell_at: None,
            closed: 0,
            mean: 0.0,
            recent: VecDeque::new(),
            pending: VecDeque::new(),
            profiles: Profiles::new(),
            sums: Normal::new(FEATURES),
            weights: vec![0.0; FEATURES],
            model: Expert::new(),
            last_value: Expert::new(),
        }
    }

    /// Takes a sample. The last one of a slot counts. A gap of up to [`CARRY_SLOTS`] slots is filled with the last
    /// value. After a longer gap the course starts over, but what the model learned stays. Ignores a value that is
    /// negative, not finite or older than the newest, and one after a sudden fall until the fall has lasted
    /// [`DOUBT_SECONDS`].
    pub fn observe(&mut self, at: Timestamp, value: f64) {
        if !value.is_finite() || value < 0.0 {
            return;
        }
        let slot = at.as_second().div_euclid(SLOT_SECONDS);
        if let Some((open, then, held)) = self.last {
            if at < then || self.is_doubtful(at, value, held) {
                return;
            }
            if slot - open > CARRY_SLOTS {
                self.recent.clear();
                self.pending.clear();
            } else {
                (open..slot).for_each(|closing| self.close(closing, held));
            }
        }
        self.last = Some((slot, at, value));
    }

    /// Whether a value fell suddenly a short while ago: this may be a fault of the source.
    fn is_doubtful(&mut self, at: Timestamp, value: f64, held: f64) -> bool {
        if !is_sudden_fall(held, value) {
            self.fell_at = None;
            return false;
        }
        let since = *self.fell_at.get_or_insert(at);
        let is_doubtful = at.duration_since(since).as_secs() < DOUBT_SECONDS;
        if !is_doubtful {
            self.fell_at = None;
        }
        is_doubtful
    }

    /// The distribution of the largest demand within the lead time. `None` during the first quarter of a day, and
    /// right after a gap.
    pub fn distribution(&self) -> Option<Distribution> {
        let (_, at, value) = self.last?;
        let row = self.pending.back()?;
        if self.closed < MATURE_SLOTS || self.recent.len() < WARM_SLOTS {
            return None;
        }
        let skilled = self.model.loss() < self.last_value.loss();
        let (expert, guess) = if skilled {
            (&self.model, row.model)
        } else {
            (&self.last_value, row.last_value)
        };
        let (floor, base) = (self.floor(), self.recent.back()?);
        let mut highest = value;
        let levels = EXCEEDANCES.map(|exceedance| {
            let log = base + guess.mean + guess.scale * expert.tail.at(exceedance);
            highest = highest.max(log.exp().min(f64::MAX) - floor);
            highest
        });
        Some(Distribution { at, levels, skilled })
    }

    /// Keeps logarithms finite, and limits the influence of small values.
    fn floor(&self) -> f64 {
        FLOOR_FRACTION * self.mean + f64::MIN_POSITIVE
    }

    fn close(&mut self, slot: i64, value: f64) {
        self.closed = self.closed.saturating_add(1);
        self.mean += (value - self.mean) / self.closed.min(DAY_SLOTS) as f64;
        let log = (value + self.floor()).ln();
        if self.recent.len() > HOUR_SLOTS {
            self.recent.pop_front();
        }
        self.recent.push_back(log);
        self.learn(slot);
        if self.closed.is_multiple_of(REFIT_SLOTS) {
            self.refit();
        }
        self.predict(slot);
        self.profiles.record(slot, log);
    }

    /// Compares the prediction that is due with the largest value since then.
    fn learn(&mut self, slot: i64) {
        let due = self
            .pending
            .front()
            .is_some_and(|row| slot - row.slot >= self.lead_slots as i64);
        let Some(row) = due.then(|| self.pending.pop_front()).flatten() else {
            return;
        };
        let since = self.recent.iter().rev().take(self.lead_slots + 1);
        let highest = since.fold(f64::NEG_INFINITY, |a, b| a.max(*b));
        let Some(then) = self.recent.iter().rev().nth(self.lead_slots) else {
            return;
        };
        let outcome = highest - then;
        self.sums.add(&row.features.map(f64::from), outcome, 1.0);
        let residual = outcome - row.model.mean;
        self.model.observe(row.model, outcome);
        self.last_value.observe(row.last_value, outcome);
        self.profiles.learn(row.slot, outcome, residual * residual);
    }

    /// Solves for the weights, then fades old observations.
    fn refit(&mut self) {
        if let Some(weights) = self.sums.solve(RIDGE_PENALTY) {
            self.weights = weights;
        }
        self.sums.fade(RIDGE_DECAY);
    }

    fn predict(&mut self, slot: i64) {
        let Some(now) = self.recent.back().copied() else {
            return;
        };
        let season = self.profiles.at(slot);
        let features = self.features(now, &season);
        let model = Guess {
            mean: dot(&features.map(f64::from), &self.weights),
            scale: self
                .model
                .scale(Some((season.hour_variance, season.day_variance))),
        };
        let last_value = Guess {
            mean: 0.0,
            scale: self.last_value.scale(None),
        };
        self.pending.push_back(Row {
            slot,
            features,
            model,
            last_value,
        });
    }

    fn features(&self, now: f64, season: &Season) -> Features {
        let back = |slots: usize| self.recent.iter().rev().nth(slots).copied().unwrap_or(now);
        let mean = |slots: usize| {
            let taken = self.recent.len().min(slots).max(1);
            self.recent.iter().rev().take(taken).sum::<f64>() / taken as f64
        };
        let features: [f64; FEATURES] = [
            1.0,
            now - back(1),
            now - back(4),
            back(4) - back(8),
            now - mean(20),
            now - mean(60),
            now - mean(HOUR_SLOTS),
            season.hours,
            season.last_hours,
            season.days,
            season.yesterday,
            season.yesterday_log.map_or(0.0, |then| now - then),
        ];
        features.map(|feature| feature as f32)
    }
}
