//! Simulates teams, their requests and errors, and the metrics of them.

use super::limits::{
    COLD_RATIO, COLD_SECONDS, ERROR_SHARE, FLAKY_TEAMS_ONE_IN, LOOK_SECONDS, OUTAGE_BEGIN_SECONDS,
    OUTAGE_ERROR_SHARE, OUTAGE_SECONDS, SWING_AMPLITUDE, SWING_PERIOD_SECONDS, TEAM_REQUESTS_PER_SECOND,
};
use super::random::Random;
use super::scenarios::Scenario;
use poker_operator_core::rollout::WEIGHT_BASIS_POINTS_MAX;
use poker_operator_core::rollout::analysis::{Arm, Increment};

/// Requests of one version in one look.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Requests {
    pub all: u64,
    pub bad: u64,
}

impl Requests {
    pub fn add(&mut self, other: Requests) {
        self.all += other.all;
        self.bad += other.bad;
    }

    /// `None` without requests.
    pub fn error_share(self) -> Option<f64> {
        (self.all > 0).then(|| self.bad as f64 / self.all as f64)
    }
}

/// The input of all rules at one interim look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// The end of the look.
    pub second: i64,
    pub canary: Requests,
    pub stable: Requests,
    /// Counts of teams as the exporter reports them: each team at most once per step, without the first minute of new
    /// pods. `None` while there are none.
    pub teams: Option<Increment>,
}

/// A rollout in progress.
pub struct SimulatedRollout<'a> {
    scenario: &'a Scenario,
    random: Random,
    second: i64,
    weight: u16,
    teams: Vec<Team>,
    /// Teams of each arm, and those of them at risk.
    counts: [usize; 2],
    at_risk: [usize; 2],
}

#[derive(Clone, Copy)]
struct Team {
    /// The bucket of its hash, 0 to 9,999.
    bucket: u16,
    /// It had no incident in this step yet.
    at_risk: bool,
}

impl<'a> SimulatedRollout<'a> {
    pub fn new(scenario: &'a Scenario, mut random: Random) -> Self {
        let count = (scenario.requests_per_second / TEAM_REQUESTS_PER_SECOND)
            .round()
            .max(1.0);
        let team = |_| Team {
            bucket: random.below(usize::from(WEIGHT_BASIS_POINTS_MAX)) as u16,
            at_risk: true,
        };
        SimulatedRollout {
            teams: (0..count as usize).map(team).collect(),
            scenario,
            random,
            second: 0,
            weight: 0,
            counts: [0; 2],
            at_risk: [0; 2],
        }
    }

    /// The next look.
    pub fn look(&mut self) -> Look {
        self.turn_to_step();
        let is_counted = !self.scenario.cold || self.second >= COLD_SECONDS;
        let seconds = LOOK_SECONDS as f64;
        let mut exposures = self.at_risk.map(|teams| teams as f64 * seconds);
        let (mut errors, mut bad) = ([0; 2], [0; 2]);
        let (load, ratio) = (self.load(), self.ratio());
        let incidents = load * seconds * self.error_share() * ratio / self.scenario.burst;
        for _ in 0..self.random.poisson(incidents) {
            let index = self.pick();
            let arm = self.arm(self.teams[index]);
            // Drawn at the canary's rate; stable keeps one in `ratio` of them.
            if arm == STABLE && self.random.uniform() * ratio >= 1.0 {
                continue;
            }
            errors[arm] += self.random.geometric(self.scenario.burst);
            if is_counted && self.teams[index].at_risk {
                self.teams[index].at_risk = false;
                self.at_risk[arm] -= 1;
                bad[arm] += 1;
                exposures[arm] -= seconds * self.random.uniform();
            }
        }
        self.second += LOOK_SECONDS;
        let share = self.counts[CANARY] as f64 / self.teams.len() as f64;
        let mut requests = |arm: usize, share: f64| Requests {
            all: errors[arm] + self.random.poisson(load * seconds * share),
            bad: errors[arm],
        };
        let (canary, stable) = (requests(CANARY, share), requests(STABLE, 1.0 - share));
        let counted = |arm: usize| Arm {
            exposure: exposures[arm] / 60.0,
            bad: bad[arm],
        };
        let teams = is_counted.then(|| Increment {
            canary: counted(CANARY),
            stable: counted(STABLE),
        });
        Look {
            second: self.second,
            canary,
            stable,
            teams,
        }
    }

    /// Counts every team again in a new step.
    fn turn_to_step(&mut self) {
        let begun = self
            .scenario
            .weights
            .iter()
            .rev()
            .find(|(from, _)| *from <= self.second);
        let weight = begun.map_or(0, |(_, weight)| *weight);
        if weight != self.weight {
            self.weight = weight;
            self.teams.iter_mut().for_each(|team| team.at_risk = true);
            let canaries = self
                .teams
                .iter()
                .filter(|team| self.arm(**team) == CANARY)
                .count();
            self.counts = [canaries, self.teams.len() - canaries];
            self.at_risk = self.counts;
        }
    }

    fn arm(&self, team: Team) -> usize {
        if team.bucket < self.weight { CANARY } else { STABLE }
    }

    /// Picks the team of an incident.
    fn pick(&mut self) -> usize {
        let flaky = (self.teams.len() / FLAKY_TEAMS_ONE_IN).max(1);
        if self.scenario.flaky && self.random.uniform() < 0.5 {
            self.random.below(flaky)
        } else {
            self.random.below(self.teams.len())
        }
    }

    fn load(&self) -> f64 {
        let phase = std::f64::consts::TAU * self.second as f64 / SWING_PERIOD_SECONDS;
        let swing = if self.scenario.swings {
            1.0 + SWING_AMPLITUDE * phase.sin()
        } else {
            1.0
        };
        self.scenario.requests_per_second * swing
    }

    fn error_share(&self) -> f64 {
        let outage = OUTAGE_BEGIN_SECONDS..OUTAGE_BEGIN_SECONDS + OUTAGE_SECONDS;
        if self.scenario.outage && outage.contains(&self.second) {
            OUTAGE_ERROR_SHARE
        } else {
            ERROR_SHARE
        }
    }

    /// The ratio of the canary's errors to those of stable.
    fn ratio(&self) -> f64 {
        let is_cold = self.scenario.cold && self.second < COLD_SECONDS;
        self.scenario.regression * if is_cold { COLD_RATIO } else { 1.0 }
    }
}

const CANARY: usize = 0;
const STABLE: usize = 1;
