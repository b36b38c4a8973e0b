//! What a rollout does next: a state machine over steps, observations and commands. The operator does not use this module
//! yet.
//!
//! [`advance`] returns the next state for an observation, [`command`] for a command of the user, and [`Rollout::orders`]
//! returns the desired state. Repeating a call with the same input changes nothing, so a settled rollout causes no writes,
//! and a crash at any point does no harm.
//!
//! Invariants: The stable version stays until another one serves all teams. Teams move back to it only if it has the
//! capacity for all of them. A version that was rolled back is not tried again until the desired version changes or the
//! user retries it.

mod advance;
#[cfg(test)]
mod cluster;
mod commands;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use advance::advance;
pub use commands::{Commanded, Refusal, Verb, command};

use super::analysis::{Analysis, Guard, Guards, Look};
use super::limits::WEIGHT_BASIS_POINTS_MAX;

/// One step of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Step {
    /// Full capacity without teams, as the preview of blue-green.
    Preview,
    /// A share of the teams, in basis points.
    SetWeight { weight: u16 },
    /// A pause for a fixed time.
    Wait { seconds: i64 },
    /// A pause until `promote`.
    Pause,
    /// Waits until the analysis clears the version.
    Clear,
}

/// How to roll out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// After the last step all teams move.
    pub steps: Vec<Step>,
    /// Ignores the metrics. Guards still roll back.
    pub skip_analysis: bool,
    /// How long the pods of an aborted version stay once it serves no team.
    pub abort_scale_down_seconds: i64,
    /// The number of newest earlier versions to which a rollback has neither steps nor analysis.
    pub rollback_window: usize,
    /// The number of earlier versions that keep their pods.
    pub retained: usize,
}

impl Plan {
    fn with(steps: Vec<Step>) -> Self {
        Plan {
            steps,
            skip_analysis: false,
            abort_scale_down_seconds: 30,
            rollback_window: 0,
            retained: 0,
        }
    }

    /// Increasing weights, each for some time, then promotion after a verdict.
    pub fn canary(weights: &[u16], seconds: i64) -> Self {
        let steps = weights.iter().flat_map(|weight| {
            let weight = (*weight).min(WEIGHT_BASIS_POINTS_MAX);
            [Step::SetWeight { weight }, Step::Wait { seconds }]
        });
        Plan::with(steps.chain([Step::Clear]).collect())
    }

    /// A full preview, then all teams at once: after `automatic` seconds, or on `promote`. The old version stays for
    /// `keep_seconds`.
    pub fn blue_green(automatic: Option<i64>, keep_seconds: i64) -> Self {
        let gate = automatic.map_or(Step::Pause, |seconds| Step::Wait { seconds });
        Plan::with(vec![
            Step::Preview,
            gate,
            Step::SetWeight {
                weight: WEIGHT_BASIS_POINTS_MAX,
            },
            Step::Wait {
                seconds: keep_seconds,
            },
        ])
    }

    /// One shard after another, without a share of teams to compare.
    pub fn rolling() -> Self {
        Plan::with(Vec::new())
    }

    /// A fixed share for a fixed time. The user decides.
    pub fn ab_test(weight: u16, seconds: i64) -> Self {
        let weight = weight.min(WEIGHT_BASIS_POINTS_MAX);
        Plan::with(vec![
            Step::SetWeight { weight },
            Step::Wait { seconds },
            Step::Pause,
        ])
    }
}

/// The phase of a rollout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// All teams are on the stable version, which is the desired one.
    #[default]
    Stable,
    /// The rollout is in its steps.
    Progressing,
    /// All teams move to the new version.
    Promoting,
    /// All teams move back.
    Aborting,
    /// All teams are back on the stable version, which is not the desired one.
    Aborted,
}

/// Why a rollout waits for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PauseReason {
    /// The user paused it.
    Asked,
    /// A step of the plan.
    Step,
    /// The analysis could not decide.
    Inconclusive,
}

/// Why a version was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AbortCause {
    Asked,
    Guard(Guard),
    /// The analysis found that it is worse.
    Verdict,
    /// Another version is desired.
    Superseded,
}

/// The version being rolled out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    pub revision: String,
    /// The steps of the plan. If the plan changes, the rollout finds its position in the new one.
    pub steps: Vec<Step>,
    pub step: usize,
    pub step_began_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<PauseReason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted: Option<AbortCause>,
    /// The time since which it serves no team after an abort.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_at: Option<Timestamp>,
    /// `None` if there is no analysis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Analysis>,
}

/// The state of a rollout, stored in the status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    pub stable: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Candidate>,
    pub phase: Phase,
    /// The candidate's share of the teams, in basis points.
    pub weight: u16,
    /// The number of runs so far. Part of the salt, so that each run has new cohorts.
    pub runs: u64,
    /// Earlier stable versions, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<String>,
}

impl Rollout {
    /// All teams on one version.
    pub fn stable_on(revision: impl Into<String>) -> Self {
        Rollout {
            stable: revision.into(),
            candidate: None,
            phase: Phase::Stable,
            weight: 0,
            runs: 0,
            earlier: Vec::new(),
        }
    }
}

/// What the operator observes.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed<'a> {
    /// The revision of the spec.
    pub desired: &'a str,
    /// `spec.paused`: the rollout takes no step, but guards and verdicts still roll back.
    pub spec_paused: bool,
    /// The share of all teams that the ready pods of each version can serve, in basis points.
    pub stable_capacity: u16,
    pub canary_capacity: u16,
    /// The weight that all gateways and shards use.
    pub routed: u16,
    /// The guards of the candidate.
    pub guards: Guards,
    /// The data since the last look, if any.
    pub look: Option<Look>,
}

/// The desired state, in basis points of all teams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orders {
    pub stable: String,
    /// The stable version always has capacity for all teams, so that a rollback need not wait.
    pub stable_capacity: u16,
    pub canary: Option<String>,
    pub canary_capacity: u16,
    pub weight: u16,
    /// Earlier versions that keep their pods, newest first.
    pub retained: Vec<String>,
}

impl Rollout {
    /// The desired state now.
    pub fn orders(&self, plan: &Plan, now: Timestamp) -> Orders {
        let canary = self.candidate.as_ref();
        Orders {
            stable: self.stable.clone(),
            stable_capacity: WEIGHT_BASIS_POINTS_MAX,
            canary: canary.map(|c| c.revision.clone()),
            canary_capacity: canary.map_or(0, |c| self.canary_capacity(c, plan, now)),
            weight: self.weight,
            retained: self.earlier.iter().take(plan.retained).cloned().collect(),
        }
    }

    fn canary_capacity(&self, candidate: &Candidate, plan: &Plan, now: Timestamp) -> u16 {
        match self.phase {
            Phase::Stable => 0,
            Phase::Promoting => WEIGHT_BASIS_POINTS_MAX,
            Phase::Aborting => self.weight,
            Phase::Aborted => {
                let stays = |at: Timestamp| now.duration_since(at).as_secs() < plan.abort_scale_down_seconds;
                let last = candidate.largest_weight();
                if candidate.left_at.is_some_and(stays) {
                    last
                } else {
                    0
                }
            }
            Phase::Progressing => candidate.largest_weight().max(self.weight),
        }
    }
}

impl Candidate {
    /// The capacity that the steps up to the current one require.
    fn largest_weight(&self) -> u16 {
        let reached = self.steps.iter().take(self.step + 1);
        let size = reached.map(|step| match step {
            Step::Preview => WEIGHT_BASIS_POINTS_MAX,
            Step::SetWeight { weight } => *weight,
            Step::Wait { .. } | Step::Pause | Step::Clear => 0,
        });
        size.max().unwrap_or(0)
    }
}

/// What happened, in order. Each becomes an event of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Began { revision: String },
    WeightSet { weight: u16 },
    Paused { reason: PauseReason },
    Resumed,
    Promoting { revision: String },
    Promoted { revision: String },
    Aborting { revision: String, cause: AbortCause },
    Aborted { revision: String },
}
