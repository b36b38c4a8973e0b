//! One scaling decision.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::anomaly;
use super::explain::{self, Explained};
use super::hpa::behavior::Behavior;
use super::hpa::combine::{self, Winner};
use super::hpa::normalize::{Normalized, Stabilization, longest_window, normalize, scale_down_window};
use super::hpa::rate::{Bounds, Limit};
use super::limits::{FAULT_LINGERS, LOOK_AGAIN_AFTER_MAX, LOOK_AGAIN_AFTER_MIN};
use super::measure::{self, Measured};
use super::panic::{self, Burst};
use super::replica_cost::{self, Expected};
use super::schedule::{self, Scheduled};
use poker_operator_api::autoscaling::PredictiveMode;

use super::{Proposal, Reason, Restraint, ScaleDecision, ScaleInput, ScaleMemory, hpa_config};

/// A count, why, and what held it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub replicas: i32,
    pub reason: Reason,
    pub limited_by: Option<Restraint>,
}

/// What a decision is made from.
struct Evidence<'a> {
    input: &'a ScaleInput<'a>,
    behavior: Behavior,
    bounds: Bounds,
    scheduled: Scheduled,
    measured: Vec<Measured>,
    burst: Option<Burst>,
    /// The largest first; none of them acts in a preview.
    expected: Vec<Expected>,
    is_preview: bool,
    /// It was there a short while ago.
    forecast_lost: bool,
    /// Nothing is remembered: the first decision after a start.
    cold: bool,
}

/// Decides how many replicas the component should have. Never fails: what is not known holds the
/// count, and the decision says so.
pub fn decide(input: &ScaleInput) -> ScaleDecision {
    let mut memory = input.memory.clone();
    let cold = memory.is_fresh();
    memory.history.begin(input.current, input.now);
    let evidence = Evidence::gather(input, cold, &mut memory);
    let winner = evidence.winner();
    let choice = evidence.choose(&winner, &mut memory);
    evidence.remember(choice, &mut memory);
    let message = evidence.explain(&winner, choice);
    ScaleDecision {
        component: input.component,
        current: input.current,
        replicas: choice.replicas,
        reason: choice.reason,
        message,
        proposals: evidence.proposals(),
        limited_by: choice.limited_by,
        memory,
        look_again_after: look_again_after(&evidence.scheduled, input.now),
        at: input.now,
    }
}

impl<'a> Evidence<'a> {
    fn gather(input: &'a ScaleInput<'a>, cold: bool, memory: &mut ScaleMemory) -> Evidence<'a> {
        let block = input.block;
        let behavior = hpa_config::behavior(block);
        let measured = measure::all(input, hpa_config::tolerance(&behavior));
        anomaly::note(&measured, memory, input.now);
        let scheduled = schedule::at(&block.schedules, input.now);
        let lowest = scheduled
            .minimum
            .as_ref()
            .map_or(block.min_replicas, |(_, min)| block.min_replicas.max(*min));
        let bounds = Bounds {
            min: lowest.min(block.max_replicas),
            max: block.max_replicas,
        };
        let demands: Vec<_> = measured.iter().filter_map(Measured::demand).collect();
        let burst = match &block.panic {
            Some(panic) => panic::detect(panic, &demands, input.ready, memory, input.now),
            None => {
                memory.forget_bursts();
                None
            }
        };
        let window = scale_down_window(&behavior, hpa_config::defaults());
        let after_fall = anomaly::fell_within(memory, window + lingers(window), input.now);
        let expected = replica_cost::all(
            block,
            &demands,
            input.forecasts,
            after_fall,
            window,
            memory,
            input.now,
        );
        let is_preview = block
            .predictive
            .as_ref()
            .is_none_or(|p| p.mode != PredictiveMode::On);
        let forecast_lost = !is_preview && replica_cost::is_lost(&expected, memory, input.now);
        if forecast_lost {
            memory.held_at = Some(input.now);
        }
        Evidence {
            input,
            behavior,
            bounds,
            scheduled,
            measured,
            burst,
            expected,
            is_preview,
            forecast_lost,
            cold,
        }
    }

    /// The metric that wins, or `None` when missing samples forbid to follow any.
    fn winner(&self) -> Option<Winner> {
        let wishes: Vec<_> = self.measured.iter().map(|m| m.wish.clone()).collect();
        combine::largest(&wishes, self.input.current).ok()
    }

    /// The forecast, where it asks for more than the metrics do.
    fn forecast(&self, winner: &Winner) -> Option<&Expected> {
        let first = self.expected.first().filter(|_| !self.is_preview);
        first.filter(|expected| expected.replicas > winner.replicas)
    }

    /// What metrics and forecast ask for together.
    fn asked(&self, winner: &Winner) -> i32 {
        self.forecast(winner)
            .map_or(winner.replicas, |expected| expected.replicas)
    }

    fn choose(&self, winner: &Option<Winner>, memory: &mut ScaleMemory) -> Choice {
        let current = self.input.current;
        // At zero too, unlike the HPA, which takes that for its off switch: here it is `minReplicas` that
        // says whether there may be none, and at zero nothing measures that would ever ask for one.
        let bound = current.clamp(self.bounds.min, self.bounds.max);
        let choice = match winner {
            _ if bound != current => self.to_bound(bound),
            Some(winner) => self.follow(winner, memory),
            None => {
                memory.held_at = Some(self.input.now);
                self.hold(Reason::MetricsUnavailable, Restraint::MissingMetrics)
            }
        };
        self.raise_for_burst(choice)
    }

    /// The count is outside the bounds: they decide alone.
    fn to_bound(&self, replicas: i32) -> Choice {
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

    /// Stabilizes and limits the winning wish, then refuses a scale-in that is not safe.
    fn follow(&self, winner: &Winner, memory: &mut ScaleMemory) -> Choice {
        let (current, now) = (self.input.current, self.input.now);
        let (behavior, defaults) = (Some(&self.behavior), hpa_config::defaults());
        let (wish, by_forecast) = (self.asked(winner), self.forecast(winner).is_some());
        let history = &mut memory.history;
        let result = normalize(history, behavior, defaults, current, wish, self.bounds, now);
        let scales_in = result.replicas < current || (self.cold && wish < current);
        if scales_in && let Some((reason, restraint)) = self.unsafe_scale_in(memory) {
            return self.hold(reason, restraint);
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

    /// Why no replica may go now, if so.
    fn unsafe_scale_in(&self, memory: &ScaleMemory) -> Option<(Reason, Restraint)> {
        let (window, now) = (
            scale_down_window(&self.behavior, hpa_config::defaults()),
            self.input.now,
        );
        // A window of whole samples must justify it, and a second one the course that a forecast has begun anew.
        let held_for = window * 2 + lingers(window);
        let is_held = memory.held_at.is_some_and(|at| now.duration_since(at) < held_for);
        if self.cold {
            Some((Reason::ColdStart, Restraint::ColdStart))
        } else if self.input.block.paused_scale_in {
            Some((Reason::ScaleInPaused, Restraint::ScaleInPaused))
        } else if self.burst.is_some() {
            Some((Reason::Burst, Restraint::Burst))
        } else if self.input.ready <= 0 {
            Some((Reason::NoneReady, Restraint::NoneReady))
        } else if is_held || self.forecast_lost || !anomaly::all_renewed(memory, now) {
            Some((Reason::MetricsUnavailable, Restraint::MissingMetrics))
        } else if anomaly::fell_within(memory, lingers(window), now) {
            Some((Reason::Stabilized, Restraint::SuddenFall))
        } else if anomaly::rose_within(memory, window, now) {
            Some((Reason::Stabilized, Restraint::SuddenRise))
        } else {
            None
        }
    }

    /// A burst is not slowed by policies, only by the maximum.
    fn raise_for_burst(&self, choice: Choice) -> Choice {
        let Some(burst) = &self.burst else { return choice };
        let replicas = burst.replicas.min(self.bounds.max);
        if replicas <= choice.replicas {
            return choice;
        }
        let limited_by = (burst.replicas > replicas).then_some(Restraint::Maximum);
        Choice {
            replicas,
            reason: Reason::Burst,
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
        proposals.extend(
            self.expected
                .iter()
                .map(|expected| expected.proposal(self.is_preview)),
        );
        if let Some(burst) = &self.burst {
            proposals.push(explain::burst_proposal(burst));
        }
        if let Some((name, minimum)) = &self.scheduled.minimum {
            proposals.push(explain::schedule_proposal(name, *minimum));
        }
        proposals
    }

    fn explain(&self, winner: &Option<Winner>, choice: Choice) -> String {
        explain::sentence(&Explained {
            component: self.input.component,
            current: self.input.current,
            choice,
            asked: winner.as_ref().map(|w| self.asked(w)),
            expected: winner.as_ref().and_then(|w| self.forecast(w)),
            winner: winner.as_ref().map(|w| &self.measured[w.index]),
            measured: &self.measured,
            burst: self.burst.as_ref(),
            schedule: self.scheduled.minimum.as_ref(),
            bounds: self.bounds,
        })
    }
}

/// How long a fault of the source still shows. Whoever wants a short window wants it here too.
fn lingers(window: SignedDuration) -> SignedDuration {
    window.min(FAULT_LINGERS)
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

fn look_again_after(scheduled: &Scheduled, now: Timestamp) -> Duration {
    let until = scheduled
        .changes_at
        .and_then(|at| Duration::try_from(at.duration_since(now)).ok());
    until
        .unwrap_or(LOOK_AGAIN_AFTER_MAX)
        .clamp(LOOK_AGAIN_AFTER_MIN, LOOK_AGAIN_AFTER_MAX)
}
