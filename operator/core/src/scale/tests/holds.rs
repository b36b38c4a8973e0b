//! Holds end: sources that are never perfect do not keep a count for ever.

use super::*;

/// A block with participants, of which a replica serves 1,000, and a latency with a target of 20 ms.
fn with_latency() -> Value {
    let mut block = participants(1, 20);
    let latency = json!({"promql": {"name": "latency", "query": "x"}, "target": {"value": "20m"}});
    block["metrics"].as_array_mut().unwrap().push(latency);
    block
}

/// Seconds until the count is at most `replicas`, with samples of `source` by second and time.
fn seconds_until(
    scene: &mut Scene,
    replicas: i32,
    interval: i64,
    mut source: impl FnMut(i64, Timestamp) -> Vec<(String, Sample)>,
) -> Option<i64> {
    (1..)
        .map(|step| step * interval)
        .take_while(|second| *second <= 7_200)
        .find(|second| {
            let at = scene.now + SignedDuration::from_secs(interval);
            scene
                .step(interval, &source(*second, at).into_iter().collect())
                .replicas
                <= replicas
        })
}

/// Numbers from -1 to 1 that look random, with a mean of 0.
fn noise(second: i64) -> f64 {
    let bits = (second as u64)
        .wrapping_add(1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let bits = (bits ^ (bits >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (bits >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// The standard deviation of [`noise`].
const NOISE_SIGMA: f64 = 0.577;

/// The stabilization window in these tests.
const WINDOW: i64 = 300;

#[test]
fn a_metric_far_below_its_target_holds_nothing() {
    let mut scene = Scene::new(with_latency(), 6);
    let took = seconds_until(&mut scene, 2, 15, |second, at| {
        let latency = 0.004 + 0.002 * noise(second);
        vec![fresh("participants", 900.0, at), fresh("latency", latency, at)]
    });
    assert!(took.is_some_and(|took| took <= 2 * WINDOW), "{took:?}");
}

#[test]
fn a_noisy_metric_scales_in() {
    // A standard deviation of 15 %, from 20 replicas to 5: two more standard deviations take 7.
    let mut scene = Scene::new(participants(1, 100), 20);
    let took = seconds_until(&mut scene, 7, 15, |second, at| {
        let people = 5_000.0 * (1.0 + 0.15 / NOISE_SIGMA * noise(second));
        vec![fresh("participants", people, at)]
    });
    assert!(took.is_some_and(|took| took <= 2 * WINDOW), "{took:?}");
}

#[test]
fn few_people_who_come_and_go_hold_nothing() {
    let mut scene = Scene::new(participants(1, 10), 6);
    let took = seconds_until(&mut scene, 1, 15, |second, at| {
        let people = 7.0 + (2.0 * noise(second / 60)).round();
        vec![fresh("participants", people, at)]
    });
    assert!(took.is_some_and(|took| took <= 2 * WINDOW), "{took:?}");
}

#[test]
fn one_bad_answer_in_a_hundred_holds_for_its_own_length() {
    for first in [5, 100, 250, 295, 300, 305, 400] {
        let mut scene = Scene::new(participants(1, 10), 6);
        let took = seconds_until(&mut scene, 1, 5, |second, at| {
            let is_bad = second % 500 == first;
            vec![if is_bad {
                missing("participants")
            } else {
                fresh("participants", 900.0, at)
            }]
        });
        assert!(took.is_some_and(|took| took <= WINDOW + 20), "{first}: {took:?}");
    }
}

#[test]
fn metrics_that_are_renewed_at_different_moments_count_by_their_own_interval() {
    let mut scene = Scene::new(with_latency(), 6);
    let start = scene.now;
    let rule = |second: i64, phase: i64| {
        start + SignedDuration::from_secs((second - phase).div_euclid(60) * 60 + phase)
    };
    let took = seconds_until(&mut scene, 1, 15, |second, _| {
        vec![
            fresh("participants", 900.0, rule(second, 0)),
            fresh("latency", 0.001, rule(second, 30)),
        ]
    });
    assert!(took.is_some_and(|took| took <= 2 * WINDOW), "{took:?}");
}

#[test]
fn no_traffic_is_no_outage() {
    let nothing = || {
        (
            "latency".to_owned(),
            Sample::no_value("the query gives no finite value"),
        )
    };
    let mut scene = Scene::new(with_latency(), 6);
    let took = seconds_until(&mut scene, 1, 15, |_, at| {
        vec![fresh("participants", 900.0, at), nothing()]
    });
    assert!(
        took.is_some_and(|took| (WINDOW..=2 * WINDOW).contains(&took)),
        "{took:?}"
    );
    // A query that fails holds, and so does one without a value while nothing shows that the pods are scraped.
    let failed = || missing("latency");
    let mut scene = Scene::new(with_latency(), 6);
    let took = seconds_until(&mut scene, 5, 15, |_, at| {
        vec![fresh("participants", 900.0, at), failed()]
    });
    assert_eq!(took, None);
    let mut scene = Scene::new(with_latency(), 6);
    let took = seconds_until(&mut scene, 5, 15, |_, _| vec![missing("participants"), nothing()]);
    assert_eq!(took, None);
}

#[test]
fn a_window_is_filled_by_samples_and_not_by_decisions() {
    let mut block = participants(1, 10);
    block["behavior"] = json!({"scaleDown": {"stabilizationWindowSeconds": 10}});
    let mut scene = Scene::new(block, 5).warm();
    // No decision runs while a value does not change, and then for the longest time between two.
    assert_eq!(scene.measure(15, 5000.0).replicas, 5);
    assert_eq!(scene.measure(15, 900.0).replicas, 5, "the first low sample");
    assert_eq!(scene.measure(5, 910.0).replicas, 5);
    assert_eq!(scene.measure(4, 900.0).replicas, 5);
    assert_eq!(scene.measure(1, 910.0).replicas, 1);
}

#[test]
fn a_short_gap_holds_for_its_own_length() {
    let mut scene = Scene::new(participants(1, 10), 5).warm();
    scene.measure(15, 900.0);
    scene.measure(270, 900.0);
    scene.step(15, &BTreeMap::from([missing("participants")]));
    assert_eq!(scene.measure(45, 900.0).replicas, 5);
    let decision = scene.measure(44, 900.0);
    assert_eq!(
        (decision.replicas, decision.limited_by),
        (5, Some(Restraint::MissingMetrics))
    );
    assert_eq!(scene.measure(1, 900.0).replicas, 1);
}
