//! From the recommendation to the new count: stabilizes it, then limits it.

use jiff::{SignedDuration, Timestamp};

use super::behavior::Behavior;
use super::history::{History, seconds};
use super::rate::{self, Bounds, Limit, ScaleUpLimit};
use super::stabilize;

/// Settings of the loop that a behavior overrides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoopDefaults {
    pub downscale_window: SignedDuration,
    pub scale_up_limit: ScaleUpLimit,
}

/// The effect of recent recommendations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stabilization {
    ReadyForNewScale,
    ScaleUpStabilized,
    ScaleDownStabilized,
}

impl Stabilization {
    pub fn reason(self) -> &'static str {
        match self {
            Stabilization::ReadyForNewScale => "ReadyForNewScale",
            Stabilization::ScaleUpStabilized => "ScaleUpStabilized",
            Stabilization::ScaleDownStabilized => "ScaleDownStabilized",
        }
    }

    pub fn message(self) -> &'static str {
        match self {
            Stabilization::ReadyForNewScale => "recommended size matches current size",
            Stabilization::ScaleUpStabilized => {
                "recent recommendations were lower than current one, applying the lowest recent recommendation"
            }
            Stabilization::ScaleDownStabilized => {
                "recent recommendations were higher than current one, applying the highest recent recommendation"
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Normalized {
    pub replicas: i32,
    pub stabilization: Stabilization,
    pub limit: Limit,
    /// The limits changed the stabilized recommendation.
    pub limited: bool,
}

/// Stores the recommendation in the history and returns the new count.
pub fn normalize(
    history: &mut History,
    behavior: Option<&Behavior>,
    defaults: LoopDefaults,
    current: i32,
    recommended: i32,
    bounds: Bounds,
    now: Timestamp,
) -> Normalized {
    let (stabilized, (replicas, limit)) = match behavior {
        Some(behavior) => {
            let up = behavior.scale_up.stabilization_window_seconds.unwrap_or(0);
            let down = scale_down_window(behavior, defaults);
            let stabilized = stabilize::with_windows(history, current, recommended, seconds(up), down, now);
            (
                stabilized,
                rate::with_behavior(current, stabilized, bounds, behavior, history, now),
            )
        }
        None => {
            let window = defaults.downscale_window;
            let stabilized = stabilize::with_downscale_window(history, recommended, window, now);
            (
                stabilized,
                rate::without_behavior(current, stabilized, bounds, defaults.scale_up_limit),
            )
        }
    };
    let stabilization = if stabilized == recommended {
        Stabilization::ReadyForNewScale
    } else if behavior.is_some() && recommended >= current {
        Stabilization::ScaleUpStabilized
    } else {
        Stabilization::ScaleDownStabilized
    };
    Normalized {
        replicas,
        stabilization,
        limit,
        limited: replicas != stabilized,
    }
}

/// How long a higher recommendation holds the count.
pub fn scale_down_window(behavior: &Behavior, defaults: LoopDefaults) -> SignedDuration {
    behavior
        .scale_down
        .stabilization_window_seconds
        .map_or(defaults.downscale_window, seconds)
}

/// How long a recommendation can affect a decision.
pub fn longest_window(behavior: &Behavior, defaults: LoopDefaults) -> SignedDuration {
    let up = seconds(behavior.scale_up.stabilization_window_seconds.unwrap_or(0));
    up.max(scale_down_window(behavior, defaults))
}
