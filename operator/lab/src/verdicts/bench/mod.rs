//! Simulated rollouts: how often a rule rolls an identical version back, and how soon it finds a
//! worse one.
//!
//! Every run is a function of scenario, seed and number; all rules see the same run. Seconds count
//! from the first look; where pods warm up first, from the end of that.

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
pub use score::{Row, score};

use baselines::{ArgoComparison, ArgoThreshold, Flagger, MannWhitney, Rule, ZTest};
use our_judge::{EProcess, Unit};
use random::Random;
use simulator::World;

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

/// What one rule made of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// When it rolled back.
    pub second: Option<i64>,
    /// Errors that the canary's users had until then, or to the end.
    pub canary_errors: u64,
}

/// What all rules made of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub outcomes: [Outcome; RULES.len()],
    /// When our own rule cleared the version.
    pub promoted: Option<i64>,
}

/// One rollout of a scenario under all rules.
///
/// # Errors
/// Never with the default policy.
pub fn simulate(scenario: &Scenario, seed: u64, run: u64) -> Result<Run, PolicyError> {
    let mut world = World::new(scenario, Random::new(seed, &scenario.setting, run));
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
    let mut outcomes = [Outcome::default(); RULES.len()];
    for _ in 0..limits::RUN_SECONDS / limits::LOOK_SECONDS {
        let seen = world.look();
        for (rule, outcome) in rules.iter_mut().zip(&mut outcomes) {
            if outcome.second.is_none() {
                outcome.canary_errors += seen.canary.bad;
                outcome.second = rule.rolls_back(&seen).then_some(seen.second);
            }
        }
        if outcomes.iter().all(|outcome| outcome.second.is_some()) {
            break;
        }
    }
    Ok(Run {
        outcomes,
        promoted: ours.promoted,
    })
}
