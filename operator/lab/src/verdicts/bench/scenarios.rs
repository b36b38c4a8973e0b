//! The scenarios of simulated rollouts.

use super::limits::{BURST_ERRORS_MEAN, RUN_SECONDS};

/// A rollout of half an hour.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Canary share, load and disturbance: everything except the regression.
    pub setting: String,
    /// Of both versions together; each team has 0.1.
    pub requests_per_second: f64,
    /// The weight of the canary in basis points, and from which second on.
    pub weights: Vec<(i64, u16)>,
    /// The ratio of the canary's errors to those of stable.
    pub regression: f64,
    /// Mean length of a run of errors of one team; 1 is independent errors.
    pub burst: f64,
    /// Two minutes in which both versions fail.
    pub outage: bool,
    /// The load swings by a factor of nine every ten minutes.
    pub swings: bool,
    /// One team in a hundred has half of all errors.
    pub flaky: bool,
    /// The canary's pods are new and fail ten times as often in their first minute.
    pub cold: bool,
}

impl Scenario {
    /// Unique among the scenarios.
    pub fn name(&self) -> String {
        if self.is_identical() {
            format!("A/A {}", self.setting)
        } else {
            format!("A/B {}x {}", self.regression, self.setting)
        }
    }

    /// The same scenario with two identical versions.
    #[must_use]
    pub fn identical(&self) -> Scenario {
        Scenario {
            regression: 1.0,
            ..self.clone()
        }
    }

    pub fn is_identical(&self) -> bool {
        self.regression == 1.0
    }

    fn new(requests_per_second: f64, share: u16) -> Self {
        Scenario {
            setting: format!("at {} %, {requests_per_second} req/s", share / 100),
            requests_per_second,
            weights: vec![(0, share)],
            regression: 1.0,
            burst: 1.0,
            outage: false,
            swings: false,
            flaky: false,
            cold: false,
        }
    }

    fn and(mut self, what: &str, change: impl FnOnce(&mut Scenario)) -> Self {
        self.setting += &format!(", {what}");
        change(&mut self);
        self
    }

    fn bursts(self) -> Self {
        self.and("bursts", |s| s.burst = BURST_ERRORS_MEAN)
    }

    fn steps(requests_per_second: f64) -> Self {
        let step = RUN_SECONDS / 4;
        Scenario {
            setting: format!("at 1/5/25/50 %, {requests_per_second} req/s"),
            weights: vec![(0, 100), (step, 500), (2 * step, 2_500), (3 * step, 5_000)],
            ..Scenario::new(requests_per_second, 0)
        }
    }

    fn worse(mut self, ratio: f64) -> Self {
        self.regression = ratio;
        self
    }
}

/// All scenarios in the order of the table.
pub fn scenarios() -> Vec<Scenario> {
    let mut all = identical();
    for share in [100, 500, 1_000, 2_500] {
        all.extend([5.0, 10.0, 50.0].map(|ratio| Scenario::new(200.0, share).worse(ratio)));
    }
    all.extend([5.0, 10.0, 50.0].map(|ratio| Scenario::new(10.0, 1_000).worse(ratio)));
    all.extend([5.0, 10.0, 20.0].map(|ratio| Scenario::new(200.0, 1_000).bursts().worse(ratio)));
    all.extend([10.0, 100.0].map(|ratio| Scenario::steps(200.0).worse(ratio)));
    all
}

/// Two identical versions under each disturbance.
fn identical() -> Vec<Scenario> {
    let plain = || Scenario::new(200.0, 1_000);
    let low = || Scenario::new(10.0, 1_000);
    vec![
        plain(),
        low(),
        Scenario::new(1.0, 1_000),
        plain().and("outage", |s| s.outage = true),
        low().and("outage", |s| s.outage = true),
        plain().bursts(),
        low().bursts(),
        Scenario::steps(200.0),
        plain().and("load swings", |s| s.swings = true),
        plain().and("flaky teams", |s| s.flaky = true),
        plain().and("cold start", |s| s.cold = true),
        Scenario::steps(200.0)
            .bursts()
            .and("outage, load swings, flaky teams, cold start", |s| {
                (s.outage, s.swings, s.flaky, s.cold) = (true, true, true, true);
            }),
    ]
}
