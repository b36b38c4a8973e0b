//! Advances a rollout by an observation.

use jiff::Timestamp;

use super::{AbortCause, Candidate, Event, Observed, PauseReason, Phase, Plan, Rollout, Step};
use crate::rollout::analysis::{Analysis, Judge, Verdict};
use crate::rollout::limits::{REVISION_HISTORY_COUNT_MAX, WEIGHT_BASIS_POINTS_MAX};

/// Returns the state after an observation, and what happened. Does not use `judge` if the plan skips the analysis.
pub fn advance(
    plan: &Plan,
    judge: &Judge,
    rollout: &Rollout,
    observed: &Observed,
    now: Timestamp,
) -> (Rollout, Vec<Event>) {
    let mut turn = Turn {
        plan,
        observed,
        now,
        next: rollout.clone(),
        events: Vec::new(),
    };
    if turn.follow_the_spec() {
        // The observation is not about the version that just started.
        return (turn.next, turn.events);
    }
    turn.judge(judge);
    match turn.next.phase {
        Phase::Stable | Phase::Aborted => {}
        Phase::Progressing => turn.step(),
        Phase::Promoting => turn.promote(),
        Phase::Aborting => turn.take_back(),
    }
    (turn.next, turn.events)
}

struct Turn<'a> {
    plan: &'a Plan,
    observed: &'a Observed<'a>,
    now: Timestamp,
    next: Rollout,
    events: Vec<Event>,
}

impl Turn<'_> {
    /// Starts the desired version, or aborts one that is no longer desired. Returns whether a version started.
    fn follow_the_spec(&mut self) -> bool {
        let desired = self.observed.desired;
        let candidate = self.next.candidate.as_ref().filter(|c| c.revision == desired);
        let (is_candidate, is_stable) = (candidate.is_some(), desired == self.next.stable);
        // Aborted for another version, and desired again before all teams were back.
        let is_desired_again = candidate.is_some_and(|c| c.aborted == Some(AbortCause::Superseded));
        match self.next.phase {
            Phase::Progressing if !is_candidate => self.abort(AbortCause::Superseded),
            Phase::Progressing => self.find_place(),
            // A promotion completes before a third version starts.
            Phase::Promoting if is_stable => self.abort(AbortCause::Superseded),
            Phase::Promoting | Phase::Aborting => {}
            Phase::Aborted if is_candidate && !is_desired_again => {}
            Phase::Stable | Phase::Aborted => {
                self.next.candidate = None;
                self.next.phase = Phase::Stable;
                if !is_stable && !self.observed.spec_paused {
                    begin(&mut self.next, &mut self.events, self.plan, desired, self.now);
                    return true;
                }
            }
        }
        false
    }

    /// After a change of the plan, continues after the last step that the teams have reached.
    fn find_place(&mut self) {
        let weight = self.next.weight;
        let now = self.now;
        if let Some(candidate) = self
            .next
            .candidate
            .as_mut()
            .filter(|c| c.steps != self.plan.steps)
        {
            let is_reached = |step: &Step| matches!(step, Step::SetWeight { weight: w } if *w <= weight);
            let place = self.plan.steps.iter().rposition(is_reached).map_or(0, |n| n + 1);
            candidate.steps.clone_from(&self.plan.steps);
            candidate.step = place;
            candidate.step_began_at = now;
        }
    }

    /// Evaluates guards and evidence in every phase in which teams can still move back.
    fn judge(&mut self, judge: &Judge) {
        let is_open = matches!(self.next.phase, Phase::Progressing | Phase::Promoting);
        let Some(candidate) = self.next.candidate.as_mut().filter(|_| is_open) else {
            return;
        };
        if let Some(guard) = self.observed.guards.tripped() {
            return self.abort(AbortCause::Guard(guard));
        }
        let Some(analysis) = candidate.analysis.as_mut().filter(|_| !self.plan.skip_analysis) else {
            return;
        };
        // Without teams on both versions there is nothing to compare, and no data is missing.
        let is_compared = (1..WEIGHT_BASIS_POINTS_MAX).contains(&self.observed.routed);
        if let Some(look) = self.observed.look.as_ref().filter(|_| is_compared) {
            *analysis = judge.look(analysis, self.now, look);
        }
        let verdict = analysis.verdict;
        if verdict == Verdict::Rollback {
            let cause = analysis.guard.map_or(AbortCause::Verdict, AbortCause::Guard);
            self.abort(cause);
        } else if verdict == Verdict::Inconclusive
            && self.next.phase == Phase::Progressing
            && candidate.paused.is_none()
        {
            self.pause(PauseReason::Inconclusive);
        }
    }

    fn pause(&mut self, reason: PauseReason) {
        if let Some(candidate) = &mut self.next.candidate {
            candidate.paused = Some(reason);
            self.events.push(Event::Paused { reason });
        }
    }

    fn abort(&mut self, cause: AbortCause) {
        abort(&mut self.next, &mut self.events, cause);
        // If no team has moved, the abort completes at once.
        self.take_back();
    }

    /// Takes all completed steps. Missing data and pauses hold the rollout.
    fn step(&mut self) {
        loop {
            let Some(candidate) = &self.next.candidate else {
                return;
            };
            let verdict = candidate.analysis.as_ref().map(|a| a.verdict);
            let is_held = verdict == Some(Verdict::Hold) && !self.plan.skip_analysis;
            if candidate.paused.is_some() || self.observed.spec_paused || is_held {
                return;
            }
            let Some(step) = candidate.steps.get(candidate.step).copied() else {
                return self.begin_promotion();
            };
            if !self.is_done(step) {
                return;
            }
            if let Some(candidate) = &mut self.next.candidate {
                candidate.step += 1;
                candidate.step_began_at = self.now;
            }
        }
    }

    fn is_done(&mut self, step: Step) -> bool {
        let Some(candidate) = &self.next.candidate else {
            return false;
        };
        match step {
            Step::Preview => self.observed.canary_capacity >= WEIGHT_BASIS_POINTS_MAX,
            Step::SetWeight { weight } => self.set_weight(weight),
            Step::Wait { seconds } => self.now.duration_since(candidate.step_began_at).as_secs() >= seconds,
            Step::Pause => {
                self.pause(PauseReason::Step);
                false
            }
            Step::Clear => {
                let verdict = candidate.analysis.as_ref().map(|a| a.verdict);
                self.plan.skip_analysis || verdict.is_none_or(|v| v == Verdict::Promote)
            }
        }
    }

    /// Sets the weight and returns whether it is in use everywhere. Raises it only if the canary has the capacity, and
    /// lowers it only if the stable version has.
    fn set_weight(&mut self, weight: u16) -> bool {
        let weight = weight.min(WEIGHT_BASIS_POINTS_MAX);
        let has_capacity = if weight >= self.next.weight {
            self.observed.canary_capacity >= weight
        } else {
            self.observed.stable_capacity >= WEIGHT_BASIS_POINTS_MAX - weight
        };
        if self.next.weight != weight && has_capacity {
            if let Some(analysis) = self.next.candidate.as_mut().and_then(|c| c.analysis.as_mut())
                && self.next.weight == 0
            {
                // The analysis starts with the first teams.
                *analysis = Analysis::begin(self.now);
            }
            self.next.weight = weight;
            self.events.push(Event::WeightSet { weight });
        }
        self.next.weight == weight && self.observed.routed == weight
    }

    fn begin_promotion(&mut self) {
        begin_promotion(&mut self.next, &mut self.events);
        self.promote();
    }

    /// Moves all teams to the candidate, which then becomes stable.
    fn promote(&mut self) {
        if !self.set_weight(WEIGHT_BASIS_POINTS_MAX) {
            return;
        }
        if let Some(candidate) = self.next.candidate.take() {
            let before = std::mem::replace(&mut self.next.stable, candidate.revision.clone());
            self.next
                .earlier
                .retain(|r| *r != candidate.revision && *r != before);
            self.next.earlier.insert(0, before);
            self.next.earlier.truncate(REVISION_HISTORY_COUNT_MAX);
            self.next.phase = Phase::Stable;
            self.next.weight = 0;
            self.events.push(Event::Promoted {
                revision: candidate.revision,
            });
        }
    }

    /// Moves all teams back to the stable version at once, if it has the capacity.
    fn take_back(&mut self) {
        if !self.set_weight(0) {
            return;
        }
        self.next.phase = Phase::Aborted;
        if let Some(candidate) = &mut self.next.candidate {
            candidate.left_at = Some(self.now);
            self.events.push(Event::Aborted {
                revision: candidate.revision.clone(),
            });
        }
    }
}

/// Starts a version: with its steps, or at once if it was stable recently.
pub(super) fn begin(
    next: &mut Rollout,
    events: &mut Vec<Event>,
    plan: &Plan,
    revision: &str,
    now: Timestamp,
) {
    let is_known = next
        .earlier
        .iter()
        .take(plan.rollback_window)
        .any(|r| r == revision);
    next.candidate = Some(Candidate {
        revision: revision.to_owned(),
        steps: plan.steps.clone(),
        step: 0,
        step_began_at: now,
        paused: None,
        aborted: None,
        left_at: None,
        analysis: (!is_known).then(|| Analysis::begin(now)),
    });
    next.phase = Phase::Progressing;
    events.push(Event::Began {
        revision: revision.to_owned(),
    });
    if is_known {
        begin_promotion(next, events);
    } else {
        next.runs += 1;
    }
}

pub(super) fn begin_promotion(next: &mut Rollout, events: &mut Vec<Event>) {
    if let Some(candidate) = &mut next.candidate {
        next.phase = Phase::Promoting;
        candidate.paused = None;
        candidate.aborted = None;
        candidate.left_at = None;
        events.push(Event::Promoting {
            revision: candidate.revision.clone(),
        });
    }
}

pub(super) fn abort(next: &mut Rollout, events: &mut Vec<Event>, cause: AbortCause) {
    if let Some(candidate) = &mut next.candidate {
        next.phase = Phase::Aborting;
        candidate.paused = None;
        candidate.aborted = Some(cause);
        events.push(Event::Aborting {
            revision: candidate.revision.clone(),
            cause,
        });
    }
}
