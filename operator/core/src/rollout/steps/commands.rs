//! What a person asks for.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::advance::{abort, begin, begin_promotion};
use super::{AbortCause, Event, PauseReason, Phase, Plan, Rollout, Step};

/// `kubectl poker` verbs of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verb {
    /// Ends a pause, or the gate that the current step is.
    Promote,
    /// All teams to the new version now, without further steps and verdicts; guards still hold.
    PromoteFull,
    /// All teams back to the stable version.
    Abort,
    /// An aborted version again, from the first step, with other teams.
    Retry,
    /// Back to the stable version, or from it to an earlier one.
    Undo { to: Option<String> },
    /// Nothing goes on until `promote`.
    Pause,
    /// The current step counts as done.
    Skip,
}

/// Why a verb changes nothing; the text says what to do instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no rollout is under way; change spec.version to begin one")]
    NothingUnderWay,
    #[error("the rollout was aborted; retry it, or promote it in full")]
    Aborted,
    #[error("teams are on their way back; retry when the abort is done")]
    Aborting,
    #[error("all teams are already moving to the new version; abort to bring them back")]
    Promoting,
    #[error("the rollout is paused already; promote to go on")]
    Paused,
    #[error("the current step is no pause; skip it, or promote in full")]
    NoGate,
    #[error("only an aborted rollout is retried")]
    NotAborted,
    #[error("no such earlier version is known")]
    UnknownRevision,
}

/// What a verb leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct Commanded {
    pub rollout: Rollout,
    pub events: Vec<Event>,
    /// The revision that the spec should want from now on; else it stays.
    pub want: Option<String>,
}

/// Applies a verb.
///
/// # Errors
/// The verb makes no sense where the rollout stands.
pub fn command(plan: &Plan, rollout: &Rollout, verb: &Verb, now: Timestamp) -> Result<Commanded, Refusal> {
    let mut next = rollout.clone();
    let mut events = Vec::new();
    let mut want = None;
    match verb {
        Verb::Promote => promote(in_steps(&mut next)?, &mut events, now)?,
        Verb::PromoteFull => match next.phase {
            Phase::Stable => return Err(Refusal::NothingUnderWay),
            Phase::Promoting => return Err(Refusal::Promoting),
            Phase::Progressing | Phase::Aborting | Phase::Aborted => promote_full(&mut next, &mut events),
        },
        Verb::Abort => match next.phase {
            Phase::Stable => return Err(Refusal::NothingUnderWay),
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
        Verb::Undo { to } => want = Some(undo(&next, to.as_deref())?),
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
        want,
    })
}

/// The candidate while it is in its steps.
fn in_steps(rollout: &mut Rollout) -> Result<&mut super::Candidate, Refusal> {
    match (rollout.phase, &mut rollout.candidate) {
        (Phase::Progressing, Some(candidate)) => Ok(candidate),
        (Phase::Promoting, _) => Err(Refusal::Promoting),
        (Phase::Aborting, _) => Err(Refusal::Aborting),
        (Phase::Aborted, _) => Err(Refusal::Aborted),
        _ => Err(Refusal::NothingUnderWay),
    }
}

/// Somebody who promotes at a gate has decided what the gate waits for. A pause by the verb only ends.
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

/// A verdict that is overruled would take the teams back at once, so the version is not judged any more.
fn promote_full(next: &mut Rollout, events: &mut Vec<Event>) {
    if let Some(candidate) = &mut next.candidate {
        candidate.analysis = None;
    }
    begin_promotion(next, events);
}

/// The revision to want.
fn undo(rollout: &Rollout, to: Option<&str>) -> Result<String, Refusal> {
    let under_way = rollout.candidate.is_some();
    let known = || std::iter::once(&rollout.stable).chain(&rollout.earlier);
    let revision = match to {
        Some(to) => known().find(|r| *r == to),
        None if under_way => Some(&rollout.stable),
        None => rollout.earlier.first(),
    };
    revision.cloned().ok_or(Refusal::UnknownRevision)
}

#[cfg(test)]
mod tests;
