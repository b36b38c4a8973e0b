//! Our rule: the judge of rollouts, on counts of teams and, for comparison, of requests.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::baselines::Rule;
use super::simulator::{self, Requests};
use poker_operator_core::rollout::analysis::{
    Analysis, Arm, Guards, Increment, Judge, Look, Policy, PolicyError, Verdict,
};

const METRIC: &str = "errors";

/// The unit of incidents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Team,
    Request,
}

/// The judge with its default policy.
pub struct EProcess {
    unit: Unit,
    judge: Judge,
    analysis: Analysis,
    /// The second in which the judge cleared the version.
    pub promoted: Option<i64>,
}

impl EProcess {
    /// # Errors
    /// Never with the default policy.
    pub fn new(unit: Unit) -> Result<Self, PolicyError> {
        Ok(EProcess {
            unit,
            judge: Judge::new(Policy::new([String::from(METRIC)]))?,
            analysis: Analysis::begin(Timestamp::UNIX_EPOCH),
            promoted: None,
        })
    }
}

impl Rule for EProcess {
    fn rolls_back(&mut self, seen: &simulator::Look) -> bool {
        let counted = |requests: Requests| Arm {
            exposure: requests.all as f64,
            bad: requests.bad,
        };
        let sample = match self.unit {
            Unit::Team => seen.teams,
            Unit::Request => Some(Increment {
                canary: counted(seen.canary),
                stable: counted(seen.stable),
            }),
        };
        let look = Look {
            samples: BTreeMap::from([(String::from(METRIC), sample)]),
            guards: Guards::default(),
        };
        let at = Timestamp::from_second(seen.second).unwrap_or_default();
        self.analysis = self.judge.look(&self.analysis, at, &look);
        if self.analysis.verdict == Verdict::Promote && self.promoted.is_none() {
            self.promoted = Some(seen.second);
        }
        self.analysis.verdict == Verdict::Rollback
    }
}
