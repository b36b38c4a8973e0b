//! Limits how fast the count changes, and its range.

use jiff::Timestamp;

use super::behavior::{Behavior, Policy, PolicyKind, Rules, SelectPolicy};
use super::history::{History, change_within};

/// The inclusive bounds of the replica count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub min: i32,
    pub max: i32,
}

/// What limited the count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    DesiredWithinRange,
    TooFewReplicas,
    TooManyReplicas,
    ScaleUpLimit,
    ScaleDownLimit,
}

impl Limit {
    pub fn reason(self) -> &'static str {
        match self {
            Limit::DesiredWithinRange => "DesiredWithinRange",
            Limit::TooFewReplicas => "TooFewReplicas",
            Limit::TooManyReplicas => "TooManyReplicas",
            Limit::ScaleUpLimit => "ScaleUpLimit",
            Limit::ScaleDownLimit => "ScaleDownLimit",
        }
    }

    pub fn message(self) -> &'static str {
        match self {
            Limit::DesiredWithinRange => "the desired count is within the acceptable range",
            Limit::TooFewReplicas => "the desired replica count is less than the minimum replica count",
            Limit::TooManyReplicas => "the desired replica count is more than the maximum replica count",
            Limit::ScaleUpLimit => {
                "the desired replica count is increasing faster than the maximum scale rate"
            }
            Limit::ScaleDownLimit => {
                "the desired replica count is decreasing faster than the maximum scale rate"
            }
        }
    }
}

/// The scale-up limit without a behavior: `max(factor · current, minimum)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleUpLimit {
    pub factor: f64,
    pub minimum: f64,
}

/// Limits a stabilized recommendation by the policies of its direction and the bounds.
pub fn with_behavior(
    current: i32,
    recommended: i32,
    bounds: Bounds,
    behavior: &Behavior,
    history: &History,
    now: Timestamp,
) -> (i32, Limit) {
    if recommended > current {
        let limit = scale_up_limit(current, &behavior.scale_up, history, now).max(current);
        let (highest, reason) = if bounds.max > limit {
            (limit, Limit::ScaleUpLimit)
        } else {
            (bounds.max, Limit::TooManyReplicas)
        };
        if recommended > highest {
            return (highest, reason);
        }
    } else if recommended < current {
        let limit = scale_down_limit(current, &behavior.scale_down, history, now).min(current);
        let (lowest, reason) = if bounds.min < limit {
            (limit, Limit::ScaleDownLimit)
        } else {
            (bounds.min, Limit::TooFewReplicas)
        };
        if recommended < lowest {
            return (lowest, reason);
        }
    }
    (recommended, Limit::DesiredWithinRange)
}

/// Limits a stabilized recommendation without a behavior.
pub fn without_behavior(current: i32, recommended: i32, bounds: Bounds, limit: ScaleUpLimit) -> (i32, Limit) {
    let fastest = (limit.factor * f64::from(current)).max(limit.minimum) as i32;
    let (highest, reason) = if bounds.max > fastest {
        (fastest, Limit::ScaleUpLimit)
    } else {
        (bounds.max, Limit::TooManyReplicas)
    };
    if recommended < bounds.min {
        (bounds.min, Limit::TooFewReplicas)
    } else if recommended > highest {
        (highest, reason)
    } else {
        (recommended, Limit::DesiredWithinRange)
    }
}

/// The largest count that the rules allow now. It may be below the current one.
pub fn scale_up_limit(current: i32, rules: &Rules, history: &History, now: Timestamp) -> i32 {
    let proposals = rules.policies.iter().map(|policy| {
        let start = period_start(current, policy, history, now);
        match policy.kind {
            PolicyKind::Pods => start.saturating_add(policy.value),
            // Rounded up, because otherwise a small count would never grow.
            PolicyKind::Percent => (f64::from(start) * (1.0 + f64::from(policy.value) / 100.0)).ceil() as i32,
        }
    });
    match rules.select_policy {
        SelectPolicy::Disabled => current,
        SelectPolicy::Max => proposals.max().unwrap_or(i32::MIN),
        SelectPolicy::Min => proposals.min().unwrap_or(i32::MAX),
    }
}

/// The smallest count that the rules allow now. It may be above the current one.
pub fn scale_down_limit(current: i32, rules: &Rules, history: &History, now: Timestamp) -> i32 {
    let proposals = rules.policies.iter().map(|policy| {
        let start = period_start(current, policy, history, now);
        match policy.kind {
            PolicyKind::Pods => start.saturating_sub(policy.value),
            PolicyKind::Percent => (f64::from(start) * (1.0 - f64::from(policy.value) / 100.0)) as i32,
        }
    });
    match rules.select_policy {
        SelectPolicy::Disabled => current,
        SelectPolicy::Max => proposals.min().unwrap_or(i32::MAX),
        SelectPolicy::Min => proposals.max().unwrap_or(i32::MIN),
    }
}

/// The count at the start of the policy's period, derived from the events.
fn period_start(current: i32, policy: &Policy, history: &History, now: Timestamp) -> i32 {
    let added = change_within(&history.scale_ups, policy.period_seconds, now);
    let removed = change_within(&history.scale_downs, policy.period_seconds, now);
    current.saturating_sub(added).saturating_add(removed)
}
