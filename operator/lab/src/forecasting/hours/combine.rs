//! Combines the models: weights from a backtest, a trimmed mean of their forecasts, and its intervals.

use super::autoregression::{Model, Order};
use super::{DAY, HORIZON, Steps, WEEK, analogue, profile, repeat};

/// Fits for the backtest stop a week before the end; it forecasts from each of these hours on.
const BACKTEST_HOURS: usize = WEEK;
const ORIGINS: [usize; 6] = [168, 144, 120, 96, 72, 48];
/// The weight that is trimmed on each side of the middle.
const TRIM: f64 = 0.3;
/// Orders found by forward selection on the last days of the training parts of M4 Hourly.
const ORDERS: [Order; 5] = [
    Order {
        difference: 0,
        lags: &[
            1, 2, 3, 4, 23, 24, 25, 26, 47, 48, 49, 72, 96, 120, 144, 167, 168, 169,
        ],
        half_life: 600.0,
    },
    Order {
        difference: 0,
        lags: &[24, 48, 144, 168, 169, 192, 336],
        half_life: f64::INFINITY,
    },
    Order {
        difference: 1,
        lags: &[
            1, 2, 3, 23, 24, 25, 47, 48, 71, 72, 95, 96, 119, 120, 143, 144, 167, 168,
        ],
        half_life: f64::INFINITY,
    },
    Order {
        difference: 24,
        lags: &[1, 2, 3, 23, 24, 25, 48, 72, 96, 120, 143, 144, 145, 168],
        half_life: f64::INFINITY,
    },
    Order {
        difference: 168,
        lags: &[1, 2, 3, 4, 22, 23, 24, 25, 26, 47, 48, 49, 72, 96, 120, 144],
        half_life: f64::INFINITY,
    },
];
/// Hours that an autoregression needs beyond its reach and the backtest; with fewer it is worse than the day before.
const ROWS_COUNT_MIN: usize = 72;
/// The middle of the smoothing of spreads over the steps, and the weight of the mean spread.
const SMOOTH_STEPS: usize = 4;

/// The load of the next hours.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// The middle of each hour, in the load's unit.
    pub points: Vec<f64>,
    /// Spread of each hour's error, on the logarithmic scale.
    spreads: Vec<f64>,
    /// What is added under the logarithm.
    floor: f64,
    /// Mean absolute error in the backtest, and that of the last value.
    pub errors: (f64, f64),
}

impl Path {
    /// The quantile `level` of hour `step`, for logistic errors: their tails are heavier than those of the normal
    /// distribution.
    pub fn quantile(&self, step: usize, level: f64) -> Option<f64> {
        let level = level.clamp(1e-4, 1.0 - 1e-4);
        let (point, spread) = (self.points.get(step)?, self.spreads.get(step)?);
        let log = (point + self.floor).ln() + spread * INTERVAL * (level / (1.0 - level)).ln();
        Some((log.exp() - self.floor).max(0.0))
    }
}

/// Spread of the interval relative to the backtest's mean absolute error, chosen for the smallest
/// interval score in validation.
const INTERVAL: f64 = 0.8;

/// The next hours from the last ones, which must be finite and ≥ 0. `None` for less than three days.
pub fn forecast(loads: &[f64]) -> Option<Path> {
    if loads.len() < 3 * DAY {
        return None;
    }
    let mean = loads.iter().sum::<f64>() / loads.len() as f64;
    let least = loads.iter().copied().fold(f64::INFINITY, f64::min);
    // Hours of low load must not look volatile: the lowest value is at least a hundredth of the mean.
    let floor = (0.01 * mean - least).max(0.0) + f64::MIN_POSITIVE;
    let history: Vec<f64> = loads.iter().map(|load| (load + floor).ln()).collect();
    let most = history.iter().copied().fold(f64::NEG_INFINITY, f64::max) + 3.0_f64.ln();
    let n = history.len();
    let origins: Vec<usize> = ORIGINS
        .iter()
        .filter(|back| n >= 2 * DAY + *back)
        .map(|back| n - back)
        .collect();
    let members = members(&history, &origins, (floor.ln().max(-700.0), most));
    let weights: Vec<f64> = members
        .iter()
        .map(|m| 1.0 / error(m, &history, &origins).max(1e-9))
        .collect();
    let middle = |index: usize| -> Steps {
        std::array::from_fn(|step| {
            weighted_middle(
                members
                    .iter()
                    .map(|m| m[index][step])
                    .zip(weights.iter().copied()),
            )
        })
    };
    let past: Vec<Steps> = (0..origins.len()).map(middle).collect();
    let path = middle(origins.len());
    let last: Vec<Steps> = origins
        .iter()
        .map(|origin| [history[origin - 1]; HORIZON])
        .collect();
    Some(Path {
        points: path.iter().map(|log| (log.exp() - floor).max(0.0)).collect(),
        spreads: spreads(&past, &history, &origins),
        floor,
        errors: (error(&past, &history, &origins), error(&last, &history, &origins)),
    })
}

/// The paths of every model that the history is long enough for: from each origin, then from now.
fn members(history: &[f64], origins: &[usize], (low, high): (f64, f64)) -> Vec<Vec<Steps>> {
    let n = history.len();
    let earliest = origins.first().copied().unwrap_or(n);
    let all: Vec<&[f64]> = origins.iter().chain([&n]).map(|end| &history[..*end]).collect();
    let mut members: Vec<Vec<Steps>> = Vec::new();
    let mut add = |needs: usize, path: &dyn Fn(&[f64]) -> Steps| {
        if earliest >= needs {
            members.push(all.iter().map(|history| path(history)).collect());
        }
    };
    add(DAY, &|history| repeat(history, DAY));
    add(2 * DAY, &|history| analogue::forecast(history, DAY, 3.0));
    add(2 * DAY, &|history| analogue::forecast(history, DAY, 8.0));
    add(WEEK, &|history| repeat(history, WEEK));
    add(WEEK + 2 * DAY, &profile::forecast);
    for order in ORDERS {
        let ends = [n.saturating_sub(BACKTEST_HOURS), n];
        if ends[0] < order.reach() + ROWS_COUNT_MIN {
            continue;
        }
        if let Some([backtest, now]) = Model::fit(order, history, &ends).as_deref() {
            let past = origins
                .iter()
                .map(|end| backtest.forecast(&history[..*end], low, high));
            members.push(past.chain([now.forecast(history, low, high)]).collect());
        }
    }
    members
}

/// Mean absolute error of the paths from the origins.
fn error(paths: &[Steps], history: &[f64], origins: &[usize]) -> f64 {
    let errors = origins.iter().zip(paths).flat_map(|(origin, path)| {
        path.iter()
            .zip(&history[*origin..])
            .map(|(forecast, outcome)| (forecast - outcome).abs())
    });
    let (sum, count) = errors.fold((0.0, 0u32), |(sum, count), e| (sum + e, count + 1));
    sum / f64::from(count.max(1))
}

/// Mean absolute error at each step and those around it, shrunk to the mean over all steps.
fn spreads(paths: &[Steps], history: &[f64], origins: &[usize]) -> Vec<f64> {
    let sizes: Vec<(f64, f64)> = (0..HORIZON)
        .map(|step| {
            let errors = origins.iter().zip(paths).filter_map(|(origin, path)| {
                history
                    .get(origin + step)
                    .map(|outcome| (path[step] - outcome).abs())
            });
            errors.fold((0.0, 0.0), |(sum, count), e| (sum + e, count + 1.0))
        })
        .collect();
    let mean = |part: &[(f64, f64)]| {
        let (sum, count) = part.iter().fold((0.0, 0.0), |(s, c), (e, n)| (s + e, c + n));
        sum / f64::max(count, 1.0)
    };
    let whole = mean(&sizes);
    (0..HORIZON)
        .map(|step| {
            let around = &sizes[step.saturating_sub(SMOOTH_STEPS)..(step + SMOOTH_STEPS + 1).min(HORIZON)];
            0.5 * (mean(around) + whole)
        })
        .collect()
}

/// The weighted mean after trimming on both sides.
fn weighted_middle(values: impl Iterator<Item = (f64, f64)>) -> f64 {
    let mut sorted: Vec<(f64, f64)> = values.collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let whole: f64 = sorted.iter().map(|(_, weight)| weight).sum();
    let (low, high) = (TRIM * whole, (1.0 - TRIM) * whole);
    let (mut passed, mut sum) = (0.0, 0.0);
    for (value, weight) in &sorted {
        let inside = (passed + weight).min(high) - f64::max(passed, low);
        sum += value * inside.max(0.0);
        passed += weight;
    }
    sum / (high - low)
}
