//! Scores of the rules over the runs of a scenario.

use serde::Serialize;

use super::{RULES, RuleResult, Run, Scenario};

/// The score of one rule in one scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleScore {
    pub name: String,
    pub rule: &'static str,
    /// Share of runs with identical versions that were rolled back.
    pub false_rollback: f64,
    /// Share of runs with a worse version that were rolled back; 0 if no version is worse.
    pub detected: f64,
    /// The median second of the rollbacks of worse versions; `None` if fewer than half were rolled back.
    pub median_seconds: Option<f64>,
    /// The median of the canary's errors until the rollback, or to the end of a run without one.
    pub median_canary_errors: Option<f64>,
    pub runs: usize,
    /// Share of runs with identical versions that our judge cleared.
    #[serde(skip)]
    pub promoted: f64,
}

/// The scores of all rules in one scenario. `identical` are the runs of the same scenario with identical versions; they
/// are `runs` if the scenario has no worse version.
pub fn score(scenario: &Scenario, runs: &[Run], identical: &[Run]) -> Vec<RuleScore> {
    let rows = RULES.iter().enumerate().map(|(rule, name)| {
        let results: Vec<RuleResult> = runs.iter().map(|run| run.results[rule]).collect();
        let is_worse = !scenario.is_identical();
        let false_rollbacks = identical.iter().filter(|run| run.results[rule].second.is_some());
        let found = results
            .iter()
            .filter(|result| result.second.is_some() && is_worse);
        let seconds = results
            .iter()
            .map(|o| o.second.map_or(f64::INFINITY, |s| s as f64));
        let errors = results.iter().map(|o| o.canary_errors as f64);
        RuleScore {
            name: scenario.name(),
            rule: name,
            false_rollback: share(false_rollbacks.count(), identical.len()),
            detected: share(found.count(), runs.len()),
            median_seconds: median(seconds).filter(|_| is_worse),
            median_canary_errors: median(errors).filter(|_| is_worse),
            runs: runs.len(),
            promoted: share(
                identical.iter().filter(|run| run.promoted.is_some()).count(),
                identical.len(),
            ),
        }
    });
    rows.collect()
}

fn share(count: usize, of: usize) -> f64 {
    count as f64 / of.max(1) as f64
}

/// The median; `None` if it is infinite.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some((lower + upper) / 2.0).filter(|median| median.is_finite())
}
