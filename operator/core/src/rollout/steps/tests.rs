use super::cluster::{BAD, Cluster, GOOD, QUIET, at, at_three_quarters, canary};
use super::*;
use crate::rollout::analysis::each_tripped;

#[test]
fn a_good_version_is_promoted_step_by_step() {
    let mut cluster = Cluster::wants(canary(), "r2");
    cluster.turn();
    cluster.until(Phase::Stable);
    assert_eq!(
        cluster.events,
        [
            "Began r2",
            "Weight 500",
            "Weight 2500",
            "Promoting r2",
            "Weight 10000",
            "Promoted r2"
        ]
    );
    assert_eq!(cluster.rollout.stable, "r2");
    assert_eq!(cluster.rollout.earlier, ["r1"]);
    assert_eq!(cluster.weight(), 0);
}

// Scenario 1.
#[test]
fn events_of_an_abort_a_retry_and_a_promotion() {
    let mut cluster = Cluster::wants(canary(), "r2");
    cluster.turns(4);
    cluster.ask(Verb::Abort).unwrap();
    cluster.until(Phase::Aborted).turns(20);
    let expected = [
        "Began r2",
        "Weight 500",
        "Aborting r2 Asked",
        "Weight 0",
        "Aborted r2",
    ];
    assert_eq!(cluster.events, expected);
    cluster.events.clear();
    cluster.ask(Verb::Retry).unwrap();
    assert_eq!(cluster.rollout.runs, 2, "other teams");
    cluster.until(Phase::Stable);
    let expected = [
        "Began r2",
        "Weight 500",
        "Weight 2500",
        "Promoting r2",
        "Weight 10000",
        "Promoted r2",
    ];
    assert_eq!(cluster.events, expected);
}

// Scenario 2.
#[test]
fn promote_full_works_at_a_pause_in_the_analysis_and_after_an_abort() {
    let at_a_pause = at_three_quarters();
    let mut in_analysis = Cluster::wants(canary(), "r2");
    in_analysis.turns(4);
    let mut aborted = Cluster::wants(canary(), "r2");
    aborted.counts = BAD;
    aborted.turn();
    aborted.until(Phase::Aborted);
    for mut cluster in [at_a_pause, in_analysis, aborted] {
        cluster.counts = QUIET;
        cluster.ask(Verb::PromoteFull).unwrap();
        cluster.until(Phase::Stable);
        assert_eq!(cluster.rollout.stable, "r2");
    }
}

#[test]
fn no_verdict_reverts_a_full_promotion() {
    let mut cluster = Cluster::wants(canary(), "r2");
    cluster.turns(4);
    assert!(cluster.weight() > 0);
    cluster.counts = BAD;
    cluster.ask(Verb::PromoteFull).unwrap();
    cluster.until(Phase::Stable);
    assert_eq!(cluster.rollout.stable, "r2");
}

// Scenario 3.
#[test]
fn an_abort_holds_the_weight_until_stable_has_capacity() {
    let mut cluster = at_three_quarters();
    cluster.stable_capacity = 2_500;
    cluster.ask(Verb::Abort).unwrap();
    cluster.turns(10);
    assert_eq!((cluster.weight(), cluster.canary_capacity()), (7_500, 7_500));
    assert_eq!(cluster.rollout.phase, Phase::Aborting);
    cluster.stable_capacity = 10_000;
    cluster.until(Phase::Aborted);
    assert_eq!((cluster.weight(), cluster.canary_capacity()), (0, 7_500));
    cluster.turns(1);
    assert_eq!(cluster.canary_capacity(), 7_500, "15 s after the last team");
    cluster.turns(1);
    assert_eq!(cluster.canary_capacity(), 0, "30 s after the last team");
}

// Scenarios 4 and 17.
#[test]
fn undo_holds_the_weight_until_stable_has_capacity_and_starts_no_run() {
    let mut cluster = at_three_quarters();
    cluster.stable_capacity = 2_500;
    cluster.ask(Verb::Undo { to: None }).unwrap();
    assert_eq!(cluster.desired, "r1");
    cluster.turns(10);
    assert_eq!(cluster.weight(), 7_500);
    cluster.stable_capacity = 10_000;
    cluster.until(Phase::Stable);
    assert_eq!((cluster.rollout.stable.as_str(), cluster.rollout.runs), ("r1", 1));
    cluster.turns(10);
    assert_eq!((cluster.rollout.phase, cluster.rollout.runs), (Phase::Stable, 1));
}

// Scenarios 5 and 7.
#[test]
fn a_rollback_within_the_window_has_no_analysis() {
    let plan = Plan {
        rollback_window: 1,
        retained: 1,
        ..canary()
    };
    let mut cluster = Cluster::wants(plan, "r2");
    cluster.turns(1).until(Phase::Stable);
    cluster.desired = String::from("r3");
    cluster.turns(1).until(Phase::Stable);
    assert_eq!(cluster.rollout.earlier, ["r2", "r1"]);
    assert_eq!(
        cluster.rollout.orders(&cluster.plan, at(0)).retained,
        ["r2"],
        "r1 is beyond the limit"
    );
    let runs = cluster.rollout.runs;
    cluster.ask(Verb::Undo { to: None }).unwrap();
    cluster.turns(1).until(Phase::Stable);
    assert_eq!(
        (cluster.rollout.stable.as_str(), cluster.rollout.runs),
        ("r2", runs)
    );
    cluster
        .ask(Verb::Undo {
            to: Some(String::from("r1")),
        })
        .unwrap();
    cluster.turns(1).until(Phase::Stable);
    assert_eq!(
        (cluster.rollout.stable.as_str(), cluster.rollout.runs),
        ("r1", runs + 1)
    );
    assert_eq!(cluster.rollout.earlier, ["r2", "r3"]);
}

// Scenarios 8 and 11.
#[test]
fn a_good_or_another_bad_version_may_follow_a_bad_one() {
    for (second, ends_on) in [(GOOD, "r3"), (BAD, "r1")] {
        for first in [BAD, GOOD] {
            let mut cluster = Cluster::wants(canary(), "r2");
            cluster.counts = first;
            cluster.turn();
            while !matches!(cluster.rollout.phase, Phase::Stable | Phase::Aborted) {
                assert_eq!(
                    cluster.rollout.orders(&cluster.plan, at(0)).stable_capacity,
                    10_000
                );
                cluster.turn();
            }
            let stable = cluster.rollout.stable.clone();
            assert_eq!(stable, if first == GOOD { "r2" } else { "r1" });
            cluster.desired = String::from("r3");
            cluster.counts = second;
            cluster.turn();
            while !matches!(cluster.rollout.phase, Phase::Stable | Phase::Aborted) {
                assert!(cluster.rollout.stable == stable);
                cluster.turn();
            }
            let expected = if second == GOOD { ends_on } else { stable.as_str() };
            assert_eq!(cluster.rollout.stable, expected);
        }
    }
}

// Scenario 9.
#[test]
fn an_inconclusive_analysis_pauses_the_rollout() {
    let mut cluster = Cluster::wants(canary(), "r2");
    cluster.counts = QUIET;
    cluster.turns(200);
    assert_eq!(cluster.paused(), Some(PauseReason::Inconclusive));
    assert_eq!(
        (cluster.rollout.phase, cluster.weight()),
        (Phase::Progressing, 2_500)
    );
    let mut decided = Cluster {
        rollout: cluster.rollout.clone(),
        plan: cluster.plan.clone(),
        events: Vec::new(),
        ..Cluster::wants(canary(), "r2")
    };
    decided.second = cluster.second;
    decided.counts = QUIET;
    decided.ask(Verb::Promote).unwrap();
    decided.until(Phase::Stable);
    assert_eq!(decided.rollout.stable, "r2", "a user decided");
    cluster.counts = BAD;
    cluster.until(Phase::Aborted);
    assert_eq!(
        cluster.events.last().unwrap(),
        "Aborted r2",
        "a pause is no shelter"
    );
}

// Scenarios 13 and 25.
#[test]
fn a_settled_rollout_does_not_change() {
    let mut paused = Cluster::wants(canary(), "r2");
    paused.turns(4);
    paused.counts = QUIET;
    paused.spec_paused = true;
    let still = |cluster: &mut Cluster| {
        let before = cluster.rollout.clone();
        cluster.turns(40);
        (before, cluster.rollout.clone())
    };
    let (before, after) = still(&mut paused);
    assert_eq!(
        (before.weight, before.phase, before.runs),
        (after.weight, after.phase, after.runs)
    );
    let mut aborted = Cluster::wants(canary(), "r2");
    aborted.counts = BAD;
    aborted.turns(1).until(Phase::Aborted).turns(4);
    let (before, after) = still(&mut aborted);
    assert_eq!(before, after);
    // More replicas change the capacity only.
    aborted.stable_capacity = 5_000;
    let (before, after) = still(&mut aborted);
    assert_eq!(
        (before, aborted.canary_capacity(), aborted.weight()),
        (after, 0, 0)
    );
    let mut never_begun = Cluster::wants(canary(), "r2");
    never_begun.spec_paused = true;
    let (before, after) = still(&mut never_begun);
    assert_eq!(before, after);
}

// Scenario 18.
#[test]
fn without_analysis_guards_still_roll_back() {
    for (guards, guard) in each_tripped() {
        let mut cluster = Cluster::wants(
            Plan {
                skip_analysis: true,
                ..canary()
            },
            "r2",
        );
        cluster.counts = None;
        cluster.turns(3);
        cluster.ask(Verb::Pause).unwrap();
        cluster.guards = guards;
        cluster.turn();
        assert!(
            cluster
                .events
                .contains(&format!("Aborting r2 {:?}", AbortCause::Guard(guard)))
        );
    }
    let mut good = Cluster::wants(
        Plan {
            skip_analysis: true,
            ..canary()
        },
        "r2",
    );
    good.counts = BAD;
    good.turns(1).until(Phase::Stable);
    assert_eq!(good.rollout.stable, "r2");
}

// Scenario 20.
#[test]
fn a_third_version_starts_once_all_teams_are_back() {
    let mut cluster = at_three_quarters();
    cluster.stable_capacity = 2_500;
    cluster.desired = String::from("r3");
    cluster.turns(5);
    assert_eq!(
        (cluster.rollout.phase, cluster.weight()),
        (Phase::Aborting, 7_500)
    );
    cluster.stable_capacity = 10_000;
    cluster.guards = Guards {
        crash_loop: true,
        ..Guards::default()
    };
    cluster.until(Phase::Aborted);
    cluster.turn();
    assert_eq!(
        cluster.events.last().unwrap(),
        "Began r3",
        "the guards were about r2"
    );
    cluster.guards = Guards::default();
    cluster.turns(4);
    assert_eq!(cluster.rollout.candidate.as_ref().unwrap().revision, "r3");
}

#[test]
fn a_changed_plan_continues_from_the_current_weight() {
    let mut cluster = at_three_quarters();
    cluster.ask(Verb::Promote).unwrap();
    cluster.ask(Verb::Pause).unwrap();
    cluster.plan = Plan::canary(&[1_000, 5_000, 9_000], 60);
    cluster.ask(Verb::Promote).unwrap();
    cluster.turn();
    cluster.events.clear();
    cluster.until(Phase::Stable);
    assert_eq!(
        cluster.events,
        ["Weight 9000", "Promoting r2", "Weight 10000", "Promoted r2"]
    );
}

#[test]
fn skipped_steps_have_no_effect() {
    let mut cluster = Cluster::wants(canary(), "r2");
    cluster.turn();
    cluster.ask(Verb::Skip).unwrap();
    cluster.ask(Verb::Skip).unwrap();
    cluster.until(Phase::Stable);
    assert!(
        !cluster.events.contains(&String::from("Weight 500")),
        "{:?}",
        cluster.events
    );
}

#[test]
fn missing_data_holds_the_rollout_until_data_returns() {
    let mut cluster = Cluster::wants(canary(), "r2");
    cluster.turns(4);
    cluster.counts = None;
    cluster.turns(120);
    assert_eq!(
        (cluster.rollout.phase, cluster.weight()),
        (Phase::Progressing, 500)
    );
    assert_eq!(cluster.paused(), None);
    cluster.counts = GOOD;
    cluster.until(Phase::Stable);
    assert_eq!(cluster.rollout.stable, "r2");
}

#[test]
fn no_team_moves_to_a_version_without_capacity() {
    let mut cluster = Cluster::wants(canary(), "r2");
    cluster.canary_stuck = true;
    cluster.counts = None;
    cluster.turns(40);
    assert_eq!((cluster.weight(), cluster.canary_capacity()), (0, 500));
    cluster.ask(Verb::PromoteFull).unwrap();
    cluster.turns(40);
    assert_eq!((cluster.weight(), cluster.rollout.stable.as_str()), (0, "r1"));
}

#[test]
fn reverting_the_spec_during_a_promotion_moves_the_teams_back() {
    let mut cluster = at_three_quarters();
    cluster.canary_stuck = true;
    cluster.ask(Verb::PromoteFull).unwrap();
    cluster.turns(2);
    assert_eq!(cluster.rollout.phase, Phase::Promoting);
    cluster.desired = String::from("r1");
    cluster.until(Phase::Stable);
    assert_eq!((cluster.rollout.stable.as_str(), cluster.weight()), ("r1", 0));
}

#[test]
fn a_version_desired_again_during_its_abort_starts_again() {
    let mut cluster = at_three_quarters();
    cluster.stable_capacity = 0;
    cluster.desired = String::from("r1");
    cluster.turn();
    cluster.desired = String::from("r2");
    cluster.stable_capacity = 10_000;
    cluster.turns(3);
    assert_eq!(
        (cluster.rollout.phase, cluster.rollout.runs),
        (Phase::Progressing, 2)
    );
}

#[test]
fn blue_green_rolling_and_ab_tests_are_plans() {
    let mut blue_green = Cluster::wants(Plan::blue_green(None, 120), "r2");
    blue_green.turns(6);
    assert_eq!((blue_green.weight(), blue_green.canary_capacity()), (0, 10_000));
    assert_eq!(blue_green.paused(), Some(PauseReason::Step));
    blue_green.ask(Verb::Promote).unwrap();
    blue_green.turns(3);
    assert_eq!(
        (blue_green.weight(), blue_green.rollout.stable.as_str()),
        (10_000, "r1")
    );
    blue_green.until(Phase::Stable);
    assert_eq!(blue_green.rollout.stable, "r2");

    let mut automatic = Cluster::wants(Plan::blue_green(Some(60), 0), "r2");
    automatic.turns(1).until(Phase::Stable);
    assert_eq!(automatic.rollout.stable, "r2");

    let mut rolling = Cluster::wants(Plan::rolling(), "r2");
    rolling.turns(1).until(Phase::Stable);
    assert_eq!(
        rolling.events,
        ["Began r2", "Promoting r2", "Weight 10000", "Promoted r2"]
    );

    let mut test = Cluster::wants(Plan::ab_test(5_000, 300), "r2");
    test.turns(60);
    assert_eq!((test.weight(), test.paused()), (5_000, Some(PauseReason::Step)));
    test.counts = BAD;
    test.until(Phase::Aborted);
}
