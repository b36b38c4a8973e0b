//! Scaling rules: windows, rate policies, tolerances and their defaults.

/// Which of several policies decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectPolicy {
    /// The policy that allows the largest change.
    Max,
    /// The policy that allows the smallest change.
    Min,
    /// No change in this direction.
    Disabled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    Pods,
    Percent,
}

/// At most `value` pods, or percent of the count at the start, per period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub kind: PolicyKind,
    pub value: i32,
    pub period_seconds: i32,
}

/// The complete rules of one direction.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// `None`: the controller's default for scale-down, 0 for scale-up.
    pub stabilization_window_seconds: Option<i32>,
    pub select_policy: SelectPolicy,
    pub policies: Vec<Policy>,
    pub tolerance: Option<f64>,
}

/// The rules of one direction as the user sets them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartialRules {
    pub stabilization_window_seconds: Option<i32>,
    pub select_policy: Option<SelectPolicy>,
    pub policies: Option<Vec<Policy>>,
    pub tolerance: Option<f64>,
}

/// The rules of both directions.
#[derive(Clone, Debug, PartialEq)]
pub struct Behavior {
    pub scale_up: Rules,
    pub scale_down: Rules,
}

const DEFAULT_PERIOD_SECONDS: i32 = 15;
const DEFAULT_SCALE_UP_PODS: i32 = 4;
const DEFAULT_PERCENT: i32 = 100;

impl Rules {
    /// Completes scale-up rules with defaults. A list of policies replaces the whole default list.
    pub fn for_scale_up(given: PartialRules) -> Rules {
        let window = given.stabilization_window_seconds.or(Some(0));
        let defaults = || {
            vec![
                Policy {
                    kind: PolicyKind::Pods,
                    value: DEFAULT_SCALE_UP_PODS,
                    period_seconds: DEFAULT_PERIOD_SECONDS,
                },
                double(),
            ]
        };
        Rules::complete(given, window, defaults)
    }

    /// Completes scale-down rules with defaults. An absent window stays the controller's default.
    pub fn for_scale_down(given: PartialRules) -> Rules {
        let window = given.stabilization_window_seconds;
        Rules::complete(given, window, || vec![double()])
    }

    fn complete(given: PartialRules, window: Option<i32>, policies: impl FnOnce() -> Vec<Policy>) -> Rules {
        Rules {
            stabilization_window_seconds: window,
            select_policy: given.select_policy.unwrap_or(SelectPolicy::Max),
            policies: given.policies.unwrap_or_else(policies),
            tolerance: given.tolerance,
        }
    }

    /// The longest period of any policy in seconds. Older events affect no decision.
    pub fn longest_period_seconds(&self) -> i32 {
        self.policies.iter().map(|p| p.period_seconds).max().unwrap_or(0)
    }
}

fn double() -> Policy {
    Policy {
        kind: PolicyKind::Percent,
        value: DEFAULT_PERCENT,
        period_seconds: DEFAULT_PERIOD_SECONDS,
    }
}
