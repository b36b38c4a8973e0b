//! Subscribes a cluster to the metrics and the Kafka topic that its spec names, and returns what is known of them so
//! far. Background tasks query Prometheus and Kafka; a reconcile never waits for them.

use super::{context::Context, memory::ClusterMemory, secrets::read_secret};
use crate::{
    cluster_key::ClusterKey,
    kafka::topic_manager::Topic,
    prometheus::{forecasters, promql::render_query, sample_store::Subscription},
};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use poker_operator_api::{
    Component, PokerCluster, autoscaling::BuiltinMetric, common::SecretKeyRef, prometheus::Prometheus,
};
use poker_operator_core::{
    observed::{LiveChildren, MetricSamples, TopicObserved},
    plan::{active_shard_pods, gateway_pods},
    scale::{
        Forecasts, Sample,
        metric_keys::{autoscaling_specs, custom_metric_key},
        pod_sum::ReadyPods,
    },
    status,
    validate::secret_missing,
};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// What the subscriptions of a cluster have delivered.
pub struct Subscribed {
    pub metrics: MetricSamples,
    /// Why Prometheus is not queried, if so; all samples are missing then.
    pub metrics_error: Option<String>,
    pub forecasts: BTreeMap<Component, Forecasts>,
    pub topic: TopicObserved,
}

pub async fn subscribe(
    ctx: &Context,
    memory: &mut ClusterMemory,
    cluster: &PokerCluster,
    key: &ClusterKey,
    live: &LiveChildren,
) -> Subscribed {
    let metrics_error = subscribe_metrics(ctx, cluster, key).await.err();
    let metrics = samples(ctx, cluster, key, live, metrics_error.as_deref());
    let specs = autoscaling_specs(cluster);
    Subscribed {
        forecasts: forecasters::update(&mut memory.forecasters, &ctx.samples, key, &specs, &metrics),
        topic: subscribe_topic(ctx, cluster, key, live),
        metrics,
        metrics_error,
    }
}

fn subscribe_topic(
    ctx: &Context,
    cluster: &PokerCluster,
    key: &ClusterKey,
    live: &LiveChildren,
) -> TopicObserved {
    let names = key.object_names();
    // A managed Kafka that starts may have lost the topic: it is described as soon as Kafka serves.
    let kafka = names.component(Component::Kafka);
    let mut sets = live.stateful_sets.iter();
    let is_up = sets.any(|set| set.name_any() == kafka && status::serves(set));
    if cluster.spec.kafka.external.is_none() && !is_up {
        ctx.topics.forget(key);
        return TopicObserved::Unknown { why: None };
    }
    ctx.topics.describe(key, &Topic::of(cluster, &names))
}

/// Registers the queries of this cluster, or returns why its Prometheus cannot be queried.
async fn subscribe_metrics(ctx: &Context, cluster: &PokerCluster, key: &ClusterKey) -> Result<(), String> {
    let Some(prometheus) = &cluster.spec.prometheus else {
        ctx.samples.unsubscribe(key);
        return Ok(());
    };
    let token = match &prometheus.bearer_token_secret_ref {
        Some(reference) => {
            let secret = read_secret(ctx, &key.namespace, &reference.name).await;
            // A Secret that cannot be read says nothing about the token: the queries continue with the known one.
            let secret = secret.map_err(|error| format!("{TOKEN_FIELD}: {}", error.message()))?;
            token_in(secret, reference).map(Some)
        }
        None => Ok(None),
    };
    // Without its token nothing is queried: Prometheus would only count failed logins.
    let token = token.inspect_err(|_| ctx.samples.unsubscribe(key))?;
    ctx.samples
        .subscribe(key, subscription(cluster, prometheus, token, key));
    Ok(())
}

fn subscription(
    cluster: &PokerCluster,
    prometheus: &Prometheus,
    token: Option<String>,
    key: &ClusterKey,
) -> Subscription {
    let specs = autoscaling_specs(cluster);
    let queries = specs.iter().flat_map(|(component, spec)| {
        let promql = spec.metrics.iter().filter_map(|metric| metric.promql.as_ref());
        promql.map(|promql| {
            (
                custom_metric_key(*component, &promql.name),
                render_query(&promql.query, key),
            )
        })
    });
    Subscription {
        url: prometheus.url.clone(),
        token,
        interval: Duration::from_secs(u64::try_from(prometheus.interval_seconds).unwrap_or(5).max(1)),
        queries: queries.collect(),
        histories: forecasters::history_queries(key, &specs),
        triggers_reconcile: !specs.is_empty(),
    }
}

const TOKEN_FIELD: &str = "prometheus.bearerTokenSecretRef";

/// The token, or what to do about its absence.
fn token_in(secret: Option<Secret>, reference: &SecretKeyRef) -> Result<String, String> {
    let SecretKeyRef { name, key } = reference;
    let exists = secret.is_some();
    let token = secret.and_then(|secret| secret.data?.remove(key));
    let token = token.ok_or_else(|| secret_missing(TOKEN_FIELD, reference, exists))?;
    let token = String::from_utf8(token.0)
        .map_err(|_| format!("{TOKEN_FIELD}: key {key} of Secret {name} is no text: write the bare token"))?;
    Ok(token.trim().to_owned())
}

fn samples(
    ctx: &Context,
    cluster: &PokerCluster,
    key: &ClusterKey,
    live: &LiveChildren,
    metrics_error: Option<&str>,
) -> MetricSamples {
    let mut samples = MetricSamples::new();
    if cluster.spec.prometheus.is_none() {
        return samples;
    }
    let now = Instant::now();
    let read = |metric: &str| match metrics_error {
        Some(why) => Sample::missing(why),
        None => ctx.samples.read(key, metric, now),
    };
    let names = key.object_names();
    let builtin = |metric: BuiltinMetric, pods: ReadyPods| {
        ctx.samples.expect_pods(key, metric.name(), pods, now);
        (metric.name().to_owned(), read(metric.name()))
    };
    let builtins = BTreeMap::from([
        builtin(BuiltinMetric::Participants, active_shard_pods(live, &names)),
        builtin(BuiltinMetric::Connections, gateway_pods(live, &names)),
    ]);
    for component in [Component::Gateway, Component::Shard] {
        samples.insert(component, builtins.clone());
    }
    for (component, block) in autoscaling_specs(cluster) {
        let of = samples.entry(component).or_default();
        for promql in block.metrics.iter().filter_map(|metric| metric.promql.as_ref()) {
            let sample = read(&custom_metric_key(component, &promql.name));
            of.insert(promql.name.clone(), sample);
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_missing_token_is_reported_with_what_to_do() {
        let secret = |data| serde_json::from_value::<Secret>(json!({ "data": data })).unwrap();
        let reference = SecretKeyRef {
            name: "monitoring".to_owned(),
            key: "token".to_owned(),
        };
        let table = [
            (Some(secret(json!({"token": "czNjcjN0Cg=="}))), Ok("s3cr3t")),
            (
                None,
                Err("Secret monitoring does not exist: create it with the key token"),
            ),
            (
                Some(secret(json!({"password": "eA=="}))),
                Err("Secret monitoring has no key token"),
            ),
            (
                Some(secret(json!({"token": "/w=="}))),
                Err("key token of Secret monitoring is no text"),
            ),
        ];
        for (secret, expected) in table {
            match (token_in(secret, &reference), expected) {
                (Ok(token), Ok(expected)) => assert_eq!(token, expected),
                (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
                (token, _) => panic!("{token:?} instead of {expected:?}"),
            }
        }
    }
}
