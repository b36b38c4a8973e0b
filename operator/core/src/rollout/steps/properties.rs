//! Properties of any sequence of observations and commands.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::{collection, prop_assert, prop_assert_eq};

use super::*;
use crate::rollout::analysis::{Arm, Increment, Judge, Policy};

#[derive(Clone, Debug)]
enum Input {
    Wants(u8),
    Ask(Verb),
    See {
        stable_capacity: u16,
        canary_capacity: u16,
        is_routed: bool,
        guards: Guards,
        bad: Option<u64>,
        seconds: i64,
    },
}

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let verbs = prop_oneof![
        Just(Verb::Promote),
        Just(Verb::PromoteFull),
        Just(Verb::Abort),
        Just(Verb::Retry),
        Just(Verb::Pause),
        Just(Verb::Skip),
        Just(Verb::Undo { to: None }),
        Just(Verb::Undo {
            to: Some(String::from("r1"))
        }),
    ];
    let share = || prop_oneof![Just(0_u16), 0..=10_000_u16, Just(10_000)];
    let guards = prop_oneof![
        8 => Just(Guards::default()),
        1 => Just(Guards { crash_loop: true, ..Guards::default() }),
    ];
    let bad = prop_oneof![Just(None), Just(Some(0)), Just(Some(1)), Just(Some(9))];
    let see = (
        share(),
        share(),
        prop::bool::weighted(0.8),
        guards,
        bad,
        0..400_i64,
    )
        .prop_map(
            |(stable_capacity, canary_capacity, is_routed, guards, bad, seconds)| Input::See {
                stable_capacity,
                canary_capacity,
                is_routed,
                guards,
                bad,
                seconds,
            },
        );
    let input = prop_oneof![1 => (1..5_u8).prop_map(Input::Wants), 2 => verbs.prop_map(Input::Ask), 8 => see];
    collection::vec(input, 1..120)
}

fn plans() -> impl Strategy<Value = Plan> {
    let plan = prop_oneof![
        collection::vec(0..=10_000_u16, 0..4).prop_map(|weights| Plan::canary(&weights, 60)),
        Just(Plan::blue_green(None, 60)),
        Just(Plan::blue_green(Some(30), 60)),
        Just(Plan::rolling()),
        Just(Plan::ab_test(5_000, 300)),
    ];
    (plan, 0..3_usize, any::<bool>()).prop_map(|(plan, rollback_window, skip_analysis)| Plan {
        rollback_window,
        skip_analysis,
        ..plan
    })
}

struct World {
    plan: Plan,
    judge: Judge,
    rollout: Rollout,
    desired: String,
    routed: u16,
    second: i64,
}

impl World {
    fn see(&mut self, input: &Input) {
        let Input::See {
            stable_capacity,
            canary_capacity,
            is_routed,
            guards,
            bad,
            seconds,
        } = input
        else {
            return;
        };
        self.second += seconds;
        if *is_routed {
            self.routed = self.rollout.weight;
        }
        let arm = |exposure, bad| Arm { exposure, bad };
        let sample = bad.map(|bad| Increment {
            canary: arm(10.0, bad),
            stable: arm(90.0, 9),
        });
        let look = Look {
            samples: BTreeMap::from([(String::from("errors"), sample)]),
            guards: Guards::default(),
        };
        let now = Timestamp::from_second(self.second).unwrap();
        let observed = Observed {
            desired: &self.desired,
            spec_paused: false,
            stable_capacity: *stable_capacity,
            canary_capacity: *canary_capacity,
            routed: self.routed,
            guards: guards.clone(),
            look: Some(look),
        };
        let (next, _) = advance(&self.plan, &self.judge, &self.rollout, &observed, now);
        self.rollout = next;
    }
}

proptest! {
    #[test]
    fn no_sequence_loses_the_stable_version(plan in plans(), inputs in inputs()) {
        let judge = Judge::new(Policy::new([String::from("errors")])).unwrap();
        let rollout = Rollout::stable_on("r1");
        let mut world = World { plan, judge, rollout, desired: String::from("r1"), routed: 0, second: 0 };
        for input in &inputs {
            let before = world.rollout.clone();
            let mut is_asked = false;
            match input {
                Input::Wants(n) => world.desired = format!("r{n}"),
                Input::Ask(verb) => {
                    let now = Timestamp::from_second(world.second).unwrap();
                    if let Ok(done) = command(&world.plan, &world.rollout, verb, now) {
                        world.rollout = done.rollout;
                        world.desired = done.desired.unwrap_or(world.desired);
                        is_asked = true;
                    }
                }
                Input::See { .. } => world.see(input),
            }
            let after = &world.rollout;
            prop_assert!(after.weight <= 10_000);
            let orders = after.orders(&world.plan, Timestamp::from_second(world.second).unwrap());
            prop_assert_eq!(orders.stable_capacity, 10_000);
            prop_assert_eq!(&orders.stable, &after.stable);
            prop_assert!(orders.canary_capacity >= orders.weight || after.phase == Phase::Stable);
            // Another version becomes stable only once it serves all teams.
            if after.stable != before.stable {
                prop_assert_eq!(before.phase == Phase::Promoting || before.phase == Phase::Progressing, true);
                prop_assert_eq!(before.candidate.as_ref().map(|c| &c.revision), Some(&after.stable));
                prop_assert_eq!((world.routed, after.weight), (10_000, 0));
                world.routed = 0;
            }
            // Teams move back only to a stable version with the capacity for them.
            if let Input::See { stable_capacity, .. } = input && after.weight < before.weight && after.stable == before.stable {
                prop_assert!(*stable_capacity >= 10_000 - after.weight);
            }
            // An aborted rollout stays aborted without a command or another desired version.
            if before.phase == Phase::Aborted && !is_asked && before.candidate.as_ref().is_some_and(|c| {
                c.revision == world.desired && c.aborted != Some(AbortCause::Superseded)
            }) {
                prop_assert_eq!(after, &before);
            }
            if matches!(after.phase, Phase::Stable | Phase::Aborted) {
                prop_assert_eq!(after.weight, 0);
            }
            prop_assert_eq!(after.candidate.is_none(), after.phase == Phase::Stable);
            let stored = serde_json::to_string(after).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Rollout>(&stored).unwrap(), after);
        }
    }

    /// Repeating an observation changes nothing more, except that one more step may follow.
    #[test]
    fn a_rollout_settles(plan in plans(), inputs in inputs()) {
        let judge = Judge::new(Policy::new([String::from("errors")])).unwrap();
        let rollout = Rollout::stable_on("r1");
        let mut world = World { plan, judge, rollout, desired: String::from("r1"), routed: 0, second: 0 };
        for input in &inputs {
            match input {
                Input::Wants(n) => world.desired = format!("r{n}"),
                Input::Ask(_) => {}
                Input::See { .. } => world.see(input),
            }
        }
        let still = Input::See {
            stable_capacity: 10_000, canary_capacity: 10_000, is_routed: true,
            guards: Guards::default(), bad: None, seconds: 0,
        };
        (0..40).for_each(|_| world.see(&still));
        let settled = world.rollout.clone();
        world.see(&still);
        prop_assert_eq!(world.rollout, settled);
    }
}
