//! The message and the proposals of a decision.

use poker_operator_api::Component;

use super::choice::Choice;
use super::expected_demand::ExpectedDemand;
use super::format::{count, milli, number};
use super::hpa::calculator;
use super::hpa::metric::Target;
use super::hpa::rate::Bounds;
use super::measure::Measured;
use super::panic::PanicProposal;
use super::{Proposal, Reason, Restraint};

/// The values in a message.
pub struct Explained<'a> {
    pub component: Component,
    pub current: i32,
    pub choice: Choice,
    /// The recommendation of metrics and forecast.
    pub recommended: Option<i32>,
    /// The forecast, if it proposes more than the metrics.
    pub expected: Option<&'a ExpectedDemand>,
    pub winner: Option<&'a Measured>,
    pub measured: &'a [Measured],
    pub panic: Option<&'a PanicProposal>,
    pub schedule: Option<&'a (String, i32)>,
    pub bounds: Bounds,
}

pub fn panic_proposal(panic: &PanicProposal) -> Proposal {
    Proposal {
        name: format!("panic/{}", panic.metric),
        value: Some(number(panic.average)),
        replicas: Some(panic.replicas),
        problem: None,
    }
}

pub fn schedule_proposal(name: &str, minimum: i32) -> Proposal {
    Proposal {
        name: format!("schedule/{name}"),
        value: None,
        replicas: Some(minimum),
        problem: None,
    }
}

/// The cause, the change, and what holds it: "1,310 participants per shard exceed the target of 1,000: from 3 to 4
/// shards".
pub fn sentence(explained: &Explained) -> String {
    let Explained {
        component,
        current,
        choice,
        ..
    } = *explained;
    let change = if choice.replicas == current {
        format!("keeping {}", count(component, current))
    } else {
        format!(
            "from {} to {}",
            number(f64::from(current)),
            count(component, choice.replicas)
        )
    };
    let held = match (choice.limited_by, explained.recommended) {
        (Some(restraint), Some(recommended)) if recommended != choice.replicas => {
            let recommended = number(f64::from(recommended));
            format!(
                "; {recommended} recommended, {}",
                held_by(restraint, explained.bounds)
            )
        }
        _ => String::new(),
    };
    format!("{}: {change}{held}", cause(explained))
}

fn cause(explained: &Explained) -> String {
    let maximum = number(f64::from(explained.bounds.max));
    let minimum = number(f64::from(explained.bounds.min));
    match explained.choice.reason {
        Reason::AboveMaximum => format!("more than maxReplicas {maximum}"),
        Reason::BelowMinimum => format!("fewer than minReplicas {minimum}"),
        Reason::Schedule => {
            let name = explained.schedule.map_or("", |(name, _)| name);
            format!("schedule {name} requires at least {minimum}")
        }
        Reason::Panic => explained.panic.map_or_else(String::new, |panic| {
            format!(
                "panic window average of {} {}",
                number(panic.average),
                panic.metric
            )
        }),
        Reason::Forecast => explained.expected.map_or_else(String::new, ExpectedDemand::cause),
        Reason::MetricsUnavailable if explained.winner.is_none() => unavailable(explained.measured),
        _ => explained
            .winner
            .map_or_else(String::new, |m| compare(m, explained)),
    }
}

/// The metrics without a usable value, and why.
fn unavailable(measured: &[Measured]) -> String {
    let problems = measured
        .iter()
        .filter_map(|m| Some(format!("{}: {}", m.name, m.proposed.as_ref().err()?)));
    problems.collect::<Vec<_>>().join("; ")
}

/// Compares the winning metric with its target.
fn compare(winner: &Measured, explained: &Explained) -> String {
    let name = &winner.name;
    let total = winner
        .value
        .map_or(0, |(value, _)| (value * 1000.0).round() as i64);
    let (value, target, per) = match winner.target {
        Some(Target::AverageValueMilli(target)) if explained.current > 0 => {
            let per = format!(" per {}", explained.component.as_str());
            (calculator::share(total, explained.current), target, per)
        }
        Some(Target::AverageValueMilli(target) | Target::ValueMilli(target)) => {
            (total, target, String::new())
        }
        _ => (total, 0, String::new()),
    };
    let relation = match explained.recommended.map(|count| count.cmp(&explained.current)) {
        Some(std::cmp::Ordering::Greater) => "exceed",
        Some(std::cmp::Ordering::Less) => "are below",
        _ => "are near",
    };
    let at_least = if winner.is_bound { "at least " } else { "" };
    format!(
        "{at_least}{} {name}{per} {relation} the target of {}",
        milli(value),
        milli(target)
    )
}

fn held_by(restraint: Restraint, bounds: Bounds) -> String {
    match restraint {
        Restraint::Minimum => format!("minReplicas is {}", bounds.min),
        Restraint::Maximum => format!("maxReplicas is {}", bounds.max),
        Restraint::ScaleOutRate => "slowed by the scale-out policies".to_owned(),
        Restraint::ScaleInRate => "slowed by the scale-in policies".to_owned(),
        Restraint::ScaleOutStabilization => "held by lower recent recommendations".to_owned(),
        Restraint::ScaleInStabilization => "held by higher recent recommendations".to_owned(),
        Restraint::Panic => "held during panic".to_owned(),
        Restraint::MissingMetrics => "held until all metrics have had samples for long enough".to_owned(),
        Restraint::SuddenChange => "held until a rise or a sudden change of a metric has lasted".to_owned(),
        Restraint::NoneReady => "held while no replica is ready".to_owned(),
        Restraint::ColdStart => "held because the operator has just started".to_owned(),
        Restraint::ScaleInPaused => "held by pausedScaleIn".to_owned(),
    }
}
