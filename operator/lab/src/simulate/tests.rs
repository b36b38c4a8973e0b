//! Small simulations with a known result, and faults.

use jiff::{SignedDuration, Timestamp};
use poker_operator_api::Autoscaling;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::simulate::demand::TraceError;

fn demand(values: impl IntoIterator<Item = f64>, spacing: i64) -> Demand {
    let at = |i: usize| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(i as i64 * spacing);
    let points: Vec<_> = values
        .into_iter()
        .enumerate()
        .map(|(i, value)| (at(i), value))
        .collect();
    Demand::new(&points, 1.0).unwrap()
}

fn setup() -> Setup {
    Setup {
        capacity: 100.0,
        start_seconds: 60,
        resize_seconds: None,
        drain_seconds: 0,
        window_seconds: 60,
        late_seconds: 15,
        scrape_seconds: 5,
        tick_seconds: 5,
        history_seconds: 0,
        fault: None,
        grace_windows: 1,
        missing_as_zero: false,
        no_anomaly_guard: false,
    }
}

fn block(window: i32) -> Autoscaling {
    serde_json::from_value(json!({
        "minReplicas": 1, "maxReplicas": 50,
        "metrics": [{"builtin": "Participants", "target": {"averageValue": "100"}}],
        "behavior": {
            "scaleUp": {"tolerance": "0"},
            "scaleDown": {"tolerance": "0", "stabilizationWindowSeconds": window},
        },
    }))
    .unwrap()
}

proptest! {
    #[test]
    fn any_points_are_valid_demand_or_an_error(
        points in prop::collection::vec((-9_000..9_000_i64, prop_oneof![0.0..9.0, any::<f64>()]), 0..30),
        rising in any::<bool>(),
        factor in prop_oneof![0.0..9.0, any::<f64>()],
    ) {
        let mut points: Vec<_> = points.into_iter().map(|(s, value)| (Timestamp::from_second(s).unwrap(), value)).collect();
        if rising {
            points.sort_by_key(|(at, _)| *at);
            points.dedup_by_key(|(at, _)| *at);
        }
        if let Ok(demand) = Demand::new(&points, factor) {
            let length = points[points.len() - 1].0.duration_since(points[0].0).as_secs();
            prop_assert_eq!(demand.second(demand.steps() - 1), length - length % demand.step_seconds());
            prop_assert!((0..demand.steps()).all(|step| demand.at(step).is_finite() && demand.at(step) >= 0.0));
        }
    }

    #[test]
    fn only_the_name_of_a_fault_parses(text in "[a-z0-9]{0,9}|.{0,20}") {
        let known = Fault::ALL.iter().any(|fault| fault.as_str() == text);
        prop_assert_eq!(text.parse::<Fault>().is_ok(), known);
    }
}

#[test]
fn decisions_fall_on_steps_at_any_spacing_of_values() {
    for (spacing, step) in [(1, 1), (2, 1), (3, 1), (4, 1), (5, 5), (7, 5), (60, 5)] {
        assert_eq!(demand([1.0; 9], spacing).step_seconds(), step, "{spacing}");
    }
}

#[test]
fn steady_demand_costs_as_much_as_the_oracle() {
    let run = run(&demand([250.0; 600], 5), &block(120), &setup(), None, false);
    let score = run.score;
    assert_eq!((score.cost_ratio, score.tau_u, score.tau_o), (1.0, 0.0, 0.0));
    assert_eq!(
        (score.actions, score.instability, score.worst_backlog),
        (0, 0.0, 0.0)
    );
    assert_eq!(score.hours, 600.0 * 5.0 / 3_600.0);
}

#[test]
fn a_rise_is_underprovisioned_until_the_metric_shows_it_and_a_replica_has_started() {
    // From 100 to 200 within 5 s after 300 s: the metric exceeds 100 from 20 s after the last value of 100 on (15 s late,
    // one step of the rise), and replicas serve 60 s later.
    let values = (0..600).map(|i| if i <= 60 { 100.0 } else { 200.0 });
    let score = run(&demand(values, 5), &block(120), &setup(), None, false).score;
    let below = score.tau_u / 100.0 * 600.0 * 5.0;
    assert_eq!(below.round(), 75.0);
    assert_eq!((score.actions, score.reversals), (1, 0));
    assert!(
        (score.theta_u - score.tau_u / 2.0).abs() < 1e-9,
        "half of the demand is not served"
    );
    assert_eq!(score.worst_backlog, 75.0);
    assert_eq!(score.sessions_moved, 0.5);
}

#[test]
fn starting_and_draining_replicas_cost() {
    let values: Vec<f64> = (0..600)
        .map(|i| if (100..200).contains(&i) { 200.0 } else { 100.0 })
        .collect();
    let hours = |start_seconds, drain_seconds| {
        let setup = Setup {
            start_seconds,
            drain_seconds,
            ..setup()
        };
        run(&demand(values.clone(), 5), &block(120), &setup, None, false)
            .score
            .replica_hours
    };
    assert_eq!(hours(60, 0), hours(0, 0), "a start costs from the decision on");
    assert!((hours(60, 300) - hours(60, 0) - 300.0 / 3_600.0).abs() < 1e-9);
}

#[test]
fn a_resize_serves_sooner_than_a_start_and_moves_no_session() {
    let values = (0..600).map(|i| if i <= 60 { 200.0 } else { 330.0 });
    let sized = Setup {
        resize_seconds: Some(10),
        ..setup()
    };
    let demand = demand(values, 5);
    let (whole, sized) = (
        run(&demand, &block(120), &setup(), None, false),
        run(&demand, &block(120), &sized, None, false),
    );
    let below = |run: &Run| (run.score.tau_u / 100.0 * 600.0 * 5.0).round();
    assert_eq!(whole.desired.last(), Some(&Replicas::standard(4)));
    let replicas = sized.desired.last().unwrap();
    assert!(
        replicas.count == 2 && (1.65..1.66).contains(&replicas.size),
        "{replicas:?}"
    );
    assert!(
        below(&whole) - below(&sized) >= 30.0,
        "{} {}",
        below(&whole),
        below(&sized)
    );
    assert_eq!(sized.score.sessions_moved, 0.0);
    assert!(sized.score.cost_ratio < whole.score.cost_ratio);
}

#[test]
fn history_is_not_scored() {
    let values = (0..1_200).map(|i| {
        if i < 600 {
            100.0 * f64::from(1 + i % 7)
        } else {
            100.0
        }
    });
    let history = Setup {
        history_seconds: 700 * 5,
        ..setup()
    };
    let run = run(&demand(values, 5), &block(0), &history, None, false);
    assert_eq!((run.score.actions, run.score.cost_ratio), (0, 1.0));
    assert_eq!(run.desired.len(), 1_200);
}

#[test]
fn a_policy_that_forecasts_learns_from_the_history() {
    let minute = |i: i64| if (5..8).contains(&(i % 60)) { 700.0 } else { 250.0 };
    let demand = demand((0..3 * 1_440).map(minute), 60);
    let setup = Setup {
        history_seconds: 2 * 86_400,
        ..setup()
    };
    let reactive = run(&demand, &block(120), &setup, None, false).score;
    let mut block = block(120);
    block.predictive = Some(serde_json::from_value(json!({"leadSeconds": 120})).unwrap());
    let forecast = run(&demand, &block, &setup, None, true);
    assert!(reactive.tau_u > 3.0, "{reactive:?}");
    assert!(forecast.score.tau_u < 0.1, "{:?}", forecast.score);
    assert!(forecast.points.iter().any(|point| point.forecast.is_some()));
}

/// Three hours with a wave and some noise, of which the last two are scored.
fn waves() -> Demand {
    demand(
        (0..180).map(|i| 600.0 + 150.0 * (f64::from(i) / 9.0).sin() + f64::from(i * 37 % 11)),
        60,
    )
}

fn scale_ins(fault: Fault, missing_as_zero: bool) -> u64 {
    let healthy_setup = Setup {
        history_seconds: 3_600,
        missing_as_zero,
        ..setup()
    };
    let healthy = run(&waves(), &block(120), &healthy_setup, None, false);
    let faulty = Setup {
        fault: Some(fault),
        ..healthy_setup
    };
    run(&waves(), &block(120), &faulty, Some(&healthy), false)
        .score
        .scale_ins_on_fault
}

#[test]
fn no_fault_causes_a_scale_in() {
    for fault in Fault::ALL {
        assert_eq!(scale_ins(fault, false), 0, "{fault:?}");
    }
}

#[test]
fn a_reset_that_hides_a_peak_causes_no_scale_in() {
    for period in [24, 48] {
        let saw = demand(
            (0..720).map(|i| 333.0 + 1_667.0 * f64::from(i % period) / f64::from(period)),
            5,
        );
        let healthy = run(&saw, &block(180), &setup(), None, false);
        let faulty = Setup {
            fault: Some(Fault::Reset),
            ..setup()
        };
        let score = run(&saw, &block(180), &faulty, Some(&healthy), false).score;
        assert_eq!(score.scale_ins_on_fault, 0, "{period}");
    }
}

#[test]
fn a_reset_that_a_rise_hides_causes_no_scale_in() {
    // The first fault begins after twenty minutes, during the rise.
    let values = (0..720).map(|i| match i {
        ..200 => 1_500.0,
        200..228 => 10.0,
        228..248 => 200.0 * f64::from(i - 227),
        _ => 4_000.0,
    });
    let ramp = demand(values, 5);
    let healthy = run(&ramp, &block(180), &setup(), None, false);
    let faulty = Setup {
        fault: Some(Fault::Reset),
        ..setup()
    };
    let score = run(&ramp, &block(180), &faulty, Some(&healthy), false).score;
    assert_eq!(score.scale_ins_on_fault, 0);
}

#[test]
fn scale_ins_of_a_policy_that_treats_missing_samples_as_zero_are_detected() {
    let found: Vec<&str> = Fault::ALL
        .into_iter()
        .filter(|f| scale_ins(*f, true) > 0)
        .map(Fault::as_str)
        .collect();
    // The other faults deliver values, or have gaps shorter than the scale-in window.
    assert_eq!(
        found,
        ["empty", "nan", "inf", "stale", "5xx", "slow", "partial", "flood"]
    );
}

#[test]
fn a_fault_reaches_beyond_its_end_by_the_grace_windows() {
    let at = |grace_windows, after_end| {
        let fault = Setup {
            fault: Some(Fault::Stale),
            grace_windows,
            ..setup()
        };
        let windows = FaultWindows::new(&fault, &waves());
        let end = (0..3_600).rfind(|second| windows.is_inside(*second)).unwrap() + 1;
        windows.reaches(end + after_end, &fault, 120)
    };
    for (grace_windows, after_end, expected) in [
        (0, -1, true),
        (0, 0, false),
        (1, 119, true),
        (1, 120, false),
        (2, 239, true),
        (2, 240, false),
    ] {
        assert_eq!(
            at(grace_windows, after_end),
            expected,
            "{grace_windows} windows, {after_end} s"
        );
    }
}

#[test]
fn fault_names_round_trip() {
    for fault in Fault::ALL {
        assert_eq!(fault.as_str().parse(), Ok(fault));
    }
    assert!("other".parse::<Fault>().is_err());
}

#[test]
fn invalid_demand_is_rejected() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let table = [
        (vec![(at(0), 1.0)], TraceError::TooShort(1)),
        (vec![(at(0), 1.0), (at(0), 1.0)], TraceError::NotRising(at(0))),
        (
            vec![(at(0), 1.0), (at(i64::from(i32::MAX)), 1.0)],
            TraceError::TooLong,
        ),
        (
            vec![(at(0), 1.0), (at(1), -1.0)],
            TraceError::NotDemand {
                at: at(1),
                value: -1.0,
            },
        ),
    ];
    for (points, expected) in table {
        assert_eq!(Demand::new(&points, 1.0), Err(expected));
    }
}

#[test]
fn demand_is_interpolated_and_its_mean_is_late() {
    let demand = demand([0.0, 60.0, 0.0], 60);
    assert_eq!((demand.steps(), demand.at(6), demand.at(18)), (25, 30.0, 30.0));
    assert_eq!(demand.mean(60, 15), (50.0 + 55.0 + 60.0) / 3.0);
    assert_eq!(demand.mean(0, 60), 0.0);
}
