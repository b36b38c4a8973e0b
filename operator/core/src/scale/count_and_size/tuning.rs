//! How readily plans change the shape.

use jiff::SignedDuration;

use super::limits::{DEMAND_MARGIN_SHARE, DEMAND_WINDOW, PAYBACK_HOURS, SAVING_SHARE_MIN};

/// How readily plans change the shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// The margin above demand, and the tolerance below it, as a share.
    pub margin: f64,
    /// How long demand must be low, and the last change must be past, before capacity is removed or the cost is optimized.
    pub window: SignedDuration,
    pub payback_hours: f64,
    pub saving_share_min: f64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            margin: DEMAND_MARGIN_SHARE,
            window: DEMAND_WINDOW,
            payback_hours: PAYBACK_HOURS,
            saving_share_min: SAVING_SHARE_MIN,
        }
    }
}
