//! Decisions with forecasts.

use super::*;
use crate::scale::Cause;
use crate::scale::demand_forecast::Distribution;

fn predictive(mode: &str) -> Value {
    let mut block = without_windows(participants(1, 50));
    block["predictive"] = json!({"mode": mode, "headroomPercent": 50});
    block
}

/// Ends the cold start without the predictive block, then adds it.
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
fn a_forecast_adds_replicas() {
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
fn a_forecast_of_lower_demand_changes_nothing() {
    let mut scene = warm(4, "On");
    expect(&mut scene, 100.0, 15);
    let decision = scene.measure(15, 4000.0);
    assert_eq!((decision.replicas, decision.reason), (4, Reason::OnTarget));
}

#[test]
fn headroom_replaces_a_missing_forecast() {
    let mut scene = warm(4, "On");
    let decision = scene.measure(15, 4000.0);
    assert_eq!((decision.replicas, decision.reason), (6, Reason::Forecast));
    assert_eq!(
        decision.message,
        "6,000 participants with headroom because there is no forecast: from 4 to 6 shards"
    );
    expect(&mut scene, 800.0, -600);
    let decision = scene.measure(15, 4000.0);
    assert_eq!(
        decision.proposals[1].name, "headroom/participants",
        "an old forecast is not used"
    );
}

#[test]
fn a_preview_changes_nothing() {
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
fn a_forecast_without_a_sample_of_its_metric_changes_nothing() {
    let mut scene = warm(4, "On");
    expect(&mut scene, 800.0, 15);
    let decision = scene.step(15, &BTreeMap::from([missing("participants")]));
    assert_eq!(
        (decision.replicas, decision.reason),
        (4, Reason::MetricsUnavailable)
    );
}

#[test]
fn a_lost_forecast_holds_scale_in_for_a_while() {
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

#[test]
fn after_a_sudden_fall_no_forecast_proposes_less_than_headroom() {
    let mut scene = Scene::new(participants(1, 50), 4).warm();
    scene.block.predictive = serde_json::from_value(json!({"mode": "On", "headroomPercent": 50})).unwrap();
    let decide = |scene: &mut Scene, seconds: i64, people: f64| {
        expect(scene, 100.0, seconds);
        let decision = scene.measure(seconds, people);
        (
            decision.replicas,
            decision.proposals[1].replicas,
            decision.message,
        )
    };
    assert_eq!(decide(&mut scene, 15, 4000.0).1, Some(1));
    // The load falls from four replicas to three. With headroom of a half this takes five replicas.
    let (replicas, proposed, message) = decide(&mut scene, 15, 3000.0);
    assert_eq!((replicas, proposed), (5, Some(5)));
    assert_eq!(
        message,
        "4,500 participants with headroom after a sudden fall: from 4 to 5 shards"
    );
    assert_eq!(decide(&mut scene, 300 + 90 - 30, 3000.0).1, Some(5));
    assert_eq!(decide(&mut scene, 30, 3000.0).1, Some(1));
}

/// Its value is not known, and the past, hence the forecast, may be that of two clusters.
#[test]
fn a_metric_with_the_series_of_two_kubernetes_clusters_scales_nothing() {
    for block in [predictive("On"), participants(1, 50)] {
        let mut scene = warm(4, "On");
        scene.block = serde_json::from_value(block).unwrap();
        expect(&mut scene, 8_000.0, 15);
        let too_many = Sample::Missing {
            cause: Cause::TooManySeries,
            why: "Prometheus scrapes 8 pods".to_owned(),
        };
        for _ in 0..40 {
            let decision = scene.step(
                15,
                &BTreeMap::from([("participants".to_owned(), too_many.clone())]),
            );
            assert_eq!(
                (decision.replicas, decision.reason),
                (4, Reason::MetricsUnavailable)
            );
        }
    }
}
