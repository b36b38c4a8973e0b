//! Autoregression on chosen lags of the series or of its seasonal differences, by ridge with one
//! pass of Huber's weights, forecast recursively.

use super::{HORIZON, Steps};
use poker_operator_core::scale::ridge::{Normal, dot};

/// The ridge, relative to the mean diagonal of the Gram matrix.
const RIDGE: f64 = 1e-5;
/// Residuals beyond this multiple of their spread count less.
const HUBER: f64 = 1.0;

/// Which past values explain the next one.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// The model predicts differences over this many hours; 0 for the values themselves.
    pub difference: usize,
    pub lags: &'static [usize],
    /// The half-life of a value's weight in hours; infinite for equal weights.
    pub half_life: f64,
}

impl Order {
    /// Hours before the first value that can be explained.
    pub fn reach(&self) -> usize {
        self.difference + self.lags.iter().copied().max().unwrap_or(0)
    }
}

/// Coefficients of the lags and of 1, on differences shifted by `mean` and divided by `spread`.
pub struct Model {
    order: Order,
    coefficients: Vec<f64>,
    mean: f64,
    spread: f64,
}

impl Model {
    /// Fits the values before each of `ends`, in ascending order; the first fit determines the weight of every row. `None`
    /// if there is nothing to explain.
    pub fn fit(order: Order, history: &[f64], ends: &[usize]) -> Option<Vec<Model>> {
        let first = *ends.first()?;
        let differences = differences(history, order.difference);
        let count = differences.len() as f64;
        let mean = if order.difference > 0 {
            0.0
        } else {
            differences.iter().sum::<f64>() / count
        };
        let variance = differences.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        let spread = variance.sqrt().max(1e-12);
        let z: Vec<f64> = differences.iter().map(|v| (v - mean) / spread).collect();
        let start = order.reach() - order.difference;
        let size = order.lags.len() + 1;
        if first < order.reach() + size {
            return None;
        }
        let mut row = vec![1.0; size];
        let mut rows = |from: usize, to: usize, normal: &mut Normal, weight: &dyn Fn(usize) -> f64| {
            for t in from..to {
                fill(&mut row, &z, t, order.lags);
                normal.add(&row, z[t], weight(t));
            }
        };
        let age = |t: usize| ((t as f64 - z.len() as f64) / order.half_life).exp2();
        let mut normal = Normal::new(size);
        rows(start, first - order.difference, &mut normal, &age);
        let rough = normal.solve(RIDGE)?;
        let weights = huber(&z, start, order.lags, &rough);
        let weight = |t: usize| age(t) * weights[t - start];
        let mut normal = Normal::new(size);
        let mut from = start;
        let mut models = Vec::with_capacity(ends.len());
        for end in ends {
            rows(from, end - order.difference, &mut normal, &weight);
            from = end - order.difference;
            let coefficients = normal.solve(RIDGE)?;
            models.push(Model {
                order,
                coefficients,
                mean,
                spread,
            });
        }
        Some(models)
    }

    /// The path after `history`, kept between `low` and `high`.
    pub fn forecast(&self, history: &[f64], low: f64, high: f64) -> Steps {
        let Order { difference, lags, .. } = self.order;
        let needed = self.order.reach().max(1);
        let mut values = history[history.len() - needed..].to_vec();
        let mut z: Vec<f64> = differences(&values, difference)
            .iter()
            .map(|v| (v - self.mean) / self.spread)
            .collect();
        let mut row = vec![1.0; lags.len() + 1];
        let mut steps = [0.0; HORIZON];
        for value in &mut steps {
            fill(&mut row, &z, z.len(), lags);
            let before = if difference > 0 {
                values[values.len() - difference]
            } else {
                0.0
            };
            let next = before + self.mean + self.spread * dot(&row, &self.coefficients);
            *value = next.clamp(low, high);
            values.push(*value);
            z.push((*value - before - self.mean) / self.spread);
        }
        steps
    }
}

fn differences(values: &[f64], over: usize) -> Vec<f64> {
    match over {
        0 => values.to_vec(),
        _ => values
            .iter()
            .zip(&values[over..])
            .map(|(before, after)| after - before)
            .collect(),
    }
}

/// Fills in the features of hour `t`: its lags. The constant 1 is present already.
fn fill(row: &mut [f64], z: &[f64], t: usize, lags: &[usize]) {
    for (feature, lag) in row.iter_mut().zip(lags) {
        *feature = z[t - lag];
    }
}

/// The weight of each row from `start` on, by its residual under preliminary coefficients.
fn huber(z: &[f64], start: usize, lags: &[usize], rough: &[f64]) -> Vec<f64> {
    let mut row = vec![1.0; lags.len() + 1];
    let residuals: Vec<f64> = (start..z.len())
        .map(|t| {
            fill(&mut row, z, t, lags);
            (z[t] - dot(&row, rough)).abs()
        })
        .collect();
    let mut sorted = residuals.clone();
    sorted.sort_by(f64::total_cmp);
    let bound = HUBER * 1.4826 * sorted[sorted.len() / 2].max(1e-9);
    residuals
        .iter()
        .map(|r| (bound / r.max(1e-12)).min(1.0))
        .collect()
}
