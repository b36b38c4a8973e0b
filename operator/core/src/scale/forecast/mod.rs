//! What the load will be: a point and a quantile for minutes to hours ahead.
//!
//! A [`Forecaster`] is a value: samples go in by [`Forecaster::observe`], and
//! [`Forecaster::forecast`] answers at any time from what is known then.

mod grid;
mod limits;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use grid::Grid;
use limits::{BIN_SECONDS_MAX, BIN_SECONDS_MIN, HORIZONS_MINUTES, RESIDUALS_COUNT_MAX, RESIDUALS_COUNT_MIN};

/// What a forecast rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Basis {
    /// The level of the last minutes.
    LastValue,
    /// The level and the course of the days before.
    Daily,
    /// The level and the course of the days and of the week before.
    Weekly,
}

impl Basis {
    /// The name as in status and tables, e.g. `LastValue`.
    pub fn as_str(self) -> &'static str {
        match self {
            Basis::LastValue => "LastValue",
            Basis::Daily => "Daily",
            Basis::Weekly => "Weekly",
        }
    }
}

/// The load at one time ahead, in the unit of the samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The middle: about as often too high as too low.
    pub point: f64,
    /// The quantile that was asked for, never below zero.
    pub upper: f64,
    pub basis: Basis,
    /// Whether the model has lately been better than the last value; only then should the load be
    /// prepared for by it.
    pub skilled: bool,
}

/// The state of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecaster {
    grid: Grid,
    horizons: Vec<Horizon>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Horizon {
    bins: usize,
    /// Logarithms of outcome over forecast, oldest first.
    residuals: VecDeque<f32>,
}

impl Forecaster {
    /// For a series whose samples come about every `step`.
    pub fn new(step: Duration) -> Self {
        let step = i64::try_from(step.as_secs()).unwrap_or(i64::MAX);
        let bin = step.clamp(BIN_SECONDS_MIN, BIN_SECONDS_MAX);
        let mut bins: Vec<i64> = HORIZONS_MINUTES.iter().map(|m| (m * 60 / bin).max(1)).collect();
        bins.dedup();
        let horizon = |n| Horizon {
            bins: n as usize,
            residuals: VecDeque::new(),
        };
        Forecaster {
            grid: Grid::new(bin),
            horizons: bins.into_iter().map(horizon).collect(),
        }
    }

    /// Takes a sample. Samples may come at any spacing, in the order of time; a gap is simply not
    /// observed. A value that is negative or not finite says nothing.
    pub fn observe(&mut self, at: Timestamp, value: f64) {
        let closed = self.grid.observe(at, value);
        for back in (0..closed).rev() {
            for horizon in &mut self.horizons {
                let (now, then) = (self.grid.mean(back, 1), self.grid.mean(back + horizon.bins, 3));
                if let (Some(now), Some(then)) = (now, then) {
                    if horizon.residuals.len() == RESIDUALS_COUNT_MAX {
                        horizon.residuals.pop_front();
                    }
                    let floor = 0.5 * then + f64::MIN_POSITIVE;
                    horizon
                        .residuals
                        .push_back(((now + floor) / (then + floor)).ln() as f32);
                }
            }
        }
    }

    /// The load `horizon` after the last sample and its `quantile`, between 0 and 1. `None` when
    /// nothing is known yet.
    pub fn forecast(&self, horizon: Duration, quantile: f64) -> Option<Prediction> {
        let point = self.grid.mean(0, 3)?;
        let ahead = horizon.as_secs_f64() / self.grid.bin_seconds() as f64;
        let near = self.horizons.iter().find(|h| h.bins as f64 >= ahead);
        let model = near.or(self.horizons.last())?;
        let upper = model
            .ratio(quantile)
            .map_or(point, |r| (1.5 * point * r - 0.5 * point).max(0.0));
        Some(Prediction {
            point,
            upper,
            basis: Basis::LastValue,
            skilled: false,
        })
    }
}

impl Horizon {
    /// The quantile of outcome over forecast.
    fn ratio(&self, quantile: f64) -> Option<f64> {
        if self.residuals.len() < RESIDUALS_COUNT_MIN {
            return None;
        }
        let mut sorted: Vec<f32> = self.residuals.iter().copied().collect();
        sorted.sort_by(f32::total_cmp);
        let rank = quantile.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
        sorted.get(rank.ceil() as usize).map(|r| f64::from(*r).exp())
    }
}
