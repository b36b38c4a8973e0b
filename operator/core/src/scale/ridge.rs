//! Ridge regression from running sums (Hoerl and Kennard 1970). Rows are added one by one, old rows fade, and a solve
//! takes one Cholesky decomposition.

use serde::{Deserialize, Serialize};

use super::base64_floats;

/// The normal equations of a weighted regression on `size` features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normal {
    size: usize,
    /// The lower triangle of the Gram matrix, row by row.
    #[serde(with = "base64_floats")]
    gram: Vec<f64>,
    #[serde(with = "base64_floats")]
    moment: Vec<f64>,
}

impl Normal {
    pub fn new(size: usize) -> Self {
        Normal {
            size,
            gram: vec![0.0; size * (size + 1) / 2],
            moment: vec![0.0; size],
        }
    }

    /// The weight of all rows whose first feature is 1.
    pub fn weight(&self) -> f64 {
        self.gram.first().copied().unwrap_or(0.0)
    }

    /// Adds a row.
    pub fn add(&mut self, features: &[f64], target: f64, weight: f64) {
        let mut rest = self.gram.as_mut_slice();
        for (i, (feature, moment)) in features.iter().zip(&mut self.moment).enumerate() {
            let (row, next) = rest.split_at_mut(i + 1);
            let weighted = weight * feature;
            *moment += weighted * target;
            for (sum, other) in row.iter_mut().zip(features) {
                *sum += weighted * other;
            }
            rest = next;
        }
    }

    /// Multiplies the weight of all rows so far by `factor`.
    pub fn fade(&mut self, factor: f64) {
        self.gram.iter_mut().for_each(|sum| *sum *= factor);
        self.moment.iter_mut().for_each(|sum| *sum *= factor);
    }

    /// The coefficients, with `ridge` × the mean diagonal added to the diagonal. `None` if all rows are zero.
    pub fn solve(&self, ridge: f64) -> Option<Vec<f64>> {
        let n = self.size;
        let at = |i: usize| i * (i + 1) / 2;
        let mean = (0..n).map(|i| self.gram[at(i) + i]).sum::<f64>() / n as f64;
        let mut lower = self.gram.clone();
        for i in 0..n {
            lower[at(i) + i] += ridge * mean;
            let (above, row) = lower.split_at_mut(at(i));
            for j in 0..i {
                let other = &above[at(j)..at(j) + j + 1];
                let sum: f64 = row[..j].iter().zip(other).map(|(a, b)| a * b).sum();
                row[j] = (row[j] - sum) / other[j];
            }
            let square = row[i] - row[..i].iter().map(|a| a * a).sum::<f64>();
            if !(square > 0.0 && square.is_finite()) {
                return None;
            }
            row[i] = square.sqrt();
        }
        let mut solution = self.moment.clone();
        for i in 0..n {
            let row = &lower[at(i)..at(i) + i + 1];
            let sum: f64 = row[..i].iter().zip(&solution).map(|(a, b)| a * b).sum();
            solution[i] = (solution[i] - sum) / row[i];
        }
        for i in (0..n).rev() {
            let sum: f64 = (i + 1..n).map(|k| lower[at(k) + i] * solution[k]).sum();
            solution[i] = (solution[i] - sum) / lower[at(i) + i];
        }
        solution.iter().all(|c| c.is_finite()).then_some(solution)
    }
}

/// The sum of products.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn solve_finds_the_plane_of_exact_rows() {
        let mut normal = Normal::new(3);
        for i in 0..50 {
            let x = [1.0, f64::from(i % 7), f64::from(i % 5) - 2.0];
            normal.add(&x, 3.0 - 2.0 * x[1] + 0.5 * x[2], 1.0 + f64::from(i % 3));
        }
        let found = normal.solve(1e-12).unwrap();
        for (found, expected) in found.iter().zip([3.0, -2.0, 0.5]) {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
    }

    #[test]
    fn without_rows_there_is_no_solution() {
        assert_eq!(Normal::new(2).solve(1e-3), None);
    }

    proptest! {
        #[test]
        fn a_solution_satisfies_the_normal_equations(rows in prop::collection::vec((prop::array::uniform4(-9.0..9.0f64), -9.0..9.0f64), 1..40)) {
            let mut normal = Normal::new(4);
            rows.iter().for_each(|(x, y)| normal.add(x, *y, 1.0));
            if let Some(b) = normal.solve(1e-2) {
                let mean = (0..4).map(|i| normal.gram[i * (i + 1) / 2 + i]).sum::<f64>() / 4.0;
                for i in 0..4 {
                    let row = (0..4).map(|j| normal.gram[i.max(j) * (i.max(j) + 1) / 2 + i.min(j)]);
                    let sum: f64 = row.zip(&b).map(|(g, b)| g * b).sum::<f64>() + 1e-2 * mean * b[i];
                    prop_assert!((sum - normal.moment[i]).abs() < 1e-6 * (1.0 + normal.moment[i].abs()));
                }
            }
        }
    }
}
