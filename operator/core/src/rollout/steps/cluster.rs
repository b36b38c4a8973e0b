//! A simulated cluster that carries out the orders of a rollout.

use std::collections::BTreeMap;

use super::*;
use crate::rollout::analysis::{Arm, Increment, Judge, Policy};

const METRIC: &str = "errors";

/// A cluster that carries out orders unless a test prevents it.
pub struct Cluster {
    pub plan: Plan,
    pub rollout: Rollout,
    pub desired: String,
    pub spec_paused: bool,
    /// The capacity of the stable version.
    pub stable_capacity: u16,
    /// The pods of the canary never become ready.
    pub canary_stuck: bool,
    pub guards: Guards,
    /// The incidents of canary and stable in every look. `None` is missing data.
    pub counts: Option<(u64, u64)>,
    pub second: i64,
    pub events: Vec<String>,
}

pub const GOOD: Option<(u64, u64)> = Some((1, 9));
pub const BAD: Option<(u64, u64)> = Some((5, 0));
pub const QUIET: Option<(u64, u64)> = Some((0, 0));

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn judge() -> Judge {
    Judge::new(Policy::new([String::from(METRIC)])).unwrap()
}

impl Cluster {
    pub fn on(plan: Plan) -> Self {
        Cluster {
            plan,
            rollout: Rollout::stable_on("r1"),
            desired: String::from("r1"),
            spec_paused: false,
            stable_capacity: 10_000,
            canary_stuck: false,
            guards: Guards::default(),
            counts: GOOD,
            second: 0,
            events: Vec::new(),
        }
    }

    pub fn wants(plan: Plan, revision: &str) -> Self {
        Cluster {
            desired: revision.to_owned(),
            ..Cluster::on(plan)
        }
    }

    fn note(&mut self, events: &[Event]) {
        let text = |event: &Event| match event {
            Event::Began { revision } => format!("Began {revision}"),
            Event::WeightSet { weight } => format!("Weight {weight}"),
            Event::Paused { reason } => format!("Paused {reason:?}"),
            Event::Resumed => String::from("Resumed"),
            Event::Promoting { revision } => format!("Promoting {revision}"),
            Event::Promoted { revision } => format!("Promoted {revision}"),
            Event::Aborting { revision, cause } => format!("Aborting {revision} {cause:?}"),
            Event::Aborted { revision } => format!("Aborted {revision}"),
        };
        self.events.extend(events.iter().map(text));
    }

    /// One reconcile, 15 s later.
    pub fn turn(&mut self) {
        self.second += 15;
        let orders = self.rollout.orders(&self.plan, at(self.second));
        let look = self.counts.map(|(canary, stable)| {
            let arm = |exposure, bad| Arm { exposure, bad };
            Increment {
                canary: arm(10.0, canary),
                stable: arm(90.0, stable),
            }
        });
        let observed = Observed {
            desired: &self.desired,
            spec_paused: self.spec_paused,
            stable_capacity: self.stable_capacity,
            canary_capacity: if self.canary_stuck {
                0
            } else {
                orders.canary_capacity
            },
            routed: orders.weight,
            guards: self.guards.clone(),
            look: Some(Look {
                samples: BTreeMap::from([(METRIC.to_owned(), look)]),
                guards: Guards::default(),
            }),
        };
        let (next, events) = advance(&self.plan, &judge(), &self.rollout, &observed, at(self.second));
        self.rollout = next;
        self.note(&events);
    }

    pub fn turns(&mut self, count: usize) -> &mut Self {
        (0..count).for_each(|_| self.turn());
        self
    }

    /// Reconciles until the phase, for at most an hour.
    pub fn until(&mut self, phase: Phase) -> &mut Self {
        for _ in 0..240 {
            if self.rollout.phase == phase {
                return self;
            }
            self.turn();
        }
        panic!("never {phase:?}: {:?}", self.rollout);
    }

    pub fn ask(&mut self, verb: Verb) -> Result<(), Refusal> {
        let done = command(&self.plan, &self.rollout, &verb, at(self.second))?;
        self.rollout = done.rollout;
        self.note(&done.events);
        if let Some(desired) = done.desired {
            self.desired = desired;
        }
        Ok(())
    }

    pub fn weight(&self) -> u16 {
        self.rollout.weight
    }

    pub fn paused(&self) -> Option<PauseReason> {
        self.rollout.candidate.as_ref().and_then(|c| c.paused)
    }

    pub fn canary_capacity(&self) -> u16 {
        self.rollout.orders(&self.plan, at(self.second)).canary_capacity
    }
}

pub fn canary() -> Plan {
    Plan::canary(&[500, 2_500], 60)
}

/// A canary that is paused with three quarters of the teams.
pub fn at_three_quarters() -> Cluster {
    let steps = vec![Step::SetWeight { weight: 7_500 }, Step::Pause];
    let mut cluster = Cluster::wants(Plan { steps, ..canary() }, "r2");
    cluster.turns(6);
    assert_eq!(
        (cluster.weight(), cluster.paused()),
        (7_500, Some(PauseReason::Step))
    );
    cluster
}
