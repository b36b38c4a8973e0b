//! Translates the `autoscaling` block of the API into the rules of [`super::hpa`].

use jiff::SignedDuration;
use poker_operator_api::Quantity;
use poker_operator_api::autoscaling::{
    Autoscaling, Metric, PolicyType, ScalingRules, SelectPolicy as ApiSelectPolicy,
};

use super::hpa::behavior::{Behavior, PartialRules, Policy, PolicyKind, Rules, SelectPolicy};
use super::hpa::metric::Target;
use super::hpa::normalize::{LoopDefaults, scale_down_window};
use super::hpa::rate::ScaleUpLimit;
use super::hpa::tolerance::Tolerance;
use super::limits::{DOWNSCALE_WINDOW_SECONDS, TOLERANCE_FRACTION_DEFAULT};

/// The defaults of the loop. The scale-up limit applies only without a behavior, which never happens here because the
/// rules are always complete.
pub fn defaults() -> LoopDefaults {
    LoopDefaults {
        downscale_window: SignedDuration::from_secs(DOWNSCALE_WINDOW_SECONDS),
        scale_up_limit: ScaleUpLimit {
            factor: 2.0,
            minimum: 4.0,
        },
    }
}

/// The rules of the block, completed with defaults.
pub fn behavior(block: &Autoscaling) -> Behavior {
    let given = block.behavior.clone().unwrap_or_default();
    Behavior {
        scale_up: Rules::for_scale_up(partial(given.scale_up)),
        scale_down: Rules::for_scale_down(partial(given.scale_down)),
    }
}

/// How long a higher recommendation holds the count.
pub fn scale_in_window(block: &Autoscaling) -> SignedDuration {
    scale_down_window(&behavior(block), defaults())
}

pub fn tolerance(behavior: &Behavior) -> Tolerance {
    Tolerance {
        up: behavior.scale_up.tolerance.unwrap_or(TOLERANCE_FRACTION_DEFAULT),
        down: behavior
            .scale_down
            .tolerance
            .unwrap_or(TOLERANCE_FRACTION_DEFAULT),
    }
}

/// The longest period of any policy.
pub fn longest_period(behavior: &Behavior) -> SignedDuration {
    let up = behavior.scale_up.longest_period_seconds();
    SignedDuration::from_secs(i64::from(up.max(behavior.scale_down.longest_period_seconds())))
}

/// The target of a metric. `None` if it is absent, zero or too large.
pub fn target(metric: &Metric) -> Option<Target> {
    let milli = |q: &Quantity| i64::try_from(q.milli()?).ok().filter(|m| *m > 0);
    match (&metric.target.average_value, &metric.target.value) {
        (Some(average), None) => milli(average).map(Target::AverageValueMilli),
        (None, Some(value)) => milli(value).map(Target::ValueMilli),
        _ => None,
    }
}

fn partial(rules: Option<ScalingRules>) -> PartialRules {
    let Some(rules) = rules else {
        return PartialRules::default();
    };
    let policies = rules.policies.map(|policies| {
        let policy = |p: poker_operator_api::autoscaling::ScalingPolicy| Policy {
            kind: match p.type_ {
                PolicyType::Pods => PolicyKind::Pods,
                PolicyType::Percent => PolicyKind::Percent,
            },
            value: p.value,
            period_seconds: p.period_seconds,
        };
        policies.into_iter().map(policy).collect()
    });
    PartialRules {
        stabilization_window_seconds: rules.stabilization_window_seconds,
        select_policy: rules.select_policy.map(|select| match select {
            ApiSelectPolicy::Max => SelectPolicy::Max,
            ApiSelectPolicy::Min => SelectPolicy::Min,
            ApiSelectPolicy::Disabled => SelectPolicy::Disabled,
        }),
        policies,
        tolerance: rules
            .tolerance
            .and_then(|t| t.milli())
            .map(|milli| milli as f64 / 1000.0),
    }
}
