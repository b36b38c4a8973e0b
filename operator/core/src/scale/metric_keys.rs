//! The metrics that a cluster is scaled by, and the names under which their samples, histories and forecasters are kept.

use poker_operator_api::autoscaling::{Metric, Predictive, PredictiveMode};
use poker_operator_api::{Autoscaling, Component, PokerCluster};

/// The components that scale by metrics, with their `autoscaling`.
pub fn autoscaling_specs(cluster: &PokerCluster) -> Vec<(Component, &Autoscaling)> {
    let specs = [
        (Component::Gateway, &cluster.spec.gateway.autoscaling),
        (Component::Shard, &cluster.spec.shards.autoscaling),
    ];
    let specs = specs.into_iter();
    specs
        .filter_map(|(component, spec)| Some((component, spec.as_ref()?)))
        .collect()
}

/// Key of a custom metric: two components may use one name for different queries.
pub fn custom_metric_key(component: Component, metric: &str) -> String {
    format!("{component}/{metric}")
}

/// Key of a forecast: another lead time needs a forecaster of its own, which learns the past again.
pub fn forecast_key(component: Component, metric: &Metric, predictive: &Predictive) -> String {
    let metric = custom_metric_key(component, metric.name());
    format!("{metric}/{}", predictive.lead_seconds)
}

/// The metrics that are forecast: those with a target per replica, if the component forecasts.
pub fn forecast_metrics(spec: &Autoscaling) -> impl Iterator<Item = (&Metric, &Predictive)> {
    let predictive = spec.predictive.as_ref();
    let predictive = predictive.filter(|predictive| predictive.mode != PredictiveMode::Off);
    predictive.into_iter().flat_map(|predictive| {
        let metrics = spec.metrics.iter();
        metrics
            .filter(|metric| metric.target.average_value.is_some())
            .map(move |metric| (metric, predictive))
    })
}
