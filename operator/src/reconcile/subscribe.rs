//! Subscribes a cluster to the metrics and the Kafka topic that its spec names, and returns what is known of them so
//! far. Background tasks query Prometheus and Kafka; a reconcile never waits for them.

use super::{context::Context, memory::ClusterMemory, prometheus_connection};
use crate::{
    cluster_key::ClusterKey,
    kafka::topic_manager::Topic,
    prometheus::{
        connection::Connection,
        forecasters,
        promql::{matchers, render_query},
        sample_store::Subscription,
    },
};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use poker_operator_api::{
    Component, PokerCluster, autoscaling::BuiltinMetric, names::LABEL_COMPONENT, prometheus::Prometheus,
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
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
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
    // What cannot be read says nothing about its values: the queries continue with the known ones.
    let texts = prometheus_connection::read(ctx, &key.namespace, prometheus).await?;
    // Without its credentials nothing is queried: Prometheus would only count failed logins.
    let connection =
        prometheus_connection::connection(prometheus, texts).inspect_err(|_| ctx.samples.unsubscribe(key))?;
    ctx.samples
        .subscribe(key, subscription(cluster, prometheus, connection, key));
    Ok(())
}

fn subscription(
    cluster: &PokerCluster,
    prometheus: &Prometheus,
    connection: Connection,
    key: &ClusterKey,
) -> Subscription {
    let specs = autoscaling_specs(cluster);
    let matchers = matchers(&prometheus.matchers);
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
        connection,
        interval: Duration::from_secs(u64::try_from(prometheus.interval_seconds).unwrap_or(5).max(1)),
        queries: queries.collect(),
        histories: forecasters::history_queries(key, &specs, &matchers),
        matchers,
        triggers_reconcile: !specs.is_empty(),
    }
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
    let pods = ctx.stores.pods(key);
    let builtin = |metric: BuiltinMetric, component, ready: ReadyPods| {
        let existing = pod_names(&pods, component);
        ctx.samples.expect_pods(key, metric.name(), ready, existing, now);
        (metric.name().to_owned(), read(metric.name()))
    };
    let (shards, gateways) = (active_shard_pods(live, &names), gateway_pods(live, &names));
    let builtins = BTreeMap::from([
        builtin(BuiltinMetric::Participants, Component::Shard, shards),
        builtin(BuiltinMetric::Connections, Component::Gateway, gateways),
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

/// The pods of a component, also those that are not ready or that end.
fn pod_names(pods: &[Pod], component: Component) -> BTreeSet<String> {
    let is_of = |pod: &&Pod| {
        let label = pod.labels().get(LABEL_COMPONENT);
        label.is_some_and(|label| label == component.as_str())
    };
    pods.iter().filter(is_of).map(ResourceExt::name_any).collect()
}
