//! The counts of one look.

use serde::{Deserialize, Serialize};

/// The counts of one version since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// Team-minutes at risk. Finite and not negative.
    pub exposure: f64,
    /// Incidents. Each team counts at most once per step.
    pub bad: u64,
}

/// The counts of both versions since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Increment {
    pub canary: Arm,
    pub stable: Arm,
}

impl Increment {
    /// Whether the numbers are consistent: finite, and without incidents at no exposure.
    pub fn is_usable(&self) -> bool {
        [self.canary, self.stable].iter().all(|arm| {
            arm.exposure.is_finite() && arm.exposure >= 0.0 && (arm.bad == 0 || arm.exposure > 0.0)
        })
    }
}
