//! Missing, late and suddenly changed samples never scale in.

use super::*;

#[test]
fn scale_in_requires_a_sample_of_every_metric() {
    let mut block = without_windows(participants(1, 20));
    let queue = json!({"promql": {"name": "queue", "query": "x"}, "target": {"averageValue": "10"}});
    block["metrics"].as_array_mut().unwrap().push(queue);
    // The sample of the query, the number of participants, and the resulting count from 5.
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
fn scale_in_waits_for_two_windows_after_a_gap() {
    let mut scene = Scene::new(participants(1, 10), 5).warm();
    scene.measure(15, 5000.0);
    for _ in 0..40 {
        let decision = scene.step(15, &BTreeMap::from([missing("participants")]));
        assert_eq!(
            (decision.replicas, decision.reason),
            (5, Reason::MetricsUnavailable)
        );
        assert!(
            decision.message.contains("the query gives no value"),
            "{}",
            decision.message
        );
    }
    let decision = scene.measure(15, 900.0);
    assert_eq!(
        (decision.replicas, decision.reason),
        (5, Reason::MetricsUnavailable)
    );
    // Two windows, and the time for which the fault shows in an averaged metric.
    scene.measure(2 * 300 + 90 - 30, 900.0);
    assert_eq!(scene.current, 5);
    scene.measure(30, 900.0);
    assert_eq!(scene.current, 1);
}

#[test]
fn the_recommendation_before_a_sudden_fall_holds_for_the_window() {
    let mut block = participants(1, 10);
    let slow = json!([{"type": "Pods", "value": 1, "periodSeconds": 15}]);
    block["behavior"] = json!({"scaleDown": {"stabilizationWindowSeconds": 60, "policies": slow}});
    let mut scene = Scene::new(block, 8).warm();
    // Participants every 15 s, and the resulting shards. A scale-in that has begun stops at the count that the value
    // before the fall needs. It continues once the fall has lasted for the window.
    let story = [
        (5000.0, 8),
        (5000.0, 8),
        (5000.0, 8),
        (5000.0, 8),
        (5000.0, 7),
        (5000.0, 6),
        (2000.0, 5),
        (2000.0, 5),
        (2000.0, 5),
        (2000.0, 5),
        (2000.0, 4),
        (2000.0, 3),
        (2000.0, 2),
    ];
    for (i, (people, shards)) in story.iter().enumerate() {
        let decision = scene.measure(15, *people);
        assert_eq!(decision.replicas, *shards, "{i}: {}", decision.message);
    }
}

#[test]
fn scale_in_requires_recent_samples() {
    let mut scene = Scene::new(participants(1, 10), 5).warm();
    for people in [4560.0, 4150.0] {
        scene.measure(15, people);
    }
    let at = scene.now + SignedDuration::from_secs(15);
    let low = BTreeMap::from([fresh("participants", 3800.0, at)]);
    // The same sample repeatedly, beyond the window of the higher recommendations.
    for _ in 0..40 {
        let decision = scene.step(15, &low);
        assert_eq!(decision.replicas, 5, "{}", decision.message);
    }
    let decision = scene.measure(15, 3800.0);
    assert_eq!(decision.replicas, 4, "{}", decision.message);
}

#[test]
fn scale_in_works_after_the_source_clock_went_back() {
    let mut scene = Scene::new(participants(1, 10), 5).warm();
    scene.measure(15, 4150.0);
    let ahead = scene.now + SignedDuration::from_hours(24);
    scene.step(15, &BTreeMap::from([fresh("participants", 4150.0, ahead)]));
    let decisions: Vec<i32> = (0..40).map(|_| scene.measure(15, 3800.0).replicas).collect();
    assert_eq!(decisions.last(), Some(&4), "{decisions:?}");
}

/// A sum over all but one of the pods.
fn partial(people: f64, at: Timestamp) -> BTreeMap<String, Sample> {
    let sample = Sample::Partial {
        value: people,
        at,
        why: "only 19 of 20 pods are scraped".to_owned(),
    };
    BTreeMap::from([("participants".to_owned(), sample)])
}

#[test]
fn a_partial_sum_scales_out_and_never_in() {
    let mut scene = Scene::new(without_windows(participants(1, 100)), 20).warm();
    for seconds in [0, 300, 3_600] {
        let at = scene.now + SignedDuration::from_secs(seconds);
        let decision = scene.step(seconds, &partial(900.0, at));
        assert_eq!(
            (decision.replicas, decision.reason),
            (20, Reason::MetricsUnavailable),
            "{}",
            decision.message
        );
        assert!(decision.message.contains("only 19 of 20 pods are scraped"));
    }
    for _ in 0..3 {
        let at = scene.now + SignedDuration::from_secs(15);
        scene.step(15, &partial(60_000.0, at));
    }
    assert_eq!(scene.current, 60);
    let at = scene.now + SignedDuration::from_secs(15);
    let decision = scene.step(15, &partial(90_000.0, at));
    assert_eq!(
        decision.message,
        "at least 1,500 participants per shard exceed the target of 1,000: from 60 to 90 shards"
    );
}

#[test]
fn a_partial_sum_starts_panic_and_raises_headroom() {
    let mut block = without_windows(participants(1, 100));
    block["panic"] = json!({});
    let mut scene = Scene::new(block, 4).warm();
    let at = scene.now + SignedDuration::from_secs(15);
    let decision = scene.step(15, &partial(20_000.0, at));
    assert_eq!((decision.replicas, decision.reason), (20, Reason::Panic));
    let mut block = without_windows(participants(1, 100));
    block["predictive"] = json!({"mode": "On", "headroomPercent": 50});
    let mut scene = Scene::new(block, 20).warm();
    scene.current = 20;
    let at = scene.now + SignedDuration::from_secs(15);
    let decision = scene.step(15, &partial(22_500.0, at));
    assert_eq!((decision.replicas, decision.reason), (34, Reason::Forecast));
}
