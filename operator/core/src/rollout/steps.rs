//! What a rollout does next: a state machine over steps, observations and verbs.
//!
//! [`advance`] takes the state and what is observed and gives the next state; [`command`] does the
//! same for what a person asks; [`Rollout::orders`] says what should be. Repeating either with the
//! same input changes nothing, so a settled rollout writes nothing, and a crash at any point costs
//! nothing.
//!
//! What always holds: the stable version stays until another has taken all teams; teams go back to
//! it only when it can take all of them; a version that was rolled back is not tried again until the
//! wanted version changes or somebody asks.

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
    /// Full size without a team: the preview of blue-green.
    Preview,
    /// A share of the teams, in basis points.
    SetWeight { weight: u16 },
    /// A pause that ends by itself.
    Wait { seconds: i64 },
    /// A pause that ends with `promote`.
    Pause,
    /// Until the analysis clears the version.
    Clear,
}

/// How to roll out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// After the last one all teams move.
    pub steps: Vec<Step>,
    /// Metrics decide nothing; guards still roll back.
    pub skip_analysis: bool,
    /// How long the pods of an aborted version stay, from when it serves nobody.
    pub abort_scale_down_seconds: i64,
    /// The newest so many earlier versions are gone back to at once, without steps and analysis.
    pub rollback_window: usize,
    /// Earlier versions that keep their pods.
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

    /// Weights in turn, each for a while, and at last only with a verdict.
    pub fn canary(weights: &[u16], seconds: i64) -> Self {
        let steps = weights.iter().flat_map(|weight| {
            let weight = (*weight).min(WEIGHT_BASIS_POINTS_MAX);
            [Step::SetWeight { weight }, Step::Wait { seconds }]
        });
        Plan::with(steps.chain([Step::Clear]).collect())
    }

    /// A full preview, then everybody at once; `automatic`: after so many seconds, else on `promote`.
    /// The old version stays beside it for `keep_seconds`.
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

    /// Shard after shard, without a share of teams to compare.
    pub fn rolling() -> Self {
        Plan::with(Vec::new())
    }

    /// A fixed share for a fixed time; somebody decides.
    pub fn ab_test(weight: u16, seconds: i64) -> Self {
        let weight = weight.min(WEIGHT_BASIS_POINTS_MAX);
        Plan::with(vec![
            Step::SetWeight { weight },
            Step::Wait { seconds },
            Step::Pause,
        ])
    }
}

/// Where a rollout stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// All teams are on the stable version, and nothing else is wanted.
    #[default]
    Stable,
    /// In the steps.
    Progressing,
    /// All teams move to the new version.
    Promoting,
    /// All teams move back.
    Aborting,
    /// All teams are back; the wanted version is not the stable one.
    Aborted,
}

/// Why a rollout waits for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PauseReason {
    /// By the verb.
    Asked,
    /// By the plan.
    Step,
    /// The analysis could not decide.
    Inconclusive,
}

/// Why a version was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AbortCause {
    Asked,
    Guard(Guard),
    /// The analysis found it worse.
    Verdict,
    /// Another version is wanted.
    Superseded,
}

/// The version that is rolled out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    pub revision: String,
    /// The plan it began or went on with; another one finds its place anew.
    pub steps: Vec<Step>,
    pub step: usize,
    pub step_began_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<PauseReason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted: Option<AbortCause>,
    /// When it got no more teams after an abort.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_at: Option<Timestamp>,
    /// `None` when it is not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Analysis>,
}

/// The whole state; it goes into the status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    pub stable: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Candidate>,
    pub phase: Phase,
    /// The candidate's share of the teams, in basis points.
    pub weight: u16,
    /// Runs so far; part of the salt of the cohorts, so that each run draws its teams anew.
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

/// What the operator sees.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed<'a> {
    /// The revision of the spec.
    pub wanted: &'a str,
    /// `spec.paused`: no step is taken, but guards and verdicts still roll back.
    pub spec_paused: bool,
    /// The share of all teams that the ready pods of each version could serve, in basis points.
    pub stable_capacity: u16,
    pub canary_capacity: u16,
    /// The weight that all gateways and shards follow.
    pub routed: u16,
    /// Of the state's candidate, as is the capacity of the canary.
    pub guards: Guards,
    /// What was measured since the last time, when something was.
    pub look: Option<Look>,
}

/// What should be, in basis points of all teams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orders {
    pub stable: String,
    /// The stable version is always large enough for all teams: a rollback waits for nobody.
    pub stable_capacity: u16,
    pub canary: Option<String>,
    pub canary_capacity: u16,
    pub weight: u16,
    /// Earlier versions that keep their pods, newest first.
    pub retained: Vec<String>,
}

impl Rollout {
    /// What should be now.
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
    /// The size that the steps up to the current one ask for.
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

/// What happened, in order; each becomes an event of the cluster.
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
