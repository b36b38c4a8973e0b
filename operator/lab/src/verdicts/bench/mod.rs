//! Simulated rollouts: how often a rule rolls an identical version back, and how soon it finds a worse one.
//!
//! A run is a function of scenario, seed and number, and all rules see the same run. Seconds count from the first look;
//! if pods warm up, from the end of that.

mod baselines;
pub mod limits;
mod mann_whitney;
mod our_judge;
mod random;
mod scenarios;
mod score;
mod simulator;
#[cfg(test)]
mod tests;

pub use scenarios::{Scenario, scenarios};
pub use score::{RuleScore, score};

use baselines::{ArgoComparison, ArgoThreshold, Flagger, MannWhitney, Rule, ZTest};
use our_judge::{EProcess, Unit};
use random::Random;
use simulator::SimulatedRollout;

use poker_operator_core::rollout::analysis::PolicyError;

/// The rules in the order of a [`Run`].
pub const RULES: [&str; 7] = [
    "e-process",
    "e-process on requests",
    "Argo > 1 %, failureLimit 0",
    "Argo > 2x stable, failureLimit 3",
    "Flagger < 99 %, threshold 10",
    "z-test p < 0.05 at every look",
    "Mann-Whitney (Kayenta)",
];

/// The result of one rule in one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleResult {
    /// The second of the rollback.
    pub second: Option<i64>,
    /// Errors of the canary's users until the rollback, or to the end.
    pub canary_errors: u64,
}

/// The results of all rules in one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub results: [RuleResult; RULES.len()],
    /// The second in which our judge cleared the version.
    pub promoted: Option<i64>,
}

/// Simulates one rollout of a scenario under all rules.
///
/// # Errors
/// Never with the default policy.
pub fn simulate(scenario: &Scenario, seed: u64, run: u64) -> Result<Run, PolicyError> {
    let mut rollout = SimulatedRollout::new(scenario, Random::new(seed, &scenario.setting, run));
    let mut ours = EProcess::new(Unit::Team)?;
    let mut on_requests = EProcess::new(Unit::Request)?;
    let (mut threshold, mut comparison) = (ArgoThreshold::default(), ArgoComparison::default());
    let (mut flagger, mut z, mut ranks) = (Flagger::default(), ZTest::default(), MannWhitney::default());
    let mut rules: [&mut dyn Rule; RULES.len()] = [
        &mut ours,
        &mut on_requests,
        &mut threshold,
        &mut comparison,
        &mut flagger,
        &mut z,
        &mut ranks,
    ];
    let mut results = [RuleResult::default(); RULES.len()];
    for _ in 0..limits::RUN_SECONDS / limits::LOOK_SECONDS {
        let look = rollout.look();
        for (rule, result) in rules.iter_mut().zip(&mut results) {
            if result.second.is_none() {
                result.canary_errors += look.canary.bad;
                result.second = rule.rolls_back(&look).then_some(look.second);
            }
        }
        if results.iter().all(|result| result.second.is_some()) {
            break;
        }
    }
    Ok(Run {
        results,
        promoted: ours.promoted,
    })
}
