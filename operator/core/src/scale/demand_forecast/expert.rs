//! A predictor's error distribution and loss.

use serde::{Deserialize, Serialize};

use super::limits::{DAY_SLOTS, HOUR_SLOTS, LOSS_EXCEEDANCE};
use super::tail::Tail;

/// The recent variance covers a quarter of an hour.
const RECENT_SLOTS: f64 = 60.0;
/// The smallest error scale, in logarithms.
const SCALE_MIN: f64 = 1e-3;

/// A prediction: the expected outcome and the scale of its error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guess {
    pub mean: f64,
    pub scale: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expert {
    pub tail: Tail,
    recent_variance: f64,
    variance: f64,
    loss: f64,
    seen: usize,
}

impl Expert {
    pub fn new() -> Expert {
        Expert {
            tail: Tail::new(),
            recent_variance: 0.0,
            variance: 0.0,
            loss: 0.0,
            seen: 0,
        }
    }

    /// Learns from a prediction whose outcome is known. The loss is the pinball loss of its quantile (Koenker,
    /// Bassett, 1978), averaged over about a day.
    pub fn observe(&mut self, guess: Guess, outcome: f64) {
        let residual = outcome - guess.mean;
        let over = residual - guess.scale * self.tail.at(LOSS_EXCEEDANCE);
        let pinball = if over > 0.0 {
            (1.0 - LOSS_EXCEEDANCE) * over
        } else {
            -LOSS_EXCEEDANCE * over
        };
        self.seen = self.seen.saturating_add(1);
        let weight = |slots: f64| 1.0 / slots.min(self.seen as f64);
        self.loss += (pinball - self.loss) * weight(DAY_SLOTS as f64);
        self.recent_variance += (residual * residual - self.recent_variance) * weight(RECENT_SLOTS);
        self.variance += (residual * residual - self.variance) * weight(DAY_SLOTS as f64);
        // During the first hour the scale is too uncertain.
        if self.seen > HOUR_SLOTS {
            self.tail.observe(residual / guess.scale);
        }
        if self.seen.is_multiple_of(HOUR_SLOTS) {
            self.tail.fade();
        }
    }

    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// The scale of the next error: an equal mix of the last minutes, the last day and, if available, the same time
    /// of past hours and days.
    pub fn scale(&self, seasons: Option<(f64, f64)>) -> f64 {
        let (hour, day) = seasons.unwrap_or((self.variance, self.variance));
        let variance = (self.recent_variance + self.variance + hour + day) / 4.0;
        variance.sqrt().max(SCALE_MIN)
    }
}
