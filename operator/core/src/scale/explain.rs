//! The sentence and the proposals that a decision carries.

use poker_operator_api::Component;

use super::decide::Choice;
use super::format::{count, milli, number};
use super::hpa::calculator;
use super::hpa::metric::Target;
use super::hpa::rate::Bounds;
use super::measure::Measured;
use super::panic::Burst;
use super::replica_cost::Expected;
use super::{Proposal, Reason, Restraint};

/// What a sentence is made from.
pub struct Explained<'a> {
    pub component: Component,
    pub current: i32,
    pub choice: Choice,
    /// The winning wish, of a metric or of the forecast.
    pub asked: Option<i32>,
    /// The forecast, when it asks for more than the metrics.
    pub expected: Option<&'a Expected>,
    pub winner: Option<&'a Measured>,
    pub measured: &'a [Measured],
    pub burst: Option<&'a Burst>,
    pub schedule: Option<&'a (String, i32)>,
    pub bounds: Bounds,
}

pub fn burst_proposal(burst: &Burst) -> Proposal {
    Proposal {
        name: format!("burst/{}", burst.metric),
        value: Some(number(burst.average)),
        replicas: Some(burst.replicas),
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

/// Cause, then what is done, then what holds it: "1,310 participants per shard exceed the target
/// of 1,000: from 3 to 4 shards".
pub fn sentence(explained: &Explained) -> String {
    let Explained {
        component,
        current,
        choice,
        ..
    } = *explained;
    let done = if choice.replicas == current {
        format!("keeping {}", count(component, current))
    } else {
        format!(
            "from {} to {}",
            number(f64::from(current)),
            count(component, choice.replicas)
        )
    };
    let held = match (choice.limited_by, explained.asked) {
        (Some(restraint), Some(asked)) if asked != choice.replicas => {
            format!(
                "; {} asked for, {}",
                number(f64::from(asked)),
                words(restraint, explained.bounds)
            )
        }
        _ => String::new(),
    };
    format!("{}: {done}{held}", cause(explained))
}

fn cause(explained: &Explained) -> String {
    let maximum = number(f64::from(explained.bounds.max));
    let minimum = number(f64::from(explained.bounds.min));
    match explained.choice.reason {
        Reason::AboveMaximum => format!("more than maxReplicas {maximum}"),
        Reason::BelowMinimum => format!("fewer than minReplicas {minimum}"),
        Reason::Schedule => {
            let name = explained.schedule.map_or("", |(name, _)| name);
            format!("schedule {name} asks for at least {minimum}")
        }
        Reason::Burst => match explained.burst {
            Some(burst) => format!("burst of {} {}", number(burst.average), burst.metric),
            None => "burst".to_owned(),
        },
        Reason::Forecast => explained.expected.map_or_else(String::new, Expected::words),
        Reason::MetricsUnavailable if explained.winner.is_none() => unavailable(explained.measured),
        _ => explained
            .winner
            .map_or_else(String::new, |m| compare(m, explained)),
    }
}

/// Which metrics gave nothing, and why.
fn unavailable(measured: &[Measured]) -> String {
    let problems = measured
        .iter()
        .filter_map(|m| Some(format!("{}: {}", m.name, m.wish.as_ref().err()?)));
    problems.collect::<Vec<_>>().join("; ")
}

/// The winning metric against its target.
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
    let relation = match explained.asked.map(|asked| asked.cmp(&explained.current)) {
        Some(std::cmp::Ordering::Greater) => "exceed",
        Some(std::cmp::Ordering::Less) => "are below",
        _ => "are near",
    };
    format!(
        "{} {name}{per} {relation} the target of {}",
        milli(value),
        milli(target)
    )
}

fn words(restraint: Restraint, bounds: Bounds) -> String {
    match restraint {
        Restraint::Minimum => format!("minReplicas is {}", bounds.min),
        Restraint::Maximum => format!("maxReplicas is {}", bounds.max),
        Restraint::ScaleOutRate => "slowed by the scale-out policies".to_owned(),
        Restraint::ScaleInRate => "slowed by the scale-in policies".to_owned(),
        Restraint::ScaleOutStabilization => "held by lower recent recommendations".to_owned(),
        Restraint::ScaleInStabilization => "held by higher recent recommendations".to_owned(),
        Restraint::Burst => "held by a recent burst".to_owned(),
        Restraint::MissingMetrics => "held until samples are complete again".to_owned(),
        Restraint::SuddenFall => "held until a sudden fall of a metric has lasted".to_owned(),
        Restraint::SuddenRise => {
            "held because what came before a sudden rise of a metric may be wrong".to_owned()
        }
        Restraint::NoneReady => "held while none is ready".to_owned(),
        Restraint::ColdStart => "held because the operator has just started".to_owned(),
        Restraint::ScaleInPaused => "held by pausedScaleIn".to_owned(),
    }
}
