//! Commands of the user.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::advance::{abort, begin, begin_promotion};
use super::{AbortCause, Event, PauseReason, Phase, Plan, Rollout, Step};

/// The commands of the planned plugin `kubectl poker` for a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verb {
    /// Ends a pause, or completes the current step if it is a gate.
    Promote,
    /// Moves all teams to the new version now, without further steps and verdicts. Guards still apply.
    PromoteFull,
    /// Moves all teams back to the stable version.
    Abort,
    /// Restarts an aborted version from the first step, with other teams.
    Retry,
    /// Moves back to the stable version, or from it to an earlier one.
    Undo { to: Option<String> },
    /// Pauses until `promote`.
    Pause,
    /// Completes the current step.
    Skip,
}

/// Why a command was rejected, and the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no rollout is in progress: change spec.version to start one")]
    NotInProgress,
    #[error("the rollout was aborted: retry it, or promote it in full")]
    Aborted,
    #[error("teams are still moving back: retry once the abort is complete")]
    Aborting,
    #[error("all teams are already moving to the new version: abort to move them back")]
    Promoting,
    #[error("the rollout is already paused: promote to continue")]
    Paused,
    #[error("the current step is not a pause: skip it, or promote in full")]
    NoGate,
    #[error("only an aborted rollout can be retried")]
    NotAborted,
    #[error("there is no such earlier version: choose one from the status")]
    UnknownRevision,
}

/// The result of a command.
#[derive(Clone, Debug, PartialEq)]
pub struct Commanded {
    pub rollout: Rollout,
    pub events: Vec<Event>,
    /// The new revision of the spec, if it changes.
    pub desired: Option<String>,
}

/// Applies a command.
///
/// # Errors
/// The command is not possible in the current phase.
pub fn command(plan: &Plan, rollout: &Rollout, verb: &Verb, now: Timestamp) -> Result<Commanded, Refusal> {
    let mut next = rollout.clone();
    let mut events = Vec::new();
    let mut desired = None;
    match verb {
        Verb::Promote => promote(in_steps(&mut next)?, &mut events, now)?,
        Verb::PromoteFull => match next.phase {
            Phase::Stable => return Err(Refusal::NotInProgress),
            Phase::Promoting => return Err(Refusal::Promoting),
            Phase::Progressing | Phase::Aborting | Phase::Aborted => promote_full(&mut next, &mut events),
        },
        Verb::Abort => match next.phase {
            Phase::Stable => return Err(Refusal::NotInProgress),
            Phase::Aborting => return Err(Refusal::Aborting),
            Phase::Aborted => return Err(Refusal::Aborted),
            Phase::Progressing | Phase::Promoting => abort(&mut next, &mut events, AbortCause::Asked),
        },
        Verb::Retry => match (&next.candidate, next.phase) {
            (Some(candidate), Phase::Aborted) => {
                let revision = candidate.revision.clone();
                begin(&mut next, &mut events, plan, &revision, now);
            }
            (_, Phase::Aborting) => return Err(Refusal::Aborting),
            _ => return Err(Refusal::NotAborted),
        },
        Verb::Undo { to } => desired = Some(undo(&next, to.as_deref())?),
        Verb::Pause => {
            let candidate = in_steps(&mut next)?;
            if candidate.paused.is_some() {
                return Err(Refusal::Paused);
            }
            let reason = PauseReason::Asked;
            candidate.paused = Some(reason);
            events.push(Event::Paused { reason });
        }
        Verb::Skip => {
            let candidate = in_steps(&mut next)?;
            candidate.step = (candidate.step + 1).min(candidate.steps.len());
            candidate.step_began_at = now;
            resume(candidate, &mut events, now);
        }
    }
    Ok(Commanded {
        rollout: next,
        events,
        desired,
    })
}

/// The candidate while it is in its steps.
fn in_steps(rollout: &mut Rollout) -> Result<&mut super::Candidate, Refusal> {
    match (rollout.phase, &mut rollout.candidate) {
        (Phase::Progressing, Some(candidate)) => Ok(candidate),
        (Phase::Promoting, _) => Err(Refusal::Promoting),
        (Phase::Aborting, _) => Err(Refusal::Aborting),
        (Phase::Aborted, _) => Err(Refusal::Aborted),
        _ => Err(Refusal::NotInProgress),
    }
}

/// Promoting at a gate completes the gate. Promoting after a pause by the user only ends the pause.
fn promote(candidate: &mut super::Candidate, events: &mut Vec<Event>, now: Timestamp) -> Result<(), Refusal> {
    let step = candidate.steps.get(candidate.step);
    let is_gate = matches!(step, Some(Step::Wait { .. } | Step::Pause | Step::Clear));
    if candidate.paused.is_none() && !is_gate {
        return Err(Refusal::NoGate);
    }
    if is_gate && candidate.paused != Some(PauseReason::Asked) {
        candidate.step += 1;
        candidate.step_began_at = now;
    }
    resume(candidate, events, now);
    Ok(())
}

fn resume(candidate: &mut super::Candidate, events: &mut Vec<Event>, now: Timestamp) {
    if candidate.paused.take().is_some() {
        events.push(Event::Resumed);
    }
    if let Some(analysis) = &mut candidate.analysis {
        *analysis = analysis.extended(now);
    }
}

/// Ends the analysis, because an overruled verdict would move the teams back at once.
fn promote_full(next: &mut Rollout, events: &mut Vec<Event>) {
    if let Some(candidate) = &mut next.candidate {
        candidate.analysis = None;
    }
    begin_promotion(next, events);
}

/// The revision to return to.
fn undo(rollout: &Rollout, to: Option<&str>) -> Result<String, Refusal> {
    let in_progress = rollout.candidate.is_some();
    let known = || std::iter::once(&rollout.stable).chain(&rollout.earlier);
    let revision = match to {
        Some(to) => known().find(|r| *r == to),
        None if in_progress => Some(&rollout.stable),
        None => rollout.earlier.first(),
    };
    revision.cloned().ok_or(Refusal::UnknownRevision)
}

#[cfg(test)]
mod tests;
