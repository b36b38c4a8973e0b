//! The tolerance: how far a metric may deviate from its target without a change.

/// Fractions of the target, e.g. 0.1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    pub up: f64,
    pub down: f64,
}

impl Tolerance {
    pub fn both(fraction: f64) -> Tolerance {
        Tolerance {
            up: fraction,
            down: fraction,
        }
    }

    /// Includes both ends. Never contains infinite or undefined ratios.
    pub fn contains(&self, ratio: f64) -> bool {
        1.0 - self.down <= ratio && ratio <= 1.0 + self.up
    }
}
