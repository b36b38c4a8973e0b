//! The upper tail of residuals: a histogram whose old entries fade.

use serde::{Deserialize, Serialize};

use super::limits::TAIL_DECAY;

const BINS: usize = 160;
/// The memory of one histogram, in bytes.
pub const TAIL_BYTES: usize = 4 * BINS;
/// The upper end of the first bin in units of the scale, and the growth from bin to bin.
const FIRST: f64 = 0.05;
const GROWTH: f64 = 1.05;

/// Residuals in units of their scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    bins: Vec<f32>,
    total: f32,
}

impl Tail {
    pub fn new() -> Tail {
        Tail {
            bins: vec![0.0; BINS],
            total: 0.0,
        }
    }

    pub fn observe(&mut self, residual: f64) {
        let bin = ((residual.max(FIRST) / FIRST).ln() / GROWTH.ln()).ceil() as usize; // saturates
        if let Some(bin) = self.bins.get_mut(bin.min(BINS - 1)) {
            *bin += 1.0;
            self.total += 1.0;
        }
    }

    pub fn fade(&mut self) {
        self.bins.iter_mut().for_each(|bin| *bin *= TAIL_DECAY as f32);
        self.total *= TAIL_DECAY as f32;
    }

    /// The residual exceeded with this probability, interpolated within its bin. At least 0.
    pub fn at(&self, exceedance: f64) -> f64 {
        let target = exceedance * f64::from(self.total);
        let mut above = 0.0;
        for (bin, weight) in self.bins.iter().enumerate().rev() {
            let weight = f64::from(*weight);
            if above + weight > target && weight > 0.0 {
                if bin == 0 {
                    return 0.0;
                }
                let upper = FIRST * GROWTH.powi(bin as i32);
                let share = (target - above) / weight;
                return upper / GROWTH.powf(share);
            }
            above += weight;
        }
        0.0
    }
}
