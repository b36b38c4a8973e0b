//! Forecasters of metrics: made from the past that a Prometheus holds, then fed with every sample that a decision reads.

use crate::{
    cluster_key::ClusterKey,
    prometheus::{promql, sample_store::SampleStore},
};
use jiff::{SignedDuration, Timestamp};
use poker_operator_api::{Autoscaling, Component};
use poker_operator_core::{
    observed::MetricSamples,
    scale::{
        Forecasts, Sample,
        demand_forecast::DemandForecaster,
        metric_keys::{forecast_key, forecast_metrics},
    },
};
use std::{collections::BTreeMap, time::Duration};

/// Between two past values further apart than this lies a gap.
const GAP_SECONDS: i64 = 60;

/// Forecasters by [`forecast_key`].
pub type Forecasters = BTreeMap<String, DemandForecaster>;

/// Queries of the past by [`forecast_key`].
pub fn history_queries(
    cluster: &ClusterKey,
    specs: &[(Component, &Autoscaling)],
    matchers: &str,
) -> BTreeMap<String, String> {
    let mut queries = BTreeMap::new();
    for (component, spec) in specs {
        for (metric, predictive) in forecast_metrics(spec) {
            if let Some(query) = promql::history_query(metric, cluster, matchers) {
                queries.insert(forecast_key(*component, metric, predictive), query);
            }
        }
    }
    queries
}

/// Feeds samples to the forecasters and returns the forecasts. Drops forecasters of metrics that are no longer forecast.
pub fn update(
    forecasters: &mut Forecasters,
    store: &SampleStore,
    cluster: &ClusterKey,
    specs: &[(Component, &Autoscaling)],
    samples: &MetricSamples,
) -> BTreeMap<Component, Forecasts> {
    let mut before = std::mem::take(forecasters);
    let mut forecasts: BTreeMap<Component, Forecasts> = BTreeMap::new();
    for (component, spec) in specs {
        for (metric, predictive) in forecast_metrics(spec) {
            let key = forecast_key(*component, metric, predictive);
            let history = store.take_history(cluster, &key);
            let sample = samples.get(component).and_then(|of| of.get(metric.name()));
            let forecaster = advance(before.remove(&key), predictive.lead_seconds, history, sample);
            if let Some(distribution) = forecaster.distribution() {
                let of = forecasts.entry(*component).or_default();
                of.insert(metric.name().to_owned(), distribution);
            }
            forecasters.insert(key, forecaster);
        }
    }
    forecasts
}

/// A forecaster after one more sample. A history that has just arrived begins it again.
fn advance(
    before: Option<DemandForecaster>,
    lead_seconds: i32,
    history: Option<Vec<(Timestamp, f64)>>,
    sample: Option<&Sample>,
) -> DemandForecaster {
    let before = before.filter(|_| history.is_none());
    let mut forecaster = before.unwrap_or_else(|| learn(lead_seconds, &history.unwrap_or_default()));
    if let Some(Sample::Fresh { value, at, .. }) = sample {
        forecaster.observe(*at, *value);
    }
    forecaster
}

/// A forecaster that has learned a history, and the middle between each two values without a gap.
fn learn(lead_seconds: i32, history: &[(Timestamp, f64)]) -> DemandForecaster {
    let lead = Duration::from_secs(u64::from(lead_seconds.unsigned_abs()));
    let mut forecaster = DemandForecaster::new(lead);
    let mut before: Option<(Timestamp, f64)> = None;
    for (at, value) in history {
        if let Some((then, old)) = before.replace((*at, *value)) {
            let apart = at.duration_since(then);
            if apart <= SignedDuration::from_secs(GAP_SECONDS) {
                forecaster.observe(then + apart / 2, (old + value) / 2.0);
            }
        }
        forecaster.observe(*at, *value);
    }
    forecaster
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
    fn metrics_that_are_forecast_have_a_history_query() {
        let (on, off) = (block("Preview"), block("Off"));
        let queries = history_queries(&key(), &[(Component::Shard, &on), (Component::Gateway, &off)], "");
        let expected = [
            (
                "shard/participants/60",
                r#"sum(max by (shard) (poker_shard_participants{namespace="ns",cluster="demo"}))"#,
            ),
            ("shard/queue/60", r#"sum(q{c="demo"})"#),
        ];
        let expected = expected.map(|(name, query)| (name.to_owned(), query.to_owned()));
        assert_eq!(queries, BTreeMap::from(expected));
    }

    #[test]
    fn a_history_makes_a_forecast_at_once_and_samples_continue_it() {
        let history: Vec<_> = (0..2_880)
            .map(|i| (at(i * 30), 40.0 + f64::from(i % 10 == 0) * 10.0))
            .collect();
        let fresh = Sample::fresh(40.0, at(2_880 * 30));
        let kept = advance(None, 60, Some(history), Some(&fresh));
        let levels = kept.distribution().unwrap().levels;
        assert!(levels[0] >= 40.0 && levels[9] <= 60.0, "{levels:?}");
        let missing = Sample::missing("");
        let same = advance(Some(kept.clone()), 60, None, Some(&missing));
        assert!(same == kept, "what is missing teaches nothing");
    }

    #[test]
    fn without_a_history_there_is_no_forecast_yet() {
        let fresh = Sample::fresh(40.0, at(0));
        assert_eq!(advance(None, 60, None, Some(&fresh)).distribution(), None);
    }
}
