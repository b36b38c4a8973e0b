//! How far from the target is still on target.

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

    /// Both ends count as inside; infinite and undefined ratios never do.
    pub fn contains(&self, ratio: f64) -> bool {
        1.0 - self.down <= ratio && ratio <= 1.0 + self.up
    }
}
