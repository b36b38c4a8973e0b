//! Least squares with a penalty, observation by observation.

use serde::{Deserialize, Serialize};

use super::limits::{RIDGE_DECAY, RIDGE_PENALTY};

pub const FEATURES: usize = 12;

/// What a prediction is made from; the first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Features(pub [f32; FEATURES]);

/// Sums of squares and products, decaying, and the weights solved from them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ridge {
    gram: [[f64; FEATURES]; FEATURES],
    moments: [f64; FEATURES],
    weights: [f64; FEATURES],
}

impl Ridge {
    pub fn new() -> Ridge {
        Ridge {
            gram: [[0.0; FEATURES]; FEATURES],
            moments: [0.0; FEATURES],
            weights: [0.0; FEATURES],
        }
    }

    pub fn observe(&mut self, features: &Features, outcome: f64) {
        for (i, a) in features.0.iter().enumerate() {
            for (j, b) in features.0.iter().enumerate() {
                self.gram[i][j] += f64::from(*a) * f64::from(*b);
            }
            self.moments[i] += f64::from(*a) * outcome;
        }
    }

    pub fn predict(&self, features: &Features) -> f64 {
        features
            .0
            .iter()
            .zip(&self.weights)
            .map(|(x, w)| f64::from(*x) * w)
            .sum()
    }

    /// Solves for the weights by Cholesky's method, and lets old observations fade.
    pub fn refit(&mut self) {
        let trace: f64 = (0..FEATURES).map(|i| self.gram[i][i]).sum();
        let penalty = RIDGE_PENALTY * trace / FEATURES as f64 + f64::MIN_POSITIVE;
        if let Some(weights) = solve(&self.gram, penalty, &self.moments) {
            self.weights = weights;
        }
        let gram = self.gram.iter_mut().flatten();
        gram.chain(&mut self.moments).for_each(|sum| *sum *= RIDGE_DECAY);
    }
}

/// Solves (A + penalty·1) x = b for a symmetric A; `None` when that is not positive definite.
fn solve(a: &[[f64; FEATURES]; FEATURES], penalty: f64, b: &[f64; FEATURES]) -> Option<[f64; FEATURES]> {
    let mut l = [[0.0; FEATURES]; FEATURES];
    for i in 0..FEATURES {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| l[i][k] * l[j][k]).sum();
            if i == j {
                let rest = a[i][i] + penalty - sum;
                l[i][i] = (rest > 0.0 && rest.is_finite()).then(|| rest.sqrt())?;
            } else {
                l[i][j] = (a[i][j] - sum) / l[j][j];
            }
        }
    }
    let mut x = *b;
    for i in 0..FEATURES {
        let sum: f64 = (0..i).map(|k| l[i][k] * x[k]).sum();
        x[i] = (x[i] - sum) / l[i][i];
    }
    for i in (0..FEATURES).rev() {
        let sum: f64 = (i + 1..FEATURES).map(|k| l[k][i] * x[k]).sum();
        x[i] = (x[i] - sum) / l[i][i];
    }
    x.iter().all(|w| w.is_finite()).then_some(x)
}
