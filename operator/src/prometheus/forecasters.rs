//! Forecasters of the metrics that are forecast: made from the past as the Prometheus keeps it, then fed
//! with every sample that a decision sees.

use crate::{
    cluster_key::ClusterKey,
    prometheus::{
        promql::{self, custom_metric_key, render_query},
        sample_store::{BUILTINS, SampleStore},
    },
};
use jiff::{SignedDuration, Timestamp};
use poker_operator_api::{
    Autoscaling, Component,
    autoscaling::{Metric, Predictive, PredictiveMode},
};
use poker_operator_core::{
    observed::MetricSamples,
    scale::{Forecasts, Sample, demand_forecast::DemandForecaster},
};
use std::{collections::BTreeMap, time::Duration};

/// Two values of the past further apart than this have a gap between them.
const GAP_SECONDS: i64 = 60;

/// Queries of the past, by component, metric and lead time: with another lead time the past is read anew.
pub fn histories(key: &ClusterKey, blocks: &[(Component, &Autoscaling)]) -> BTreeMap<String, String> {
    let mut queries = BTreeMap::new();
    for (component, block) in blocks {
        for (metric, predictive) in forecast(block) {
            queries.extend(past(metric, key).map(|query| (name(*component, metric, predictive), query)));
        }
    }
    queries
}

fn name(component: Component, metric: &Metric, predictive: &Predictive) -> String {
    format!(
        "{}/{}",
        custom_metric_key(component, metric.name()),
        predictive.lead_seconds
    )
}

fn past(metric: &Metric, key: &ClusterKey) -> Option<String> {
    if let Some(promql) = &metric.promql {
        return Some(render_query(&promql.query, key));
    }
    let (_, series) = BUILTINS
        .iter()
        .find(|(builtin, _)| Some(*builtin) == metric.builtin)?;
    Some(promql::builtin_history_query(series, key))
}

/// Metrics that are forecast: with a target per replica, in a block that forecasts.
fn forecast(block: &Autoscaling) -> impl Iterator<Item = (&Metric, &Predictive)> {
    let predictive = block
        .predictive
        .as_ref()
        .filter(|p| p.mode != PredictiveMode::Off);
    predictive.into_iter().flat_map(|predictive| {
        let per_replica = |metric: &&Metric| metric.target.average_value.is_some();
        block
            .metrics
            .iter()
            .filter(per_replica)
            .map(move |metric| (metric, predictive))
    })
}

/// Feeds the samples of a pass to the forecasters and asks them.
pub fn update(
    store: &SampleStore,
    forecasters: &mut BTreeMap<String, DemandForecaster>,
    key: &ClusterKey,
    blocks: &[(Component, &Autoscaling)],
    samples: &MetricSamples,
) -> BTreeMap<Component, Forecasts> {
    let mut before = std::mem::take(forecasters);
    let mut forecasts: BTreeMap<Component, Forecasts> = BTreeMap::new();
    for (component, block) in blocks {
        for (metric, predictive) in forecast(block) {
            let name = name(*component, metric, predictive);
            let history = store.take_history(key, &name);
            let sample = samples.get(component).and_then(|of| of.get(metric.name()));
            let forecaster = advance(before.remove(&name), predictive.lead_seconds, history, sample);
            if let Some(distribution) = forecaster.distribution() {
                let of = forecasts.entry(*component).or_default();
                of.insert(metric.name().to_owned(), distribution);
            }
            forecasters.insert(name, forecaster);
        }
    }
    forecasts
}

/// One forecaster after one more sample. A past that has just come begins it anew.
fn advance(
    before: Option<DemandForecaster>,
    lead_seconds: i32,
    history: Option<Vec<(Timestamp, f64)>>,
    sample: Option<&Sample>,
) -> DemandForecaster {
    let known = before.filter(|_| history.is_none());
    let mut lead = known.unwrap_or_else(|| learn(lead_seconds, &history.unwrap_or_default()));
    if let Some(Sample::Fresh { value, at }) = sample {
        lead.observe(*at, *value);
    }
    lead
}

/// A forecaster that has seen the past, with the middle between two values that are near.
fn learn(lead_seconds: i32, history: &[(Timestamp, f64)]) -> DemandForecaster {
    let mut lead = DemandForecaster::new(Duration::from_secs(u64::from(lead_seconds.unsigned_abs())));
    let mut before: Option<(Timestamp, f64)> = None;
    for (at, value) in history {
        if let Some((then, old)) = before.replace((*at, *value)) {
            let apart = at.duration_since(then);
            if apart <= SignedDuration::from_secs(GAP_SECONDS) {
                lead.observe(then + apart / 2, (old + value) / 2.0);
            }
        }
        lead.observe(*at, *value);
    }
    lead
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_760_000_000 + second).unwrap()
    }

    fn key() -> ClusterKey {
        ClusterKey::new("ns", "demo")
    }

    fn block(mode: &str) -> Autoscaling {
        serde_json::from_value(serde_json::json!({
            "maxReplicas": 10,
            "metrics": [
                {"builtin": "Participants", "target": {"averageValue": "100"}},
                {"promql": {"name": "queue", "query": "sum(q{c=\"$cluster\"})"}, "target": {"averageValue": "5"}},
                {"promql": {"name": "delay", "query": "x"}, "target": {"value": "1"}},
            ],
            "predictive": {"mode": mode, "leadSeconds": 60},
        }))
        .unwrap()
    }

    #[test]
    fn the_past_is_asked_for_of_metrics_that_are_forecast() {
        let (on, off) = (block("Preview"), block("Off"));
        let asked = histories(&key(), &[(Component::Shard, &on), (Component::Gateway, &off)]);
        let expected = [
            (
                "shard/participants/60",
                r#"sum(max by (pod) (poker_shard_participants{namespace="ns",cluster="demo"}))"#,
            ),
            ("shard/queue/60", r#"sum(q{c="demo"})"#),
        ];
        let expected = expected.map(|(name, query)| (name.to_owned(), query.to_owned()));
        assert_eq!(asked, BTreeMap::from(expected));
    }

    #[test]
    fn a_past_makes_a_forecast_at_once_and_samples_go_on_from_it() {
        let history: Vec<_> = (0..2_880)
            .map(|i| (at(i * 30), 40.0 + f64::from(i % 10 == 0) * 10.0))
            .collect();
        let fresh = Sample::Fresh {
            value: 40.0,
            at: at(2_880 * 30),
        };
        let kept = advance(None, 60, Some(history), Some(&fresh));
        let levels = kept.distribution().unwrap().levels;
        assert!(levels[0] >= 40.0 && levels[9] <= 60.0, "{levels:?}");
        let missing = Sample::Missing { why: String::new() };
        let same = advance(Some(kept.clone()), 60, None, Some(&missing));
        assert!(same == kept, "what is missing teaches nothing");
    }

    #[test]
    fn without_a_past_there_is_no_forecast_yet() {
        let fresh = Sample::Fresh {
            value: 40.0,
            at: at(0),
        };
        assert_eq!(advance(None, 60, None, Some(&fresh)).distribution(), None);
    }
}
