//! Forecasts of the load: a point and a quantile for minutes to hours ahead.
//!
//! A [`Forecaster`] is a value: [`Forecaster::observe`] takes samples, and [`Forecaster::forecast`] uses all samples until
//! then.
//!
//! Up to an hour, for each of several horizons h, on z = ln(y + ½ · mean of y), l the level of the last minutes:
//!
//! - ẑ(t + h) = l + s · β·x. β minimises Σ w (z(t + h) − l − β·x)² + λ‖β‖² (ridge: Hoerl and Kennard 1970), w fading
//!   with a half-life of 2 days in one regression and 10 in another, and with Huber's weight (1964); their mean counts.
//!   λ is larger while there are few rows, the more so the more forecasts overlap: h / slot of them share an event.
//! - x: 1; last bin − l; l − mean of the last 10, 30, 60 and 180 minutes; what followed at the same time 1, 2, 3, 7
//!   and 14 days ago, z(t + h − d) − z(t − d); l − z(t − d) for 1, 7 and 14 days; sine and cosine of the day and of half a day.
//! - s falls from 1 to 0 as the regression's fading error grows beyond that of the last value.
//! - Quantile at p: ẑ + q(p') + o. q: fading histogram of residuals. o: after each outcome o ← o + γ · spread · (1\[above\] −
//!   (1 − p)) (quantile tracking: Angelopoulos, Candès and Tibshirani 2023); p': p moved by the sum of 1\[above\] − (1 − p)
//!   (the integrator of the same paper).
//!
//! Beyond an hour, on hourly means: [`hours`].

mod calibrate;
mod features;
mod grid;
pub mod hours;
mod limits;
mod minutes;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use features::Scale;
use grid::{Closed, Grid};
use limits::{
    DAY_SECONDS, HORIZONS_MINUTES, HOURS_COUNT_MAX, MEAN_HALF_LIFE_DAYS, PEAK_HALF_LIFE_DAYS, SCALE_OF_MEAN,
    USUAL_LOADS, VALUE_MAX,
};
use minutes::{Minutes, Outlook};
use poker_operator_core::scale::base64_floats;

pub use limits::PEAK_FACTOR;

/// The basis of a forecast.
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
    /// The name in status and tables, for example `LastValue`.
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
    /// The median: too high about as often as too low.
    pub point: f64,
    /// The requested quantile, never below zero.
    pub upper: f64,
    pub basis: Basis,
    /// Whether the model was recently better than the last value; only then should it be used to scale.
    pub skilled: bool,
}

/// The state of one series: at most 64 kB when stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecaster {
    grid: Grid,
    /// The divisor of all samples, so that none is too small or too large to be stored; 0 before the first one above zero.
    #[serde(with = "base64_floats::bits")]
    unit: f64,
    /// The count of slots, for means that start quickly.
    slots: u32,
    /// Fading mean of the load.
    #[serde(with = "base64_floats::bits")]
    mean: f64,
    /// Fading maximum of the load.
    #[serde(with = "base64_floats::bits")]
    peak: f64,
    horizons: Vec<Minutes>,
}

impl Forecaster {
    /// For a series whose samples come about every `step`.
    pub fn new(step: Duration) -> Self {
        let step = i64::try_from(step.as_secs()).unwrap_or(i64::MAX);
        let grid = Grid::for_step(step);
        let mut slots = HORIZONS_MINUTES
            .map(|minutes| (minutes * 60 / grid.slot_seconds()).max(1))
            .to_vec();
        slots.dedup();
        Forecaster {
            horizons: slots.into_iter().map(|n| Minutes::new(n as usize)).collect(),
            grid,
            unit: 0.0,
            slots: 0,
            mean: 0.0,
            peak: 0.0,
        }
    }

    /// Width of the bins that samples are averaged into.
    pub fn bin_seconds(&self) -> i64 {
        self.grid.bin_seconds()
    }

    /// Takes a sample. Samples may have any spacing, in order of time; in a gap there are none. A value that is negative
    /// or not finite is ignored.
    pub fn observe(&mut self, at: Timestamp, value: f64) {
        if self.unit == 0.0 && value > 0.0 && value.is_finite() {
            self.unit = unit_for(value);
        }
        let value = value / self.unit();
        let closed = self.grid.observe(at, value);
        if self.grid.is_new() {
            // Forecasts from before a gap that long, or before the clock was set back, are not judged by later samples.
            self.horizons.iter_mut().for_each(Minutes::forget_issued);
        }
        self.push(closed);
    }

    /// The state at the end of a recording: the minute, or longer step, of the last sample is complete. Later samples
    /// restart the series.
    #[must_use]
    pub fn at_end(mut self) -> Self {
        let closed = self.grid.close();
        self.push(closed);
        self
    }

    fn push(&mut self, closed: Option<Closed>) {
        for mean in closed.into_iter().flat_map(Closed::bins) {
            if self.grid.push(mean) {
                self.turn();
            }
        }
    }

    /// A slot is complete: all models learn from it.
    fn turn(&mut self) {
        if let Some(load) = self.grid.mean(0, self.grid.bins_per_slot()) {
            let days = self.grid.slot_seconds() as f64 / DAY_SECONDS as f64;
            self.slots = self.slots.saturating_add(1);
            let step = (1.0 - 0.5_f64.powf(days / MEAN_HALF_LIFE_DAYS)).max(1.0 / f64::from(self.slots));
            self.mean += step * (load - self.mean);
            let highest = self
                .grid
                .bins(0)
                .take(self.grid.bins_per_slot())
                .flatten()
                .fold(load, f64::max);
            self.peak = highest.max(self.peak * 0.5_f64.powf(days / PEAK_HALF_LIFE_DAYS));
        }
        let (scale, cap) = (self.scale(), self.cap());
        for horizon in &mut self.horizons {
            horizon.turn(&self.grid, scale, cap);
        }
    }

    /// The smallest normal number keeps the logarithm of a series of zeros finite.
    fn scale(&self) -> Scale {
        Scale {
            floor: SCALE_OF_MEAN * self.mean + f64::MIN_POSITIVE,
        }
    }

    fn cap(&self) -> f64 {
        PEAK_FACTOR * self.peak
    }

    /// The upper bound of forecasts: a multiple of the highest load of the last weeks.
    pub fn most(&self) -> f64 {
        self.cap() * self.unit()
    }

    fn unit(&self) -> f64 {
        if self.unit > 0.0 { self.unit } else { 1.0 }
    }

    /// The load `horizon` after the last complete minute and its `quantile`, between 0 and 1; beyond an hour the mean of
    /// an hour, which takes a millisecond or two. `None` before the first samples, and beyond 48 hours.
    pub fn forecast(&self, horizon: Duration, quantile: f64) -> Option<Prediction> {
        self.in_units(horizon, quantile)
            .map(|prediction| self.in_load(prediction))
    }

    fn in_units(&self, horizon: Duration, quantile: f64) -> Option<Prediction> {
        let nearest = self.horizons.last()?.slots() as f64 * self.grid.slot_seconds() as f64;
        if horizon.as_secs_f64() > nearest.max(3_600.0) {
            return self.hours_ahead(horizon, quantile);
        }
        self.between(horizon, self.cap(), |model| {
            model.outlook(&self.grid, self.scale(), quantile, self.margin(model, quantile))
        })
    }

    /// Whether there were enough outcomes for quantiles; before, they equal the point.
    pub fn has_quantiles(&self) -> bool {
        self.horizons.iter().any(|model| model.last_margin(0.5).is_some())
    }

    /// The margin from the last value to its quantile. A horizon with too few outcomes uses the margin of the longest one
    /// with enough, scaled by the square root of the time, as for a random walk.
    fn margin(&self, model: &Minutes, quantile: f64) -> f64 {
        let shorter = self
            .horizons
            .iter()
            .rev()
            .filter(|other| other.slots() <= model.slots());
        let known = shorter
            .filter_map(|other| Some((other.slots(), other.last_margin(quantile)?)))
            .next();
        known.map_or(0.0, |(slots, margin)| {
            margin * (model.slots() as f64 / slots as f64).sqrt()
        })
    }

    /// The forecast of the hourly model; before it has three days, the last value with a margin that grows with the square
    /// root of the time.
    fn hours_ahead(&self, horizon: Duration, quantile: f64) -> Option<Prediction> {
        let hours = horizon.as_secs_f64() / 3_600.0;
        if hours > HOURS_COUNT_MAX as f64 {
            return None;
        }
        let loads = self.grid.hours();
        let Some(path) = hours::forecast(&loads) else {
            let model = self.horizons.last()?;
            let margin = self.margin(model, quantile);
            let mut outlook = model.last_value(&self.grid, self.scale(), margin)?;
            outlook.upper = outlook.point + hours.max(1.0).sqrt() * (outlook.upper - outlook.point);
            return Some(self.prediction(outlook, self.cap()));
        };
        let step = (hours.ceil() as usize).max(1) - 1;
        Some(Prediction {
            point: path.points.get(step)?.min(self.cap()),
            upper: path.quantile(step, quantile)?.min(self.cap()),
            basis: if loads.len() < hours::WEEK {
                Basis::Daily
            } else {
                Basis::Weekly
            },
            skilled: path.errors.0 < path.errors.1,
        })
    }

    /// The forecast by the last value alone and without the upper bound: the baseline of all forecasts.
    pub fn last_value(&self, horizon: Duration, quantile: f64) -> Option<Prediction> {
        let last = self.between(horizon, VALUE_MAX, |model| {
            model.last_value(&self.grid, self.scale(), self.margin(model, quantile))
        });
        last.map(|prediction| self.in_load(prediction))
    }

    fn in_load(&self, prediction: Prediction) -> Prediction {
        Prediction {
            point: (prediction.point * self.unit()).min(f64::MAX),
            upper: (prediction.upper * self.unit()).min(f64::MAX),
            ..prediction
        }
    }

    /// The forecast of the model of that horizon, or interpolated between its two neighbours.
    fn between(
        &self,
        horizon: Duration,
        cap: f64,
        ask: impl Fn(&Minutes) -> Option<Outlook>,
    ) -> Option<Prediction> {
        let ahead = horizon.as_secs_f64() / self.grid.slot_seconds() as f64;
        let above = self
            .horizons
            .iter()
            .position(|model| model.slots() as f64 >= ahead);
        let above = above.unwrap_or(self.horizons.len() - 1);
        let far = self.horizons.get(above)?;
        let prediction = self.prediction(ask(far)?, cap);
        let Some(near) = above.checked_sub(1).and_then(|i| self.horizons.get(i)) else {
            return Some(prediction);
        };
        let width = (far.slots() - near.slots()) as f64;
        let part = ((far.slots() as f64 - ahead) / width).max(0.0);
        if part == 0.0 {
            return Some(prediction);
        }
        let other = self.prediction(ask(near)?, cap);
        Some(Prediction {
            point: prediction.point + part * (other.point - prediction.point),
            upper: prediction.upper + part * (other.upper - prediction.upper),
            ..prediction
        })
    }

    fn prediction(&self, outlook: Outlook, cap: f64) -> Prediction {
        let value = |log: f64| self.scale().value(log).min(cap);
        let days = i64::from(self.slots) * self.grid.slot_seconds() / DAY_SECONDS;
        Prediction {
            point: value(outlook.point),
            upper: value(outlook.upper),
            basis: match days {
                _ if !outlook.modelled => Basis::LastValue,
                ..7 => Basis::Daily,
                _ => Basis::Weekly,
            },
            skilled: outlook.skilled,
        }
    }
}

/// 1 for a load within bounds; otherwise a power of two near it, which changes no digit.
fn unit_for(value: f64) -> f64 {
    match USUAL_LOADS.contains(&value) {
        true => 1.0,
        false => value.log2().floor().clamp(-1_022.0, 1_023.0).exp2(),
    }
}
