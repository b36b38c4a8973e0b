//! One scaling decision.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use poker_operator_api::autoscaling::PredictiveMode;

use super::anomaly;
use super::choice::Choice;
use super::expected_demand::{self, ExpectedDemand};
use super::explain::{self, Explained};
use super::gap;
use super::hpa::behavior::Behavior;
use super::hpa::combine::{self, Winner};
use super::hpa::normalize::{Normalized, Stabilization, longest_window, normalize, scale_down_window};
use super::hpa::rate::{Bounds, Limit};
use super::limits::{DECISION_INTERVAL_MAX, DECISION_INTERVAL_MIN};
use super::measure::{self, Measured};
use super::panic::{self, PanicProposal};
use super::sample_change::fault_window;
use super::schedule::{self, Scheduled};
use super::{Proposal, Reason, Restraint, ScaleDecision, ScaleInput, ScaleMemory, hpa_config};

/// The inputs of a decision after evaluation.
struct Assessment<'a> {
    input: &'a ScaleInput<'a>,
    behavior: Behavior,
    /// The stabilization window for scale-in.
    window: SignedDuration,
    bounds: Bounds,
    scheduled: Scheduled,
    measured: Vec<Measured>,
    /// Metrics without a value, although Prometheus answers and scrapes the pods. They propose nothing.
    without_value: BTreeSet<String>,
    panic: Option<PanicProposal>,
    /// The largest first. In a preview they have no effect.
    expected: Vec<ExpectedDemand>,
    is_preview: bool,
    /// A forecast was there a short while ago.
    forecast_lost: bool,
    /// The memory is empty: this is the first decision after a start.
    is_cold_start: bool,
}

/// Decides how many replicas the component should have. Never fails: missing inputs hold the count, and the
/// decision reports them.
pub fn decide(input: &ScaleInput) -> ScaleDecision {
    let mut memory = input.memory.clone();
    let is_cold_start = memory.is_fresh();
    memory.history.begin(input.current, input.now);
    let assessment = Assessment::new(input, is_cold_start, &mut memory);
    let winner = assessment.winner();
    let choice = assessment.choose(&winner, &mut memory);
    assessment.remember(choice, &mut memory);
    let message = assessment.explain(&winner, choice);
    ScaleDecision {
        component: input.component,
        current: input.current,
        replicas: choice.replicas,
        reason: choice.reason,
        message,
        proposals: assessment.proposals(),
        limited_by: choice.limited_by,
        memory,
        requeue_after: requeue_after(&assessment.scheduled, input.now),
        at: input.now,
    }
}

impl<'a> Assessment<'a> {
    fn new(input: &'a ScaleInput<'a>, is_cold_start: bool, memory: &mut ScaleMemory) -> Assessment<'a> {
        let (block, now) = (input.block, input.now);
        let behavior = hpa_config::behavior(block);
        let window = scale_down_window(&behavior, hpa_config::defaults());
        let measured = measure::all(input, hpa_config::tolerance(&behavior));
        anomaly::record(&measured, memory, window, now);
        gap::record_no_value(input, memory);
        let scheduled = schedule::at(&block.schedules, now);
        let demands: Vec<_> = measured.iter().filter_map(Measured::demand).collect();
        let panic = match &block.panic {
            Some(panic) => panic::detect(panic, &demands, input.ready, memory, now),
            None => {
                memory.forget_panic();
                None
            }
        };
        let after_fall = anomaly::fell_within(memory, window + fault_window(window), now);
        let expected =
            expected_demand::all(block, &demands, input.forecasts, after_fall, window, memory, now);
        let mode = block.predictive.as_ref().map(|p| p.mode);
        let is_preview = mode != Some(PredictiveMode::On);
        let forecast_lost = !is_preview && expected_demand::is_forecast_lost(&expected, memory, now);
        let is_unknown = |metric: &Measured| {
            let is_known = metric.value.is_some() && !metric.is_bound;
            !is_known && !memory.no_value_since.contains_key(&metric.name)
        };
        let is_gap = forecast_lost || measured.iter().any(is_unknown);
        gap::record(is_gap, memory, window, now);
        Assessment {
            input,
            behavior,
            window,
            bounds: bounds(input, &scheduled),
            scheduled,
            measured,
            without_value: memory.no_value_since.keys().cloned().collect(),
            panic,
            expected,
            is_preview,
            forecast_lost,
            is_cold_start,
        }
    }

    /// The metric with the largest proposal, or `None` if missing samples forbid following any metric.
    fn winner(&self) -> Option<Winner> {
        let (indexes, proposals): (Vec<usize>, Vec<_>) = self
            .measured
            .iter()
            .enumerate()
            .filter(|(_, metric)| !self.without_value.contains(&metric.name))
            .map(|(index, metric)| (index, metric.proposed.clone()))
            .unzip();
        combine::largest(&proposals, self.input.current)
            .ok()
            .map(|winner| Winner {
                index: indexes[winner.index],
                ..winner
            })
            .or_else(|| self.raised())
    }

    /// The metric whose forecast or headroom adds replicas. It may do so while samples are missing.
    fn raised(&self) -> Option<Winner> {
        let expected = self.expected.first().filter(|_| !self.is_preview)?;
        let index = self.measured.iter().position(|m| m.name == expected.metric)?;
        let replicas = self.input.current;
        (expected.replicas > replicas).then_some(Winner { index, replicas })
    }

    /// The forecast, if it proposes more than the metrics.
    fn forecast(&self, winner: &Winner) -> Option<&ExpectedDemand> {
        let first = self.expected.first().filter(|_| !self.is_preview);
        first.filter(|expected| expected.replicas > winner.replicas)
    }

    /// The recommendation of metrics and forecast together.
    fn recommended(&self, winner: &Winner) -> i32 {
        self.forecast(winner)
            .map_or(winner.replicas, |expected| expected.replicas)
    }

    fn choose(&self, winner: &Option<Winner>, memory: &mut ScaleMemory) -> Choice {
        let current = self.input.current;
        // Also at zero, which the HPA takes as "autoscaling is off". Here `minReplicas` decides whether zero
        // replicas are allowed, and at zero no metric would ever propose one.
        let bounded = current.clamp(self.bounds.min, self.bounds.max);
        let choice = match winner {
            _ if bounded != current => self.to_bounds(bounded),
            Some(winner) => self.follow(winner, memory),
            None => self.hold(Reason::MetricsUnavailable, Restraint::MissingMetrics),
        };
        self.raise_for_panic(choice)
    }

    /// The count is outside the bounds, which alone decide.
    fn to_bounds(&self, replicas: i32) -> Choice {
        let reason = if replicas < self.input.current {
            Reason::AboveMaximum
        } else if replicas > self.input.block.min_replicas {
            Reason::Schedule
        } else {
            Reason::BelowMinimum
        };
        Choice {
            replicas,
            reason,
            limited_by: None,
        }
    }

    fn hold(&self, reason: Reason, restraint: Restraint) -> Choice {
        Choice {
            replicas: self.input.current,
            reason,
            limited_by: Some(restraint),
        }
    }

    /// Stabilizes and limits the recommendation, then refuses an unsafe scale-in.
    fn follow(&self, winner: &Winner, memory: &mut ScaleMemory) -> Choice {
        let (current, now) = (self.input.current, self.input.now);
        let (behavior, defaults) = (Some(&self.behavior), hpa_config::defaults());
        let (recommended, by_forecast) = (self.recommended(winner), self.forecast(winner).is_some());
        let history = &mut memory.history;
        history.extend_last(now);
        let result = normalize(
            history,
            behavior,
            defaults,
            current,
            recommended,
            self.bounds,
            now,
        );
        let scales_in = result.replicas < current || (self.is_cold_start && recommended < current);
        if scales_in && let Some((reason, restraint)) = self.unsafe_scale_in(memory) {
            return self.hold(reason, restraint);
        }
        let least = self.possible(memory).min(current);
        if result.replicas < current && least > result.replicas {
            return Choice {
                replicas: least,
                reason: Reason::Stabilized,
                limited_by: Some(Restraint::SuddenChange),
            };
        }
        let restraint = restraint_of(&result);
        let reason = match result.replicas.cmp(&current) {
            std::cmp::Ordering::Greater if by_forecast => Reason::Forecast,
            std::cmp::Ordering::Greater => Reason::MetricAboveTarget,
            std::cmp::Ordering::Less => Reason::MetricsBelowTarget,
            std::cmp::Ordering::Equal if restraint.is_none() && by_forecast => Reason::Forecast,
            std::cmp::Ordering::Equal if restraint.is_none() => Reason::OnTarget,
            std::cmp::Ordering::Equal if result.limited => Reason::Limited,
            std::cmp::Ordering::Equal => Reason::Stabilized,
        };
        Choice {
            replicas: result.replicas,
            reason,
            limited_by: restraint,
        }
    }

    /// Why scale-in is not safe now, if so.
    fn unsafe_scale_in(&self, memory: &ScaleMemory) -> Option<(Reason, Restraint)> {
        let now = self.input.now;
        let is_held = memory.held_until.is_some_and(|until| now < until)
            || gap::waits_for_values(memory, self.window, now);
        if self.is_cold_start {
            Some((Reason::ColdStart, Restraint::ColdStart))
        } else if self.input.block.paused_scale_in {
            Some((Reason::ScaleInPaused, Restraint::ScaleInPaused))
        } else if self.panic.is_some() {
            Some((Reason::Panic, Restraint::Panic))
        } else if self.input.ready <= 0 {
            Some((Reason::NoneReady, Restraint::NoneReady))
        } else if is_held || self.forecast_lost || !anomaly::all_renewed(memory, now) {
            Some((Reason::MetricsUnavailable, Restraint::MissingMetrics))
        } else {
            None
        }
    }

    /// The count for the largest values that the metrics may have had or may soon have.
    fn possible(&self, memory: &ScaleMemory) -> i32 {
        let tolerance = hpa_config::tolerance(&self.behavior);
        let metrics = self.input.block.metrics.iter().zip(&self.measured);
        let counts = metrics.filter_map(|(metric, measured)| {
            let (value, _) = measured.value?;
            let value = memory.newest.get(metric.name())?.possible(value);
            let proposed = measure::propose(self.input, metric, Ok(value), tolerance);
            Some(proposed.ok()?.replicas)
        });
        counts.max().unwrap_or(0)
    }

    /// Policies do not slow panic; only the maximum limits it.
    fn raise_for_panic(&self, choice: Choice) -> Choice {
        let Some(panic) = &self.panic else { return choice };
        let replicas = panic.replicas.min(self.bounds.max);
        if replicas <= choice.replicas {
            return choice;
        }
        let limited_by = (panic.replicas > replicas).then_some(Restraint::Maximum);
        Choice {
            replicas,
            reason: Reason::Panic,
            limited_by,
        }
    }

    fn remember(&self, choice: Choice, memory: &mut ScaleMemory) {
        let (current, now) = (self.input.current, self.input.now);
        if choice.replicas != current {
            memory
                .history
                .record_scaling(Some(&self.behavior), current, choice.replicas, now);
        }
        let window = longest_window(&self.behavior, hpa_config::defaults());
        memory.compact(window, hpa_config::longest_period(&self.behavior), now);
    }

    fn proposals(&self) -> Vec<Proposal> {
        let mut proposals: Vec<Proposal> = self.measured.iter().map(Measured::proposal).collect();
        let expected = self.expected.iter();
        proposals.extend(expected.map(|expected| expected.proposal(self.is_preview)));
        proposals.extend(self.panic.as_ref().map(explain::panic_proposal));
        let schedule = self.scheduled.minimum.as_ref();
        proposals.extend(schedule.map(|(name, minimum)| explain::schedule_proposal(name, *minimum)));
        proposals
    }

    fn explain(&self, winner: &Option<Winner>, choice: Choice) -> String {
        explain::sentence(&Explained {
            component: self.input.component,
            current: self.input.current,
            choice,
            recommended: winner.as_ref().map(|w| self.recommended(w)),
            expected: winner.as_ref().and_then(|w| self.forecast(w)),
            winner: winner.as_ref().map(|w| &self.measured[w.index]),
            measured: &self.measured,
            panic: self.panic.as_ref(),
            schedule: self.scheduled.minimum.as_ref(),
            bounds: self.bounds,
        })
    }
}

fn bounds(input: &ScaleInput, scheduled: &Scheduled) -> Bounds {
    let block = input.block;
    let scheduled = scheduled.minimum.as_ref().map(|(_, minimum)| *minimum);
    let minimum = block.min_replicas.max(scheduled.unwrap_or(block.min_replicas));
    Bounds {
        min: minimum.min(block.max_replicas),
        max: block.max_replicas,
    }
}

fn restraint_of(result: &Normalized) -> Option<Restraint> {
    if result.limited {
        return match result.limit {
            Limit::DesiredWithinRange => None,
            Limit::TooFewReplicas => Some(Restraint::Minimum),
            Limit::TooManyReplicas => Some(Restraint::Maximum),
            Limit::ScaleUpLimit => Some(Restraint::ScaleOutRate),
            Limit::ScaleDownLimit => Some(Restraint::ScaleInRate),
        };
    }
    match result.stabilization {
        Stabilization::ReadyForNewScale => None,
        Stabilization::ScaleUpStabilized => Some(Restraint::ScaleOutStabilization),
        Stabilization::ScaleDownStabilized => Some(Restraint::ScaleInStabilization),
    }
}

fn requeue_after(scheduled: &Scheduled, now: Timestamp) -> Duration {
    let until = scheduled
        .changes_at
        .and_then(|at| Duration::try_from(at.duration_since(now)).ok());
    until
        .unwrap_or(DECISION_INTERVAL_MAX)
        .clamp(DECISION_INTERVAL_MIN, DECISION_INTERVAL_MAX)
}
