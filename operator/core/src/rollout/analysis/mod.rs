//! The verdict on a new version, from counts of incidents by team.
//!
//! The unit is the team, because the errors of a team are correlated: a test on requests would take one bad minute of one
//! team as proof. So the counts are *incidents*: a team counts at most once per metric and step, its exposure
//! (team-minutes) ends with its incident, and the first minute of a pod counts for neither version. The program that
//! exports the counts must follow these rules; `poker-lab bench verdicts` shows what happens without them.
//!
//! [`Judge::look`] takes the state and the counts of an interim look and returns the next state. The state is small
//! enough for the status, and a restart changes nothing. The first rule that applies gives the verdict:
//! 1. A tripped guard rolls back.
//! 2. A mean of the metrics' e-values of 1/α or more rolls back. A mean of e-processes is an e-process, so α holds over
//!    all metrics together, regardless of their dependence. Whenever Bonferroni's correction rejects (one of m metrics
//!    at m/α), the mean rejects, too, and never later.
//! 3. A metric without data holds the rollout: it is not promoted, and rolled back only by the data so far.
//! 4. The version is promoted once every metric was cleared at least once ([`Evidence::clearing`] ≥ 20).
//! 5. After the longest time without a decision the verdict is inconclusive, which pauses the rollout.
//!
//! Rollback is final. Promote and Inconclusive stay unless there is a reason to roll back: the tests continue as long as
//! both versions are measured.

pub mod counter;
mod evidence;
mod guards;
mod increment;
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
pub use increment::{Arm, Increment};

use super::limits::{
    ANALYSIS_SECONDS_MAX, CLEARED_RATIO, CLEARING_EVIDENCE, FALSE_ROLLBACK_PROBABILITY, HOLD_SECONDS_MAX,
    LOOK_GAP_SECONDS_MAX, METRIC_SECONDS_MAX, METRICS_COUNT_MAX,
};

/// The data of one interim look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// By metric. `None` is missing data. A metric without an entry has no new data.
    pub samples: BTreeMap<String, Option<Increment>>,
    pub guards: Guards,
}

/// The policy of the verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// By metric: `r0`, the ratio of incidents to stable that still counts as equally good. At least 1 and less than
    /// 2; for example 1.25 for noisy metrics.
    pub metrics: BTreeMap<String, f64>,
    /// α: the probability of ever rolling back an equally good version, over all metrics together.
    pub false_rollback: f64,
    /// The measured time after which an undecided analysis is inconclusive.
    pub longest_seconds: i64,
    /// The time without data after which it is inconclusive.
    pub longest_hold_seconds: i64,
}

impl Policy {
    /// The default policy for these metrics.
    pub fn new(metrics: impl IntoIterator<Item = String>) -> Self {
        Policy {
            metrics: metrics.into_iter().map(|name| (name, 1.0)).collect(),
            false_rollback: FALSE_ROLLBACK_PROBABILITY,
            longest_seconds: ANALYSIS_SECONDS_MAX,
            longest_hold_seconds: HOLD_SECONDS_MAX,
        }
    }
}

/// Why a policy is invalid.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PolicyError {
    #[error("{0} metrics: an analysis requires 1 to {METRICS_COUNT_MAX}")]
    Metrics(usize),
    #[error("r0 of metric {metric} is {r0}: it must be at least 1 and less than {CLEARED_RATIO}")]
    Ratio { metric: String, r0: f64 },
    #[error("the probability of a false rollback is {0}: it must be greater than 0 and at most 0.5")]
    FalseRollback(f64),
    #[error("the analysis lasts {0} s: it must last at least 1 s")]
    Duration(i64),
}

/// The names are part of the API: they appear in status, events and `analyze --json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The new version is worse, or a guard tripped.
    Rollback,
    /// It is not twice as bad in any metric.
    Promote,
    /// There is not enough data yet.
    #[default]
    Continue,
    /// There was not enough data within the longest time: a user must decide.
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

/// The state of one metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricState {
    /// When it was last measured. `None` while data is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_at: Option<Timestamp>,
    /// Whether it was ever cleared.
    #[serde(default)]
    pub cleared: bool,
    #[serde(flatten)]
    pub evidence: Evidence,
}

/// The state of an analysis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// The time of the last look, or the start.
    pub looked_at: Timestamp,
    /// The time with data.
    pub measured: SignedDuration,
    /// The time without data since the last data.
    pub held: SignedDuration,
    pub metrics: BTreeMap<String, MetricState>,
    pub verdict: Verdict,
    /// When the verdict last changed.
    pub since: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
}

impl Analysis {
    /// A new analysis without data.
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

    /// Restarts the time of an inconclusive analysis and keeps its data.
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
    /// The policy has no metric or too many, or a value is out of range.
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

    /// The e-value at which the verdict is a rollback: 1/α.
    pub fn threshold(&self) -> f64 {
        1.0 / self.policy.false_rollback
    }

    /// The e-value of all metrics together: the mean over the metrics of the policy. A metric without data counts as 1.
    pub fn combined(&self, analysis: &Analysis) -> f64 {
        let e = |name: &String| analysis.metrics.get(name).map_or(1.0, |m| m.evidence.against());
        // Divides first, because the sum of two largest numbers would be infinite.
        let count = self.tests.len() as f64;
        self.tests.keys().map(|name| e(name) / count).sum()
    }

    /// The state after a look. A look that is not later than the last one changes nothing, so repeating it after a
    /// restart is harmless. Ignores metrics that the policy does not contain.
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
        next.add_time(at, is_measured);
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

    /// Adds the time since the last look.
    fn add_time(&mut self, at: Timestamp, is_measured: bool) {
        // A long time between two looks, as while the operator is down, counts neither as measured nor as missing.
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
