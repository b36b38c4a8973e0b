//! From runs to the figures of a table.

use serde::Serialize;

use super::{Outcome, RULES, Run, Scenario};

/// One rule in one scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub name: String,
    pub rule: &'static str,
    /// Share of runs with identical versions that were rolled back.
    pub false_rollback: f64,
    /// Share of runs with a worse version that were; 0 where no version is worse.
    pub detected: f64,
    /// When half of the worse versions were found; none when fewer were.
    pub median_seconds: Option<f64>,
    /// Errors of the canary until then, or to the end of a run that found nothing.
    pub median_canary_errors: Option<f64>,
    pub runs: usize,
    /// Share of runs with identical versions that our rule cleared.
    #[serde(skip)]
    pub promoted: f64,
}

/// The rows of one scenario. `identical`: runs of the same with identical versions; where the
/// scenario has no worse version, `runs` are those.
pub fn score(scenario: &Scenario, runs: &[Run], identical: &[Run]) -> Vec<Row> {
    let rows = RULES.iter().enumerate().map(|(rule, name)| {
        let outcomes: Vec<Outcome> = runs.iter().map(|run| run.outcomes[rule]).collect();
        let is_worse = !scenario.is_identical();
        let false_rollbacks = identical.iter().filter(|run| run.outcomes[rule].second.is_some());
        let found = outcomes
            .iter()
            .filter(|outcome| outcome.second.is_some() && is_worse);
        let seconds = outcomes
            .iter()
            .map(|o| o.second.map_or(f64::INFINITY, |s| s as f64));
        let errors = outcomes.iter().map(|o| o.canary_errors as f64);
        Row {
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

/// The middle, or the mean of the two; none when it is infinite.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some((lower + upper) / 2.0).filter(|median| median.is_finite())
}
