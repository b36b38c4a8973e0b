//! Decisions with known answers.

mod faults;
mod forecast;
mod holds;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use poker_operator_api::{Autoscaling, Component};
use serde_json::{Value, json};

use super::{Forecasts, Reason, Restraint, Sample, ScaleDecision, ScaleInput, ScaleMemory, decide};

/// A component with a series of decisions, each of which is applied at once.
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

    pub fn decide(&self, samples: &BTreeMap<String, Sample>) -> ScaleDecision {
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
        let decision = self.decide(samples);
        (self.current, self.ready) = (decision.replicas, decision.replicas);
        self.memory = decision.memory.clone();
        decision
    }

    /// Decides with one fresh value of `participants`.
    fn measure(&mut self, seconds: i64, participants: f64) -> ScaleDecision {
        let at = self.now + SignedDuration::from_secs(seconds);
        self.step(
            seconds,
            &BTreeMap::from([fresh("participants", participants, at)]),
        )
    }

    /// Decides once with the load of the current count, which ends the cold start.
    fn warm(mut self) -> Scene {
        self.measure(0, f64::from(self.current) * 1000.0);
        self
    }
}

pub fn fresh(name: &str, value: f64, at: Timestamp) -> (String, Sample) {
    (name.to_owned(), Sample::fresh(value, at))
}

fn missing(name: &str) -> (String, Sample) {
    (name.to_owned(), Sample::missing("the query gives no value"))
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
fn load_above_the_target_scales_out() {
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
fn load_near_the_target_changes_nothing() {
    let mut scene = Scene::new(participants(1, 10), 3).warm();
    let decision = scene.measure(15, 3270.0);
    assert_eq!((decision.replicas, decision.reason), (3, Reason::OnTarget));
    assert_eq!(
        decision.message,
        "1,090 participants per shard are near the target of 1,000: keeping 3 shards"
    );
}

#[test]
fn scale_in_waits_for_the_stabilization_window() {
    let mut scene = Scene::new(participants(1, 10), 4).warm();
    let decision = scene.measure(15, 1500.0);
    assert_eq!((decision.replicas, decision.reason), (4, Reason::Stabilized));
    assert_eq!(decision.limited_by, Some(Restraint::ScaleInStabilization));
    assert!(
        decision
            .message
            .ends_with("keeping 4 shards; 2 recommended, held by higher recent recommendations")
    );
    for _ in 0..20 {
        scene.measure(15, 1500.0);
    }
    assert_eq!(scene.current, 2);
}

#[test]
fn policies_and_bounds_limit_scale_out() {
    let mut scene = Scene::new(participants(1, 10), 3).warm();
    let decision = scene.measure(15, 9000.0);
    assert_eq!(
        (decision.replicas, decision.limited_by),
        (7, Some(Restraint::ScaleOutRate))
    );
    assert!(
        decision
            .message
            .ends_with("from 3 to 7 shards; 9 recommended, slowed by the scale-out policies")
    );
    assert_eq!(scene.measure(5, 9000.0).reason, Reason::Limited);
    let decision = scene.measure(15, 90_000.0);
    assert_eq!(
        (decision.replicas, decision.limited_by),
        (10, Some(Restraint::Maximum))
    );
}

#[test]
fn a_count_outside_the_bounds_moves_to_them_without_metrics() {
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
fn a_cold_start_keeps_the_count_for_its_window() {
    let mut scene = Scene::new(participants(1, 10), 6);
    assert_eq!(scene.measure(0, 100.0).reason, Reason::ColdStart);
    assert_eq!(scene.measure(240, 100.0).replicas, 6);
    let mut scene = Scene::new(without_windows(participants(1, 10)), 6);
    assert_eq!(scene.measure(0, 100.0).replicas, 6);
    assert_eq!(scene.measure(15, 100.0).replicas, 1);
}

#[test]
fn paused_scale_in_does_not_pause_scale_out() {
    let mut block = without_windows(participants(1, 10));
    block["pausedScaleIn"] = json!(true);
    let mut scene = Scene::new(block, 4).warm();
    let decision = scene.measure(15, 1000.0);
    assert_eq!((decision.replicas, decision.reason), (4, Reason::ScaleInPaused));
    assert_eq!(scene.measure(15, 6000.0).replicas, 6);
}

#[test]
fn panic_ignores_policies_and_holds_for_its_stable_time() {
    let mut block = without_windows(participants(1, 50));
    block["behavior"]["scaleUp"] = json!({"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]});
    block["panic"] = json!({});
    let mut scene = Scene::new(block, 4).warm();
    let decision = scene.measure(15, 20_000.0);
    assert_eq!((decision.replicas, decision.reason), (20, Reason::Panic));
    assert_eq!(
        decision.message,
        "panic window average of 20,000 participants: from 4 to 20 shards"
    );
    let decision = scene.measure(15, 2000.0);
    assert_eq!((decision.replicas, decision.reason), (20, Reason::Panic));
    let decision = scene.measure(60, 2000.0);
    assert_eq!(
        (decision.replicas, decision.reason),
        (2, Reason::MetricsBelowTarget)
    );
    assert_eq!(scene.memory.panic_at, None);
}

#[test]
fn a_schedule_raises_the_minimum_while_it_lasts() {
    let mut block = participants(1, 10);
    block["schedules"] = json!([{"name": "daily", "cron": "5 8 * * 1-5", "durationMinutes": 30,
        "minReplicas": 6}]);
    let mut scene = Scene::new(block, 2).warm();
    let decision = scene.measure(290, 2000.0);
    assert_eq!((decision.replicas, decision.requeue_after.as_secs()), (2, 10));
    let decision = scene.measure(10, 2000.0);
    assert_eq!((decision.replicas, decision.reason), (6, Reason::Schedule));
    assert_eq!(
        decision.message,
        "schedule daily requires at least 6: from 2 to 6 shards"
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
    // Ready replicas out of 10, latency, and the resulting count.
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
fn nothing_is_scaled_in_while_no_replica_is_ready() {
    let mut scene = Scene::new(without_windows(participants(1, 10)), 4).warm();
    scene.ready = 0;
    assert_eq!(scene.measure(15, 0.0).reason, Reason::NoneReady);
    assert_eq!(scene.current, 4);
}
