//! The demand that must be served before a decision made now takes effect: minutes ahead, by the
//! quarter of a minute.
//!
//! [`DemandForecaster`] is a value: samples go in by [`DemandForecaster::observe`], and [`DemandForecaster::distribution`] tells how
//! high the largest demand of the coming lead time may be, with its probabilities. It predicts the
//! logarithm of that maximum over the present value by an online ridge regression (Hoerl, Kennard,
//! 1970) on the course of the last hour and on what followed at the same second of former hours and
//! days: jobs that start on the hour are most of what is sudden in production load. Residuals are
//! divided by a scale that depends on the time of the hour and day, as in seasonal GARCH models, and
//! their decaying histogram gives the probabilities. A second expert, the last value with its own
//! residuals, stands in wherever the regression has lately not been better (pinball loss).

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

use super::anomaly::is_sudden;
use super::ridge::{Normal, dot};
use expert::{Expert, Guess};
use limits::{
    BYTES_MAX, CARRY_SLOTS, DAY_SLOTS, DOUBT_SECONDS, FLOOR_FRACTION, HOUR_SLOTS, LEAD_SLOTS_MAX,
    MATURE_SLOTS, REFIT_SLOTS, RIDGE_DECAY, RIDGE_PENALTY, SLOT_SECONDS, WARM_SLOTS,
};
use profile::{Profiles, Season};

pub use limits::EXCEEDANCES;

/// How high the largest demand of the lead time may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Distribution {
    /// When the newest sample in it was taken.
    pub at: Timestamp,
    /// The values exceeded with the probabilities [`EXCEEDANCES`]; rising, in the unit of the
    /// samples.
    pub levels: [f64; EXCEEDANCES.len()],
    /// Whether the seasons and the recent course help: the regression has lately been better than
    /// the last value. Otherwise the levels are those around the last value.
    pub skilled: bool,
}

/// The state of one series, below 64 kB of memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DemandForecaster {
    lead_slots: usize,
    /// The newest sample: slot, time and value.
    last: Option<(i64, Timestamp, f64)>,
    /// Since when samples are much below it.
    fell_at: Option<Timestamp>,
    /// Slots closed without a gap before the newest.
    closed: usize,
    mean: f64,
    /// Logarithms of the last closed slots, oldest first, at most an hour.
    recent: VecDeque<f64>,
    pending: VecDeque<Row>,
    profiles: Profiles,
    sums: Normal,
    /// Of the regression, as solved last.
    weights: Vec<f64>,
    model: Expert,
    last_value: Expert,
}

const FEATURES: usize = 12;
/// What a prediction is made from; the first is 1.
type Features = [f32; FEATURES];

/// A prediction that waits for its outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    slot: i64,
    features: Features,
    model: Guess,
    last_value: Guess,
}

const _: () = assert!(
    profile::BYTES
        + 2 * tail::BYTES
        + LEAD_SLOTS_MAX * size_of::<Row>()
        + (HOUR_SLOTS + 1) * 8
        + (FEATURES * (FEATURES + 1) / 2 + 2 * FEATURES) * 8
        + size_of::<DemandForecaster>()
        <= BYTES_MAX,
    "the state of a series stays small"
);

impl DemandForecaster {
    /// For decisions that take effect after `lead`, the delay of the samples included.
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

    /// Takes a sample. The last one of a slot counts; up to [`CARRY_SLOTS`] without any are bridged
    /// by the last value, after more the course begins anew and what was learnt stays. A value that
    /// is negative or not finite, or older than the newest, says nothing; nor does one that fell
    /// suddenly, until the fall has lasted [`DOUBT_SECONDS`].
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

    /// Whether a value fell too suddenly and too lately: it may be the source that changed.
    fn is_doubtful(&mut self, at: Timestamp, value: f64, held: f64) -> bool {
        if !is_sudden(held, value) {
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

    /// How high the largest demand of the lead time may be; `None` before a quarter of a day was
    /// seen, and right after a gap.
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

    /// Keeps logarithms finite and small values from deciding.
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
        self.profiles.pass(slot, log);
    }

    /// Compares the prediction that is due with the largest value since.
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

    /// Solves for the weights, and lets old observations fade.
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
