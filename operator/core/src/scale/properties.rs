//! Properties of decisions for any block and any load.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use poker_operator_api::Autoscaling;
use proptest::prelude::*;
use proptest::{collection, option, prop_assert, prop_assert_eq};
use serde_json::{Value, json};

use super::demand_forecast::Distribution;
use super::hpa::history::History;
use super::hpa::stabilize;
use super::limits::{PANIC_SAMPLES_COUNT_MAX, RECOMMENDATIONS_COUNT_MAX, SCALE_EVENTS_COUNT_MAX};
use super::tests::Scene;
use super::{Forecasts, Sample, ScaleMemory};

const REPLICAS_MAX: i32 = 30;

fn policies() -> impl Strategy<Value = Value> {
    let policy = (prop_oneof!["Pods", "Percent"], 1..200, 5..60)
        .prop_map(|(kind, value, period)| json!({"type": kind, "value": value, "periodSeconds": period}));
    let rules = (0..300, prop_oneof!["Max", "Min"], collection::vec(policy, 1..3)).prop_map(
        |(window, select, policies)| {
            json!({"stabilizationWindowSeconds": window, "selectPolicy": select, "policies": policies})
        },
    );
    (option::of(rules.clone()), option::of(rules)).prop_map(|(up, down)| {
        let mut behavior = json!({});
        if let Some(up) = up {
            behavior["scaleUp"] = up;
        }
        if let Some(down) = down {
            behavior["scaleDown"] = down;
        }
        behavior
    })
}

/// A block with the metrics `participants` (per replica) and `queue` (per replica or total).
fn blocks() -> impl Strategy<Value = Value> {
    (
        1..REPLICAS_MAX,
        1..REPLICAS_MAX,
        option::of(policies()),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(a, b, behavior, panic, by_value)| {
            let queue = if by_value {
                json!({"value": "100"})
            } else {
                json!({"averageValue": "10"})
            };
            let mut block = json!({
                "minReplicas": a.min(b), "maxReplicas": a.max(b),
                "metrics": [
                    {"builtin": "Participants", "target": {"averageValue": "1000"}},
                    {"promql": {"name": "queue", "query": "x"}, "target": queue},
                ],
            });
            if let Some(behavior) = behavior {
                block["behavior"] = behavior;
            }
            if panic {
                block["panic"] = json!({});
            }
            block
        })
}

/// The value of one metric; `None` is missing.
type Known = Option<f64>;

fn known(largest: u32) -> impl Strategy<Value = Known> {
    prop_oneof![4 => (0..largest).prop_map(|v| Some(f64::from(v))), 1 => Just(None)]
}

fn loads() -> impl Strategy<Value = Vec<(i64, Known, Known)>> {
    collection::vec((1_i64..60, known(60_000), known(600)), 1..40)
}

fn samples(participants: Known, queue: Known, at: Timestamp) -> BTreeMap<String, Sample> {
    let sample = |value: Known| match value {
        Some(value) => Sample::fresh(value, at),
        None => Sample::missing("gone"),
    };
    BTreeMap::from([
        ("participants".to_owned(), sample(participants)),
        ("queue".to_owned(), sample(queue)),
    ])
}

/// The start may be below the minimum, as after a manual change.
fn scene(block: &Value, start: i32) -> Scene {
    let mut scene = Scene::new(block.clone(), start);
    scene.current = start.min(scene.block.max_replicas);
    scene.ready = scene.current;
    scene
}

fn step(scene: &mut Scene, (seconds, participants, queue): (i64, Known, Known)) -> super::ScaleDecision {
    let at = scene.now + SignedDuration::from_secs(seconds);
    scene.step(seconds, &samples(participants, queue, at))
}

proptest! {
    #[test]
    fn every_decision_is_bounded_and_never_scales_in_on_missing(
        block in blocks(), start in 0..REPLICAS_MAX, loads in loads(),
    ) {
        let mut scene = scene(&block, start);
        for load in loads {
            let before = scene.current;
            let decision = step(&mut scene, load);
            prop_assert!(decision.replicas >= scene.block.min_replicas);
            prop_assert!(decision.replicas <= scene.block.max_replicas);
            if load.1.is_none() || load.2.is_none() {
                prop_assert!(decision.replicas >= before, "{}", decision.message);
            }
        }
    }

    #[test]
    fn more_load_never_gives_fewer_replicas(
        block in blocks(), start in 0..REPLICAS_MAX, loads in loads(),
        low in 0_u32..60_000, more in 0_u32..60_000, queue in known(600), ready in 0..REPLICAS_MAX,
    ) {
        let mut scene = scene(&block, start);
        for load in loads {
            step(&mut scene, load);
        }
        scene.ready = ready;
        scene.now += SignedDuration::from_secs(15);
        let (low, high) = (f64::from(low), f64::from(low) + f64::from(more));
        let few = scene.decide(&samples(Some(low), queue, scene.now));
        let many = scene.decide(&samples(Some(high), queue, scene.now));
        prop_assert!(few.replicas <= many.replicas, "{} / {}", few.message, many.message);
        let few = scene.decide(&samples(queue, Some(low / 100.0), scene.now));
        let many = scene.decide(&samples(queue, Some(high / 100.0), scene.now));
        prop_assert!(few.replicas <= many.replicas, "{} / {}", few.message, many.message);
    }

    #[test]
    fn a_restart_never_scales_in_at_once(
        block in blocks(), start in 0..REPLICAS_MAX, loads in loads(), last in (1_i64..60, known(60_000), known(600)),
    ) {
        let mut scene = scene(&block, start);
        for load in loads {
            step(&mut scene, load);
        }
        scene.memory = ScaleMemory::default();
        let before = scene.current;
        prop_assert!(step(&mut scene, last).replicas >= before);
    }

    /// A decision with a forecast never has fewer replicas than one without.
    #[test]
    fn a_forecast_never_removes_a_replica(
        block in blocks(), start in 0..REPLICAS_MAX, loads in loads(),
        levels in collection::vec(-1.0_f64..100_000.0, 10), price in 1..10_000,
    ) {
        let mut with = block.clone();
        with["predictive"] = json!({"shortageCost": price});
        let (mut scene, with) = (scene(&block, start), serde_json::from_value::<Autoscaling>(with).unwrap());
        for load in loads {
            scene.now += SignedDuration::from_secs(load.0);
            let samples = samples(load.1, load.2, scene.now);
            let without = scene.decide(&samples);
            let forecast = Distribution {
                at: scene.now,
                levels: levels.clone().try_into().unwrap(),
                skilled: true,
            };
            scene.forecasts = Forecasts::from([("participants".to_owned(), forecast)]);
            let plain = std::mem::replace(&mut scene.block, with.clone());
            let decision = scene.decide(&samples);
            prop_assert!(decision.replicas >= without.replicas, "{} < {}", decision.message, without.message);
            scene.block = plain;
            scene.memory = without.memory;
            (scene.current, scene.ready) = (without.replicas, without.replicas);
        }
    }

    #[test]
    fn constant_load_settles(
        block in blocks(), start in 0..REPLICAS_MAX, people in 0_u32..40_000, queue in 0_u32..400,
    ) {
        let mut scene = scene(&block, start);
        let load = (15, Some(f64::from(people)), Some(f64::from(queue)));
        for _ in 0..300 {
            step(&mut scene, load);
        }
        let settled = scene.current;
        for _ in 0..100 {
            prop_assert_eq!(step(&mut scene, load).replicas, settled);
        }
    }

    #[test]
    fn memory_stays_small_and_survives_serialization(
        block in blocks(), start in 0..REPLICAS_MAX, loads in loads(), window in 0..3600,
    ) {
        let mut block = block;
        block["behavior"]["scaleDown"]["stabilizationWindowSeconds"] = json!(window);
        let mut scene = scene(&block, start);
        for load in loads.iter().cycle().take(400) {
            step(&mut scene, *load);
            let ScaleMemory { history, recent, .. } = &scene.memory;
            prop_assert!(history.recommendations.iter().flatten().count() <= RECOMMENDATIONS_COUNT_MAX);
            prop_assert!(history.scale_ups.len().max(history.scale_downs.len()) <= SCALE_EVENTS_COUNT_MAX);
            prop_assert!(recent.values().all(|r| r.len() <= PANIC_SAMPLES_COUNT_MAX));
        }
        let written = serde_json::to_string(&scene.memory).unwrap();
        prop_assert_eq!(&serde_json::from_str::<ScaleMemory>(&written).unwrap(), &scene.memory);
    }

    /// Dropping recommendations that a later one hides changes no decision.
    #[test]
    fn a_compacted_history_stabilizes_like_the_whole_one(
        recommendations in collection::vec((0_i64..90, 1..REPLICAS_MAX), 1..60), up in 0_i64..600, down in 0_i64..600,
    ) {
        let (up, down) = (SignedDuration::from_secs(up), SignedDuration::from_secs(down));
        let mut now = Timestamp::UNIX_EPOCH;
        let (mut whole, mut small) = (History::default(), ScaleMemory::default());
        let (mut a, mut b) = (5, 5);
        for (seconds, replicas) in recommendations {
            now += SignedDuration::from_secs(seconds);
            a = stabilize::with_windows(&mut whole, a, replicas, up, down, now);
            b = stabilize::with_windows(&mut small.history, b, replicas, up, down, now);
            small.compact(up.max(down), SignedDuration::ZERO, now);
            prop_assert_eq!(a, b);
        }
    }
}
