//! The model of one horizon of minutes: it predicts the change of the level.
//!
//! Two ridge regressions use the same features; one forgets within days, the other within weeks. Their mean is added to
//! the level with a weight that depends on how much better it recently was than the last value.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::calibrate::{Calibrator, LEVELS};
use super::features::{self, Features, Scale, features};
use super::grid::Grid;
use super::limits::{
    DAY_SECONDS, FAST_HALF_LIFE_DAYS, HUBER, REFIT_SECONDS, RIDGE, RIDGE_MAX, RIDGE_ROWS,
    SKILL_HALF_LIFE_DAYS, SKILL_SLOPE, SLOW_HALF_LIFE_DAYS, VALUE_MAX,
};
use poker_operator_core::scale::base64_floats;
use poker_operator_core::scale::ridge::{Normal, dot};

/// State for one horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Minutes {
    /// The horizon, a whole number of slots.
    slots: usize,
    slow: Regression,
    fast: Regression,
    /// Typical size of the regression's residuals, for Huber's weights.
    #[serde(with = "base64_floats::bits")]
    residual: f64,
    /// Fading mean errors of the regression and of the last value, in the load's unit.
    #[serde(with = "base64_floats::bits")]
    model_error: f64,
    #[serde(with = "base64_floats::bits")]
    last_error: f64,
    /// Slots since the coefficients were solved.
    age: i64,
    model: Calibrator,
    last: Calibrator,
    /// Forecasts that wait for their outcome, oldest first.
    issued: VecDeque<Option<Issued>>,
}

/// A forecast as it was made, in the load's unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Issued {
    last: f32,
    regression: f32,
    point: f32,
    last_quantiles: Option<[f32; LEVELS.len()]>,
    quantiles: Option<[f32; LEVELS.len()]>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Regression {
    half_life_days: f64,
    sums: Normal,
    #[serde(with = "base64_floats")]
    coefficients: Vec<f64>,
}

impl Regression {
    fn new(half_life_days: f64) -> Self {
        Regression {
            half_life_days,
            sums: Normal::new(features::COUNT),
            coefficients: vec![0.0; features::COUNT],
        }
    }

    fn refit(&mut self, days: f64, overlap: usize) {
        let rows = self.sums.weight().max(f64::MIN_POSITIVE);
        let ridge = (RIDGE + RIDGE_ROWS * overlap as f64 / rows).min(RIDGE_MAX);
        if let Some(solution) = self.sums.solve(ridge) {
            self.coefficients = solution;
        }
        self.sums.fade(0.5_f64.powf(days / self.half_life_days));
    }
}

/// A point and a quantile on the logarithmic scale.
#[derive(Clone, Copy, Debug)]
pub struct Outlook {
    pub point: f64,
    pub upper: f64,
    /// Whether the regression contributes to the point.
    pub modelled: bool,
    /// Whether the quantile is the model's own.
    pub skilled: bool,
}

impl Minutes {
    pub fn new(slots: usize) -> Self {
        let overlap = u32::try_from(slots).unwrap_or(u32::MAX);
        Minutes {
            slots,
            slow: Regression::new(SLOW_HALF_LIFE_DAYS),
            fast: Regression::new(FAST_HALF_LIFE_DAYS),
            residual: 0.0,
            model_error: 0.0,
            last_error: 0.0,
            age: 0,
            model: Calibrator::new(overlap),
            last: Calibrator::new(overlap),
            issued: VecDeque::new(),
        }
    }

    /// The horizon in slots.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// The series was interrupted: pending forecasts have no outcome.
    pub fn forget_issued(&mut self) {
        self.issued.clear();
    }

    /// Called when a slot is complete: judges the forecast that is due, learns from it and makes the next one.
    pub fn turn(&mut self, grid: &Grid, scale: Scale, cap: f64) {
        let due = match self.issued.len() == self.slots {
            true => self.issued.pop_front().flatten(),
            false => None,
        };
        if let (Some(due), Some(outcome)) = (due, grid.bin(0)) {
            self.learn(grid, scale, &due, outcome);
        }
        self.age += 1;
        if self.age * grid.slot_seconds() >= REFIT_SECONDS {
            let days = (self.age * grid.slot_seconds()) as f64 / DAY_SECONDS as f64;
            self.slow.refit(days, self.slots);
            self.fast.refit(days, self.slots);
            self.age = 0;
        }
        let issued = self.issue(grid, scale, cap);
        self.issued.push_back(issued);
    }

    fn learn(&mut self, grid: &Grid, scale: Scale, due: &Issued, outcome: f64) {
        let days = grid.slot_seconds() as f64 / DAY_SECONDS as f64;
        let seen = scale.log(outcome);
        let logs =
            |quantiles: Option<[f32; LEVELS.len()]>| quantiles.map(|q| q.map(|v| scale.log(f64::from(v))));
        let (last, regression) = (f64::from(due.last), f64::from(due.regression));
        self.last
            .learn(seen - scale.log(last), seen, logs(due.last_quantiles), days);
        self.model.learn(
            seen - scale.log(f64::from(due.point)),
            seen,
            logs(due.quantiles),
            days,
        );
        let step = (1.0 - 0.5_f64.powf(days / SKILL_HALF_LIFE_DAYS)).max(1.0 / f64::from(self.last.count()));
        self.model_error += step * ((outcome - regression).abs() - self.model_error);
        self.last_error += step * ((outcome - last).abs() - self.last_error);
        let residual = (seen - scale.log(regression)).abs();
        let Some(then) = features(grid, scale, self.bins(grid), self.bins(grid)) else {
            return;
        };
        let weight = match residual > HUBER * self.residual && self.residual > 0.0 {
            true => HUBER * self.residual / residual,
            false => 1.0,
        };
        self.slow.sums.add(&then.values, seen - then.level, weight);
        self.fast.sums.add(&then.values, seen - then.level, weight);
        // Clipped, so that a few outliers do not widen the spread.
        let clipped = if self.last.count() > 20 {
            residual.min(5.0 * self.residual)
        } else {
            residual
        };
        let step = (1.0 - 0.5_f64.powf(days / FAST_HALF_LIFE_DAYS)).max(1.0 / f64::from(self.last.count()));
        self.residual += step * (1.8 * clipped - self.residual);
    }

    fn bins(&self, grid: &Grid) -> usize {
        self.slots * grid.bins_per_slot()
    }

    fn issue(&self, grid: &Grid, scale: Scale, cap: f64) -> Option<Issued> {
        let now = features(grid, scale, 0, self.bins(grid))?;
        let value = |log: f64, most: f64| scale.value(log).min(most) as f32;
        let (regression, point) = self.points(&now);
        let quantiles = |around: f64, by: &Calibrator, most: f64| {
            by.quantiles()
                .map(|q| q.map(|margin| value(around + margin, most)))
        };
        Some(Issued {
            last: value(now.level, VALUE_MAX),
            regression: value(regression, cap),
            point: value(point, cap),
            last_quantiles: quantiles(now.level, &self.last, VALUE_MAX),
            quantiles: quantiles(point, &self.model, cap),
        })
    }

    /// The regression's prediction and the forecast, on the logarithmic scale.
    fn points(&self, now: &Features) -> (f64, f64) {
        let of = |regression: &Regression| dot(&regression.coefficients, &now.values);
        let change = 0.5 * (of(&self.slow) + of(&self.fast));
        (now.level + change, now.level + self.say() * change)
    }

    /// The weight of the regression, between 0 and 1.
    fn say(&self) -> f64 {
        if self.model_error <= self.last_error {
            return 1.0;
        }
        (1.0 - SKILL_SLOPE * (self.model_error / self.last_error - 1.0)).max(0.0)
    }

    /// Whether the regression has been judged for at least a day.
    fn is_judged(&self, grid: &Grid) -> bool {
        i64::from(self.model.count()) * grid.slot_seconds() >= DAY_SECONDS
    }

    /// Whether the quantiles had a lower loss than those of the last value for at least a day.
    pub fn skilled(&self, grid: &Grid) -> bool {
        self.is_judged(grid) && self.model.loss() <= self.last.loss()
    }

    /// The margin from the last value to its quantile; `None` for too few outcomes.
    pub fn last_margin(&self, quantile: f64) -> Option<f64> {
        self.last.quantile(quantile)
    }

    /// The forecast from now. Without skill its quantile is that of the last value, `margin` away; until the regression
    /// has been judged, its point is the last value too.
    pub fn outlook(&self, grid: &Grid, scale: Scale, quantile: f64, margin: f64) -> Option<Outlook> {
        let now = features(grid, scale, 0, self.bins(grid))?;
        let point = if self.is_judged(grid) {
            self.points(&now).1
        } else {
            now.level
        };
        let skilled = self.skilled(grid);
        Some(Outlook {
            point,
            upper: if skilled {
                point + self.model.quantile(quantile).unwrap_or_default()
            } else {
                now.level + margin
            },
            modelled: self.say() > 0.0 && skilled,
            skilled,
        })
    }

    /// The last value as a forecast; its quantile is `margin` away.
    pub fn last_value(&self, grid: &Grid, scale: Scale, margin: f64) -> Option<Outlook> {
        let level = features(grid, scale, 0, self.bins(grid))?.level;
        Some(Outlook {
            point: level,
            upper: level + margin,
            modelled: false,
            skilled: false,
        })
    }
}
