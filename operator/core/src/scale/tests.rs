//! Decisions by table: one situation, one count, one reason.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use poker_operator_api::{Autoscaling, Component};
use serde_json::{Value, json};

use super::lead::Distribution;
use super::{Forecasts, Reason, Restraint, Sample, ScaleDecision, ScaleInput, ScaleMemory, decide};

/// A component that is decided on again and again; each decision is applied at once.
pub struct Scene {
    pub block: Autoscaling,
    pub current: i32,
    pub ready: i32,
    pub forecasts: Forecasts,
    pub memory: ScaleMemory,
    pub now: Timestamp,
}

impl Scene {
    pub fn new(block: Value, current: i32) -> Scene {
        Scene {
            block: serde_json::from_value(block).unwrap(),
            current,
            ready: current,
            forecasts: Forecasts::new(),
            memory: ScaleMemory::default(),
            now: "2026-11-23T08:00:00Z".parse().unwrap(),
        }
    }

    pub fn look(&self, samples: &BTreeMap<String, Sample>) -> ScaleDecision {
        decide(&ScaleInput {
            component: Component::Shard,
            current: self.current,
            ready: self.ready,
            block: &self.block,
            samples,
            forecasts: &self.forecasts,
            memory: &self.memory,
            now: self.now,
        })
    }

    pub fn step(&mut self, seconds: i64, samples: &BTreeMap<String, Sample>) -> ScaleDecision {
        self.now += SignedDuration::from_secs(seconds);
        let decision = self.look(samples);
        (self.current, self.ready) = (decision.replicas, decision.replicas);
        self.memory = decision.memory.clone();
        decision
    }

    /// Steps with one fresh value of `participants`.
    fn measure(&mut self, seconds: i64, participants: f64) -> ScaleDecision {
        let at = self.now + SignedDuration::from_secs(seconds);
        self.step(
            seconds,
            &BTreeMap::from([fresh("participants", participants, at)]),
        )
    }

    /// Steps with the load of the current count until a cold start is over.
    fn warm(mut self) -> Scene {
        self.measure(0, f64::from(self.current) * 1000.0);
        self
    }
}

pub fn fresh(name: &str, value: f64, at: Timestamp) -> (String, Sample) {
    (name.to_owned(), Sample::Fresh { value, at })
}

fn missing(name: &str) -> (String, Sample) {
    (
        name.to_owned(),
        Sample::Missing {
            why: "prometheus answered nothing".to_owned(),
        },
    )
}

fn participants(min: i32, max: i32) -> Value {
    json!({"minReplicas": min, "maxReplicas": max,
        "metrics": [{"builtin": "Participants", "target": {"averageValue": "1000"}}]})
}

fn without_windows(mut block: Value) -> Value {
    block["behavior"] = json!({"scaleDown": {"stabilizationWindowSeconds": 0}});
    block
}

#[test]
fn more_than_the_target_scales_out_and_says_so() {
    let mut scene = Scene::new(participants(1, 10), 3).warm();
    let decision = scene.measure(15, 3930.0);
    assert_eq!(
        (decision.replicas, decision.reason),
        (4, Reason::MetricAboveTarget)
    );
    assert_eq!(
        decision.message,
        "1,310 participants per shard exceed the target of 1,000: from 3 to 4 shards"
    );
    assert_eq!(decision.proposals[0].value.as_deref(), Some("3,930"));
    assert_eq!(decision.limited_by, None);
}

#[test]
fn near_the_target_nothing_changes() {
    let mut scene = Scene::new(participants(1, 10), 3).warm();
    let decision = scene.measure(15, 3270.0);
    assert_eq!((decision.replicas, decision.reason), (3, Reason::OnTarget));
    assert_eq!(
        decision.message,
        "1,090 participants per shard are near the target of 1,000: keeping 3 shards"
    );
}

#[test]
fn a_low_recommendation_must_last_before_scale_in() {
    let mut scene = Scene::new(participants(1, 10), 4).warm();
    let decision = scene.measure(15, 1500.0);
    assert_eq!((decision.replicas, decision.reason), (4, Reason::Stabilized));
    assert_eq!(decision.limited_by, Some(Restraint::ScaleInStabilization));
    assert!(
        decision
            .message
            .ends_with("keeping 4 shards; 2 asked for, held by higher recent recommendations")
    );
    for _ in 0..20 {
        scene.measure(15, 1500.0);
    }
    assert_eq!(scene.current, 2);
}

#[test]
fn policies_and_bounds_limit_and_say_so() {
    let mut scene = Scene::new(participants(1, 10), 3).warm();
    let decision = scene.measure(15, 9000.0);
    assert_eq!(
        (decision.replicas, decision.limited_by),
        (7, Some(Restraint::ScaleOutRate))
    );
    assert!(
        decision
            .message
            .ends_with("from 3 to 7 shards; 9 asked for, slowed by the scale-out policies")
    );
    assert_eq!(scene.measure(5, 9000.0).reason, Reason::Limited);
    let decision = scene.measure(15, 90_000.0);
    assert_eq!(
        (decision.replicas, decision.limited_by),
        (10, Some(Restraint::Maximum))
    );
}

#[test]
fn outside_the_bounds_the_bounds_decide_without_metrics() {
    let table = [
        (12, 10, Reason::AboveMaximum),
        (1, 2, Reason::BelowMinimum),
        (0, 2, Reason::BelowMinimum),
    ];
    for (current, replicas, reason) in table {
        let mut scene = Scene::new(participants(2, 10), current);
        let decision = scene.step(0, &BTreeMap::from([missing("participants")]));
        assert_eq!((decision.replicas, decision.reason), (replicas, reason));
    }
}

#[test]
fn a_cold_start_keeps_the_count_and_its_window() {
    let mut scene = Scene::new(participants(1, 10), 6);
    assert_eq!(scene.measure(0, 100.0).reason, Reason::ColdStart);
    assert_eq!(scene.measure(240, 100.0).replicas, 6);
    let mut scene = Scene::new(without_windows(participants(1, 10)), 6);
    assert_eq!(scene.measure(0, 100.0).replicas, 6);
    assert_eq!(scene.measure(15, 100.0).replicas, 1);
}

#[test]
fn paused_scale_in_holds_and_lets_scale_out_go_on() {
    let mut block = without_windows(participants(1, 10));
    block["pausedScaleIn"] = json!(true);
    let mut scene = Scene::new(block, 4).warm();
    let decision = scene.measure(15, 1000.0);
    assert_eq!((decision.replicas, decision.reason), (4, Reason::ScaleInPaused));
    assert_eq!(scene.measure(15, 6000.0).replicas, 6);
}

#[test]
fn nothing_is_scaled_in_without_every_sample() {
    let mut block = without_windows(participants(1, 20));
    let queue = json!({"promql": {"name": "queue", "query": "x"}, "target": {"averageValue": "10"}});
    block["metrics"].as_array_mut().unwrap().push(queue);
    // What the query gives, how many participants, and the count then asked for from 5.
    let table = [
        (missing("queue"), 1000.0, 5, Reason::MetricsUnavailable),
        (missing("queue"), 8000.0, 8, Reason::MetricAboveTarget),
        (
            (
                "queue".to_owned(),
                Sample::Stale {
                    at: Timestamp::UNIX_EPOCH,
                },
            ),
            1000.0,
            5,
            Reason::MetricsUnavailable,
        ),
        (
            fresh("queue", f64::NAN, Timestamp::UNIX_EPOCH),
            1000.0,
            5,
            Reason::MetricsUnavailable,
        ),
        (
            fresh("queue", f64::INFINITY, Timestamp::UNIX_EPOCH),
            1000.0,
            5,
            Reason::MetricsUnavailable,
        ),
        (
            fresh("queue", -1.0, Timestamp::UNIX_EPOCH),
            1000.0,
            5,
            Reason::MetricsUnavailable,
        ),
        (
            fresh("queue", 0.0, Timestamp::UNIX_EPOCH),
            1000.0,
            1,
            Reason::MetricsBelowTarget,
        ),
    ];
    for (queue, people, replicas, reason) in table {
        let mut scene = Scene::new(block.clone(), 5);
        let now = scene.now;
        scene.step(
            0,
            &BTreeMap::from([fresh("participants", 5000.0, now), fresh("queue", 50.0, now)]),
        );
        let decision = scene.step(
            15,
            &BTreeMap::from([fresh("participants", people, now), queue.clone()]),
        );
        assert_eq!(
            (decision.replicas, decision.reason),
            (replicas, reason),
            "{queue:?} {people}"
        );
    }
}

#[test]
fn after_an_outage_a_whole_window_must_pass() {
    let mut scene = Scene::new(participants(1, 10), 5).warm();
    scene.measure(15, 5000.0);
    for _ in 0..40 {
        let decision = scene.step(15, &BTreeMap::from([missing("participants")]));
        assert_eq!(
            (decision.replicas, decision.reason),
            (5, Reason::MetricsUnavailable)
        );
        assert!(
            decision.message.contains("prometheus answered nothing"),
            "{}",
            decision.message
        );
    }
    let decision = scene.measure(15, 900.0);
    assert_eq!(
        (decision.replicas, decision.reason),
        (5, Reason::MetricsUnavailable)
    );
    // And the fault shows in an averaged metric for a while.
    scene.measure(300 + 90 - 30, 900.0);
    assert_eq!(scene.current, 5);
    scene.measure(30, 900.0);
    assert_eq!(scene.current, 1);
}

#[test]
fn a_sudden_fall_must_last_before_anything_goes() {
    let mut block = participants(1, 10);
    let slow = json!([{"type": "Pods", "value": 1, "periodSeconds": 15}]);
    block["behavior"] = json!({"scaleDown": {"stabilizationWindowSeconds": 60, "policies": slow}});
    // Participants every 15 s, and the shards asked for: a scale-in that is on its way goes on with what
    // leaves slowly, and stops for the window of a minute where a quarter leaves at once.
    let slowly = [
        (2000.0, 8),
        (2000.0, 8),
        (2000.0, 8),
        (2000.0, 7),
        (1850.0, 6),
        (1700.0, 5),
        (1550.0, 4),
    ];
    let suddenly = [
        (2000.0, 8),
        (2000.0, 8),
        (2000.0, 8),
        (2000.0, 7),
        (1500.0, 7),
        (1500.0, 7),
        (1500.0, 7),
        (1500.0, 6),
    ];
    for story in [&slowly[..], &suddenly] {
        let mut scene = Scene::new(block.clone(), 8).warm();
        for (i, (people, shards)) in story.iter().enumerate() {
            let decision = scene.measure(15, *people);
            assert_eq!(
                decision.replicas, *shards,
                "{i} of {story:?}: {}",
                decision.message
            );
            let is_held = *people == 1500.0 && *shards == 7;
            assert_eq!(
                decision.limited_by == Some(Restraint::SuddenFall),
                is_held,
                "{i} of {story:?}"
            );
        }
    }
}

#[test]
fn nothing_goes_on_a_sample_that_was_not_renewed() {
    let mut scene = Scene::new(participants(1, 10), 5).warm();
    for people in [4560.0, 4150.0] {
        scene.measure(15, people);
    }
    let at = scene.now + SignedDuration::from_secs(15);
    let low = BTreeMap::from([fresh("participants", 3800.0, at)]);
    // The same sample again and again, past the window of the higher ones, until it would be stale.
    for _ in 0..40 {
        let decision = scene.step(15, &low);
        assert_eq!(decision.replicas, 5, "{}", decision.message);
    }
    let decision = scene.measure(15, 3800.0);
    assert_eq!(decision.replicas, 4, "{}", decision.message);
}

#[test]
fn a_burst_is_not_slowed_and_lingers() {
    let mut block = without_windows(participants(1, 50));
    block["behavior"]["scaleUp"] = json!({"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]});
    block["panic"] = json!({});
    let mut scene = Scene::new(block, 4).warm();
    let decision = scene.measure(15, 20_000.0);
    assert_eq!((decision.replicas, decision.reason), (20, Reason::Burst));
    assert_eq!(
        decision.message,
        "burst of 20,000 participants: from 4 to 20 shards"
    );
    let decision = scene.measure(15, 2000.0);
    assert_eq!((decision.replicas, decision.reason), (20, Reason::Burst));
    let decision = scene.measure(60, 2000.0);
    assert_eq!(
        (decision.replicas, decision.reason),
        (2, Reason::MetricsBelowTarget)
    );
    assert_eq!(scene.memory.burst_at, None);
}

#[test]
fn a_schedule_lifts_the_minimum_while_it_lasts() {
    let mut block = participants(1, 10);
    block["schedules"] = json!([{"name": "daily", "cron": "5 8 * * 1-5", "durationMinutes": 30,
        "minReplicas": 6}]);
    let mut scene = Scene::new(block, 2).warm();
    let decision = scene.measure(290, 2000.0);
    assert_eq!((decision.replicas, decision.look_again_after.as_secs()), (2, 10));
    let decision = scene.measure(10, 2000.0);
    assert_eq!((decision.replicas, decision.reason), (6, Reason::Schedule));
    assert_eq!(
        decision.message,
        "schedule daily asks for at least 6: from 2 to 6 shards"
    );
    let decision = scene.measure(600, 2000.0);
    assert_eq!(
        (decision.replicas, decision.limited_by),
        (6, Some(Restraint::Minimum))
    );
    assert_eq!(scene.measure(1200, 2000.0).replicas, 2);
}

#[test]
fn a_value_target_never_scales_in_under_load_while_replicas_start() {
    let mut block = without_windows(participants(1, 50));
    block["metrics"] = json!([{"promql": {"name": "latency", "query": "x"}, "target": {"value": "500m"}}]);
    // Ready of 10, latency, and the count then asked for.
    for (ready, latency, replicas) in [
        (10, 1.0, 20),
        (3, 1.0, 10),
        (0, 1.0, 10),
        (10, 0.1, 2),
        (0, 0.1, 10),
    ] {
        let mut scene = Scene::new(block.clone(), 10);
        let now = scene.now;
        scene.step(0, &BTreeMap::from([fresh("latency", 0.5, now)]));
        scene.ready = ready;
        let decision = scene.step(15, &BTreeMap::from([fresh("latency", latency, now)]));
        assert_eq!(decision.replicas, replicas, "{ready} ready, latency {latency}");
    }
}

#[test]
fn while_none_is_ready_nothing_is_scaled_in() {
    let mut scene = Scene::new(without_windows(participants(1, 10)), 4).warm();
    scene.ready = 0;
    assert_eq!(scene.measure(15, 0.0).reason, Reason::NoneReady);
    assert_eq!(scene.current, 4);
}

fn predictive(mode: &str) -> Value {
    let mut block = without_windows(participants(1, 50));
    block["predictive"] = json!({"mode": mode, "headroomPercent": 50});
    block
}

/// Warm without, then with the predictive block.
fn warm(current: i32, mode: &str) -> Scene {
    let mut scene = Scene::new(without_windows(participants(1, 50)), current).warm();
    scene.block = serde_json::from_value(predictive(mode)).unwrap();
    scene
}

/// A forecast of 100 to 1,000 times `unit`.
fn expect(scene: &mut Scene, unit: f64, seconds: i64) {
    let levels = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0].map(|n| n * unit);
    let at = scene.now + SignedDuration::from_secs(seconds);
    let forecast = Distribution {
        at,
        levels,
        skilled: true,
    };
    scene.forecasts = Forecasts::from([("participants".to_owned(), forecast)]);
}

#[test]
fn a_forecast_adds_replicas_and_says_so() {
    let mut scene = warm(4, "On");
    expect(&mut scene, 800.0, 15);
    let decision = scene.measure(15, 4000.0);
    assert_eq!((decision.replicas, decision.reason), (6, Reason::Forecast));
    assert_eq!(
        decision.message,
        "up to 4,800 participants expected: from 4 to 6 shards"
    );
    assert_eq!(decision.proposals[1].name, "forecast/participants");
    assert_eq!(decision.proposals[1].replicas, Some(6));
}

#[test]
fn a_forecast_of_less_changes_nothing() {
    let mut scene = warm(4, "On");
    expect(&mut scene, 100.0, 15);
    let decision = scene.measure(15, 4000.0);
    assert_eq!((decision.replicas, decision.reason), (4, Reason::OnTarget));
}

#[test]
fn without_a_forecast_headroom_stands_in() {
    let mut scene = warm(4, "On");
    let decision = scene.measure(15, 4000.0);
    assert_eq!((decision.replicas, decision.reason), (6, Reason::Forecast));
    assert_eq!(
        decision.message,
        "6,000 participants with headroom, there is no forecast: from 4 to 6 shards"
    );
    expect(&mut scene, 800.0, -600);
    let decision = scene.measure(15, 4000.0);
    assert_eq!(
        decision.proposals[1].name, "headroom/participants",
        "an old forecast is none"
    );
}

#[test]
fn a_preview_shows_and_does_nothing() {
    for mode in ["Preview", "Off"] {
        let mut scene = warm(4, mode);
        expect(&mut scene, 800.0, 15);
        let decision = scene.measure(15, 4000.0);
        assert_eq!(
            (decision.replicas, decision.reason),
            (4, Reason::OnTarget),
            "{mode}"
        );
        let preview = decision.proposals.get(1).map(|p| (p.name.as_str(), p.replicas));
        let shown = (mode == "Preview").then_some(("preview/participants", Some(6)));
        assert_eq!(preview, shown);
    }
}

#[test]
fn a_forecast_scales_nothing_without_the_metric() {
    let mut scene = warm(4, "On");
    expect(&mut scene, 800.0, 15);
    let decision = scene.step(15, &BTreeMap::from([missing("participants")]));
    assert_eq!(
        (decision.replicas, decision.reason),
        (4, Reason::MetricsUnavailable)
    );
}

#[test]
fn a_forecast_that_is_lost_holds_scale_in_for_a_while() {
    let mut scene = warm(8, "On");
    expect(&mut scene, 800.0, 15);
    assert_eq!(scene.measure(15, 4000.0).replicas, 6);
    scene.forecasts.clear();
    let decision = scene.measure(60, 1000.0);
    assert_eq!(
        (decision.replicas, decision.limited_by),
        (6, Some(Restraint::MissingMetrics))
    );
    assert_eq!(scene.measure(900, 1000.0).replicas, 2, "then headroom decides");
}
