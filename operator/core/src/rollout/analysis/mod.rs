//! The verdict on a new version, from counts of incidents by team.
//!
//! The unit is the team, because a team's errors come together: tests of requests take one team's
//! bad minute for proof. So the counts that come in are *incidents*: a team counts at most once per
//! metric and step, its exposure (team-minutes) runs until then, and the first minute of a pod's
//! life counts for neither version. That is the exporter's part; [`crate::rollout::bench`] shows
//! what happens without it.
//!
//! [`Judge::look`] takes state and counts and gives the next state; the state is small enough for
//! the status, and a restart changes nothing. The policy, first that applies:
//! 1. A tripped guard rolls back.
//! 2. The mean of the metrics' e-values at 1/α or above rolls back. An average of e-processes is one,
//!    so α holds over all metrics together, however they depend on each other. Where Bonferroni's
//!    correction rejects (one of m metrics at m/α), the mean has, too, and never later.
//! 3. A metric without data holds: no promotion, and no rollback but by what was measured.
//! 4. All metrics cleared at least once ([`Evidence::clearing`] ≥ 20) promotes.
//! 5. Neither in the longest time: inconclusive, which pauses.
//!
//! Rollback is final. Promote and Inconclusive stay unless there is a reason to roll back: as long
//! as both versions are measured, harm is still looked for.

pub mod counter;
mod evidence;
mod guards;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use evidence::Evidence;
use evidence::Tests;
#[cfg(test)]
pub(crate) use guards::each_tripped;
pub use guards::{Guard, Guards};

use super::limits::{
    ANALYSIS_SECONDS_MAX, CLEARED_RATIO, CLEARING_EVIDENCE, FALSE_ROLLBACK_PROBABILITY, HOLD_SECONDS_MAX,
    LOOK_GAP_SECONDS_MAX, METRIC_SECONDS_MAX, METRICS_COUNT_MAX,
};

/// What one version did since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// Team-minutes at risk; finite, 0 or more.
    pub exposure: f64,
    /// Incidents, each team at most once per step.
    pub bad: u64,
}

/// What both versions did since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Increment {
    pub canary: Arm,
    pub stable: Arm,
}

impl Increment {
    /// Incidents without exposure contradict themselves, as does a number that is none.
    pub fn is_usable(&self) -> bool {
        [self.canary, self.stable].iter().all(|arm| {
            arm.exposure.is_finite() && arm.exposure >= 0.0 && (arm.bad == 0 || arm.exposure > 0.0)
        })
    }
}

/// One look: what came in since the last one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// By metric; `None` is missing data, an absent metric says nothing new.
    pub samples: BTreeMap<String, Option<Increment>>,
    pub guards: Guards,
}

/// How a rollout is judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// By metric: `r0`, how many times the incidents of stable an equally good version may show;
    /// from 1 to below 2, 1.25 for noisy metrics.
    pub metrics: BTreeMap<String, f64>,
    /// α: the chance of ever rolling an equally good version back, over all metrics together.
    pub false_rollback: f64,
    /// Measured time after which nothing decided is inconclusive.
    pub longest_seconds: i64,
    /// Time without data after which it is inconclusive.
    pub longest_hold_seconds: i64,
}

impl Policy {
    /// The defaults for these metrics.
    pub fn new(metrics: impl IntoIterator<Item = String>) -> Self {
        Policy {
            metrics: metrics.into_iter().map(|name| (name, 1.0)).collect(),
            false_rollback: FALSE_ROLLBACK_PROBABILITY,
            longest_seconds: ANALYSIS_SECONDS_MAX,
            longest_hold_seconds: HOLD_SECONDS_MAX,
        }
    }
}

/// Why a policy cannot be followed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PolicyError {
    #[error("{0} metrics; an analysis takes 1 to {METRICS_COUNT_MAX}")]
    Metrics(usize),
    #[error("r0 of metric {metric} is {r0}; it must be at least 1 and below {CLEARED_RATIO}")]
    Ratio { metric: String, r0: f64 },
    #[error("the chance of a false rollback is {0}; it must be above 0 and at most 0.5")]
    FalseRollback(f64),
    #[error("an analysis of {0} s; it must be 1 s or longer")]
    Duration(i64),
}

/// The names are part of the API: they appear in status, events and `analyze --json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The new version is worse, or a guard tripped.
    Rollback,
    /// It is not twice as bad in any metric.
    Promote,
    /// Not enough is known yet.
    #[default]
    Continue,
    /// Not enough became known in the longest time: somebody has to decide.
    Inconclusive,
    /// Data is missing.
    Hold,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Rollback => "Rollback",
            Verdict::Promote => "Promote",
            Verdict::Continue => "Continue",
            Verdict::Inconclusive => "Inconclusive",
            Verdict::Hold => "Hold",
        }
    }
}

/// One metric so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricState {
    /// When it was last measured; `None` while data is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_at: Option<Timestamp>,
    /// Was cleared once.
    #[serde(default)]
    pub cleared: bool,
    #[serde(flatten)]
    pub evidence: Evidence,
}

/// All that an analysis remembers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// The last look, or the begin.
    pub looked_at: Timestamp,
    /// Time with data.
    pub measured: SignedDuration,
    /// Time without, since there last was some.
    pub held: SignedDuration,
    pub metrics: BTreeMap<String, MetricState>,
    pub verdict: Verdict,
    /// Since when the verdict is this one.
    pub since: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
}

impl Analysis {
    /// Nothing measured yet.
    pub fn begin(at: Timestamp) -> Self {
        Analysis {
            looked_at: at,
            measured: SignedDuration::ZERO,
            held: SignedDuration::ZERO,
            metrics: BTreeMap::new(),
            verdict: Verdict::Continue,
            since: at,
            guard: None,
        }
    }

    /// Gives an inconclusive analysis its whole time again, with what is known.
    #[must_use]
    pub fn extended(&self, at: Timestamp) -> Self {
        let mut next = self.clone();
        if next.verdict == Verdict::Inconclusive {
            next.verdict = Verdict::Continue;
            next.since = at;
            next.measured = SignedDuration::ZERO;
            next.held = SignedDuration::ZERO;
        }
        next
    }
}

/// A policy ready for use.
#[derive(Clone, Debug)]
pub struct Judge {
    policy: Policy,
    tests: BTreeMap<String, Tests>,
}

impl Judge {
    /// # Errors
    /// The policy names no metric or too many, or a value is out of bounds.
    pub fn new(policy: Policy) -> Result<Self, PolicyError> {
        if policy.metrics.is_empty() || policy.metrics.len() > METRICS_COUNT_MAX {
            return Err(PolicyError::Metrics(policy.metrics.len()));
        }
        if !(policy.false_rollback > 0.0 && policy.false_rollback <= 0.5) {
            return Err(PolicyError::FalseRollback(policy.false_rollback));
        }
        let shortest = policy.longest_seconds.min(policy.longest_hold_seconds);
        if shortest < 1 {
            return Err(PolicyError::Duration(shortest));
        }
        if let Some((metric, r0)) = policy
            .metrics
            .iter()
            .find(|(_, r0)| !(1.0..CLEARED_RATIO).contains(*r0))
        {
            return Err(PolicyError::Ratio {
                metric: metric.clone(),
                r0: *r0,
            });
        }
        let tests = policy
            .metrics
            .iter()
            .map(|(name, r0)| (name.clone(), Tests::new(*r0)));
        Ok(Judge {
            tests: tests.collect(),
            policy,
        })
    }

    /// The e-value from which on a rollback is due: 1/α.
    pub fn threshold(&self) -> f64 {
        1.0 / self.policy.false_rollback
    }

    /// The e-value of all metrics together: the mean over the policy's metrics; 1 for one without data.
    pub fn combined(&self, analysis: &Analysis) -> f64 {
        let e = |name: &String| analysis.metrics.get(name).map_or(1.0, |m| m.evidence.against());
        // Divided first: the sum of two largest numbers would be infinite.
        let count = self.tests.len() as f64;
        self.tests.keys().map(|name| e(name) / count).sum()
    }

    /// The state after a look. One that is not later than the last changes nothing, so repeating a
    /// look after a restart is harmless. Metrics that the policy does not name are left out.
    #[must_use]
    pub fn look(&self, analysis: &Analysis, at: Timestamp, look: &Look) -> Analysis {
        let mut next = analysis.clone();
        if let Some(guard) = look.guards.tripped()
            && next.verdict != Verdict::Rollback
        {
            next.verdict = Verdict::Rollback;
            next.since = at;
            next.guard = Some(guard);
        }
        if at <= next.looked_at {
            return next;
        }
        for (name, tests) in &self.tests {
            if let Some(sample) = look.samples.get(name) {
                let sample = sample.filter(Increment::is_usable);
                next.metrics
                    .entry(name.clone())
                    .or_default()
                    .take(tests, at, sample);
            }
        }
        let is_measured = self.tests.keys().all(|name| next.is_measured(name, at));
        next.pass(at, is_measured);
        let verdict = self.verdict(&next, is_measured);
        if verdict != next.verdict {
            next.verdict = verdict;
            next.since = at;
        }
        next
    }

    fn verdict(&self, analysis: &Analysis, is_measured: bool) -> Verdict {
        let before = analysis.verdict;
        let is_cleared = || {
            self.tests
                .keys()
                .all(|name| analysis.metrics.get(name).is_some_and(|m| m.cleared))
        };
        let longest = SignedDuration::from_secs(self.policy.longest_seconds);
        let longest_hold = SignedDuration::from_secs(self.policy.longest_hold_seconds);
        if before == Verdict::Rollback || self.combined(analysis) >= self.threshold() {
            Verdict::Rollback
        } else if matches!(before, Verdict::Promote | Verdict::Inconclusive) {
            before
        } else if !is_measured && analysis.held < longest_hold {
            Verdict::Hold
        } else if is_measured && is_cleared() {
            Verdict::Promote
        } else if !is_measured || analysis.measured >= longest {
            Verdict::Inconclusive
        } else {
            Verdict::Continue
        }
    }
}

impl MetricState {
    fn take(&mut self, tests: &Tests, at: Timestamp, sample: Option<Increment>) {
        self.measured_at = sample.map(|_| at);
        if let Some(increment) = sample {
            tests.add(&mut self.evidence, &increment);
            self.cleared = self.cleared || self.evidence.clearing() >= CLEARING_EVIDENCE;
        }
    }
}

impl Analysis {
    fn is_measured(&self, metric: &str, at: Timestamp) -> bool {
        let measured_at = self.metrics.get(metric).and_then(|m| m.measured_at);
        measured_at.is_some_and(|then| at.duration_since(then).as_secs() <= METRIC_SECONDS_MAX)
    }

    /// Time goes on.
    fn pass(&mut self, at: Timestamp, is_measured: bool) {
        // What happened while nobody looked is not known: neither data nor their absence.
        let gap = at
            .duration_since(self.looked_at)
            .min(SignedDuration::from_secs(LOOK_GAP_SECONDS_MAX));
        if is_measured {
            self.measured += gap;
            self.held = SignedDuration::ZERO;
        } else {
            self.held += gap;
        }
        self.looked_at = at;
    }
}
