//! Quantiles of a forecast from its recent residuals, calibrated online.
//!
//! A histogram on a logarithmic grid holds the residuals, which fade with a half-life of days. Two corrections keep the
//! share of outcomes above a quantile at its level: an offset that follows every outcome (quantile tracking, Angelopoulos
//! et al. 2023), and a level that is raised or lowered while too many or too few outcomes were above it (the integrator
//! of the same paper, applied to the level so that it needs no unit).

use serde::{Deserialize, Serialize};

use super::limits::{
    EXCESS_GAIN, EXCESS_HALF_LIFE_DAYS, OFFSET_GAIN, OFFSET_SPREADS_MIN, RESIDUAL_HALF_LIFE_DAYS,
    RESIDUALS_COUNT_MIN, SKILL_HALF_LIFE_DAYS,
};
use poker_operator_core::scale::base64_floats;

/// The quantile levels that are tracked; others are interpolated.
pub const LEVELS: [f64; 7] = [0.025, 0.1, 0.5, 0.9, 0.95, 0.975, 0.99];
/// The level whose pinball loss decides about skill.
const SKILL_LEVEL: usize = 4;
/// Cells on each side of zero, how fast they widen, and the half-width of the first.
const SIDE: usize = 100;
const CELLS: usize = 2 * SIDE + 1;
const WIDENING: f64 = 0.125;
const FINEST: f64 = 1e-4;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibrator {
    /// Weight of the residuals in each cell, from the most negative.
    #[serde(with = "base64_floats")]
    weights: Vec<f32>,
    /// Forecasts that overlap at a time.
    overlap: u32,
    count: u32,
    /// The 90 % quantile of the absolute residuals.
    #[serde(with = "base64_floats::bits")]
    spread: f64,
    #[serde(with = "base64_floats")]
    offset: Vec<f64>,
    /// Outcomes above the quantile beyond those expected, fading.
    #[serde(with = "base64_floats")]
    excess: Vec<f64>,
    /// Fading mean of the pinball loss at `SKILL_LEVEL`.
    #[serde(with = "base64_floats::bits")]
    loss: f64,
}

impl Calibrator {
    /// For forecasts of which `overlap` wait for their outcome at a time.
    pub fn new(overlap: u32) -> Self {
        Calibrator {
            weights: vec![0.0; CELLS],
            overlap,
            count: 0,
            spread: 0.0,
            offset: vec![0.0; LEVELS.len()],
            excess: vec![0.0; LEVELS.len()],
            loss: 0.0,
        }
    }

    /// Outcomes seen.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Fading mean of the pinball loss.
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// Takes the residual (outcome − forecast, both on the model's scale) of a forecast made
    /// earlier, `days` after the last one, and the quantiles at [`LEVELS`] that were given then.
    pub fn learn(&mut self, residual: f64, outcome: f64, quantiles: Option<[f64; LEVELS.len()]>, days: f64) {
        let fade = 0.5_f64.powf(days / RESIDUAL_HALF_LIFE_DAYS) as f32;
        self.weights.iter_mut().for_each(|weight| *weight *= fade);
        self.weights[cell(residual)] += 1.0;
        self.count = self.count.saturating_add(1);
        self.spread = self.size_quantile(0.9);
        let Some(quantiles) = quantiles else { return };
        let keep = 0.5_f64.powf(days / EXCESS_HALF_LIFE_DAYS);
        for (i, level) in LEVELS.iter().enumerate() {
            let above = f64::from(u8::from(outcome > quantiles[i]));
            let surprise = above - (1.0 - level);
            self.excess[i] = keep * self.excess[i] + surprise;
            let offset = self.offset[i] + OFFSET_GAIN * self.spread * surprise;
            let bound = OFFSET_SPREADS_MIN * self.spread;
            self.offset[i] = if *level < 0.5 {
                offset.min(bound)
            } else {
                offset.max(-bound)
            };
        }
        let miss = outcome - quantiles[SKILL_LEVEL];
        let loss = (LEVELS[SKILL_LEVEL] * miss).max((LEVELS[SKILL_LEVEL] - 1.0) * miss);
        let step = (1.0 - 0.5_f64.powf(days / SKILL_HALF_LIFE_DAYS)).max(1.0 / f64::from(self.count));
        self.loss += step * (loss - self.loss);
    }

    /// What to add to a forecast for the quantile at `level`; `None` with too few outcomes.
    pub fn quantile(&self, level: f64) -> Option<f64> {
        (self.count >= RESIDUALS_COUNT_MIN).then(|| self.margin(&self.cumulated(), level))
    }

    /// What to add for the quantiles at [`LEVELS`].
    pub fn quantiles(&self) -> Option<[f64; LEVELS.len()]> {
        let cumulated = (self.count >= RESIDUALS_COUNT_MIN).then(|| self.cumulated())?;
        Some(LEVELS.map(|level| self.margin(&cumulated, level)))
    }

    fn margin(&self, cumulated: &[f64; CELLS], level: f64) -> f64 {
        let level = level.clamp(LEVELS[0] / 10.0, 1.0 - (1.0 - LEVELS[LEVELS.len() - 1]) / 10.0);
        let tail = level.min(1.0 - level);
        // One event affects all forecasts that overlap: they carry less information than independent events.
        let gain = EXCESS_GAIN / f64::from(self.overlap).sqrt();
        let push = (gain / tail * between(&self.excess, level)).clamp(-50.0, 50.0);
        let widest = (8.0 * tail).min(0.5);
        // Too many above: a smaller upper tail, or a larger lower one. The median is not moved.
        let level = match level {
            l if l > 0.75 => 1.0 - (tail * (-push).exp()).clamp(tail / 50.0, widest),
            l if l < 0.25 => (tail * push.exp()).clamp(tail / 50.0, widest),
            l => l,
        };
        self.residual_quantile(cumulated, level) + between(&self.offset, level)
    }

    /// Weight of all residuals up to the end of each cell.
    fn cumulated(&self) -> [f64; CELLS] {
        let mut cumulated = [0.0; CELLS];
        let mut sum = 0.0;
        for (cell, weight) in cumulated.iter_mut().zip(&self.weights) {
            sum += f64::from(*weight);
            *cell = sum;
        }
        cumulated
    }

    fn residual_quantile(&self, cumulated: &[f64; CELLS], level: f64) -> f64 {
        let rank = level * cumulated[CELLS - 1];
        let cell = cumulated.partition_point(|sum| *sum < rank).min(CELLS - 1);
        let weight = f64::from(self.weights[cell]).max(f64::MIN_POSITIVE);
        let part = (1.0 - (cumulated[cell] - rank) / weight).clamp(0.0, 1.0);
        edge(cell) + (edge(cell + 1) - edge(cell)) * part
    }

    /// Quantile of the absolute residuals, to the width of a cell.
    fn size_quantile(&self, level: f64) -> f64 {
        let total: f32 = self.weights.iter().sum();
        let mut left = level as f32 * total - self.weights[SIDE];
        for i in 1..=SIDE {
            if left <= 0.0 {
                return edge(SIDE + i);
            }
            left -= self.weights[SIDE + i] + self.weights[SIDE - i];
        }
        edge(CELLS)
    }
}

fn cell(residual: f64) -> usize {
    let away = ((residual.abs() / FINEST).max(1.0).ln() / WIDENING)
        .ceil()
        .min(SIDE as f64) as usize;
    if residual < 0.0 { SIDE - away } else { SIDE + away }
}

/// Lower edge of a cell.
fn edge(cell: usize) -> f64 {
    let edge = |away: usize| FINEST * (WIDENING * away as f64).exp();
    if cell <= SIDE {
        -edge(SIDE - cell)
    } else {
        edge(cell - SIDE - 1)
    }
}

/// The value at `level` between those at [`LEVELS`].
fn between(values: &[f64], level: f64) -> f64 {
    let right = LEVELS
        .iter()
        .position(|l| *l >= level)
        .unwrap_or(LEVELS.len() - 1);
    let left = right.saturating_sub(1);
    let width = LEVELS[right] - LEVELS[left];
    let part = if width > 0.0 {
        ((level - LEVELS[left]) / width).clamp(0.0, 1.0)
    } else {
        0.0
    };
    values[left] + part * (values[right] - values[left])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Residuals that look random: a low-discrepancy sequence, with a heavy upper tail.
    fn residual(i: usize) -> f64 {
        let uniform = (i as f64 * 0.618_033_988_75).fract();
        (uniform / (1.0 - uniform).max(1e-6)).ln() * if i > 4_000 { 3.0 } else { 1.0 }
    }

    #[test]
    fn the_share_of_outcomes_above_a_quantile_matches_its_level() {
        let mut calibrator = Calibrator::new(1);
        let mut above = [0; LEVELS.len()];
        let mut judged = 0;
        for i in 0..10_000 {
            let outcome = residual(i);
            let given = calibrator.quantiles();
            if let Some(given) = given {
                judged += 1;
                for (above, quantile) in above.iter_mut().zip(given) {
                    *above += i32::from(outcome > quantile);
                }
            }
            calibrator.learn(outcome, outcome, given, 1.0 / 288.0);
        }
        for (level, above) in LEVELS.iter().zip(above) {
            let share = f64::from(above) / f64::from(judged);
            let tail = level.min(1.0 - level);
            assert!(
                (share - (1.0 - level)).abs() < 0.15 * tail + 0.001,
                "{share} above {level}"
            );
        }
    }

    #[test]
    fn values_are_counted_in_their_cell() {
        for residual in [0.0, 5e-5, -5e-5, 2e-4, -0.013, 0.7, -4.0, 25.0] {
            let cell = cell(residual);
            assert!(
                edge(cell) <= residual && residual <= edge(cell + 1),
                "{residual} in {cell}"
            );
        }
        assert_eq!((cell(1e300), cell(-1e300)), (2 * SIDE, 0));
    }

    #[test]
    fn levels_in_between_are_interpolated() {
        let values = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        for (level, expected) in [(0.0, 0.0), (0.1, 1.0), (0.3, 1.5), (0.99, 6.0), (1.0, 6.0)] {
            assert!((between(&values, level) - expected).abs() < 1e-9, "{level}");
        }
    }
}
