//! All reads of a pass, into one [`Observed`].

use super::drain_status;
use crate::{
    cluster_key::ClusterKey,
    context::Context,
    error::Error,
    kafka::topic_manager::Topic,
    prometheus::sample_store::{Source, Subscription},
    prometheus::{
        forecasters,
        promql::{autoscaling_specs, custom_metric_key, render_query},
    },
};
use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret};
use kube::ResourceExt;
use poker_operator_api::{
    ClusterNames, Component, PokerCluster, autoscaling::BuiltinMetric, common::SecretKeyRef,
    names::LABEL_COMPONENT, prometheus::Prometheus,
};
use poker_operator_core::{
    observed::{LiveChildren, MetricSamples, Observed, SecretKeys, TopicObserved, fingerprint},
    scale::reading::Reading,
    status::{self, pod_failures},
    validate::{referenced, secret_missing},
};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// Reads everything that a decision about `cluster` looks at.
///
/// # Errors
/// When a Secret could not be read, or there are no random numbers.
pub async fn observe(ctx: &Context, cluster: &PokerCluster, key: &ClusterKey) -> Result<Observed, Error> {
    let live = ctx.stores.children(&key.0, &key.1);
    let secrets = secret_keys(ctx, cluster, key, &live).await?;
    let (drains, refused) = drain_status::ask(ctx, &live, &ClusterNames::new(&key.0, &key.1)).await;
    let metrics_error = need_samples(ctx, cluster, key).await.err();
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(Error::Entropy)?;
    let metrics = samples(ctx, cluster, key, &live.deployments, metrics_error.as_deref());
    let now = Timestamp::now();
    Ok(Observed {
        pod_failures: pod_failures::of(&ctx.stores.pods(&key.0, &key.1), now),
        forecasts: forecasters::update(ctx, key, &autoscaling_specs(cluster), &metrics),
        metrics,
        metrics_error,
        stale_caches: stale_caches(ctx, refused),
        topic: look_at_topic(ctx, cluster, key, &live),
        memory: ctx.scale_memory(key),
        cluster: cluster.clone(),
        live,
        secrets,
        drains,
        random,
        now,
    })
}

/// Which watches are lost, whose caches grow old, and what else is refused.
fn stale_caches(ctx: &Context, refused: Option<Error>) -> Option<String> {
    let lost = ctx
        .watch_health
        .failing(Instant::now())
        .into_iter()
        .map(|(_, why)| why);
    let refused = refused.map(|error| format!("{}: {}", error.line(), error.advice()));
    let why: Vec<_> = lost.chain(refused).collect();
    (!why.is_empty()).then(|| why.join("; "))
}

fn look_at_topic(
    ctx: &Context,
    cluster: &PokerCluster,
    key: &ClusterKey,
    live: &LiveChildren,
) -> TopicObserved {
    let names = ClusterNames::new(&key.0, &key.1);
    // A Kafka of ours that starts may have lost the topic: it is asked as soon as it serves.
    let kafka = names.component(Component::Kafka);
    let mut sets = live.stateful_sets.iter();
    let is_up = sets.any(|set| set.name_any() == kafka && status::serves(set));
    if cluster.spec.kafka.external.is_none() && !is_up {
        ctx.topics.forget(key);
        return TopicObserved::Unknown { why: None };
    }
    ctx.topics.describe(key, &Topic::of(cluster, &names))
}

/// Keys of referenced and of made Secrets. A made one is read again only when it changed.
async fn secret_keys(
    ctx: &Context,
    cluster: &PokerCluster,
    key: &ClusterKey,
    live: &LiveChildren,
) -> Result<BTreeMap<String, SecretKeys>, Error> {
    let mut keys = BTreeMap::new();
    for made in &live.secrets {
        let (name, version) = (made.name_any(), made.resource_version().unwrap_or_default());
        if let Some(known) = ctx.secret_keys(key, &name, &version) {
            keys.insert(name, known);
        } else if let Some(secret) = read_secret(ctx, &key.0, &name).await? {
            let found = keys_of(&secret);
            ctx.keep_secret_keys(
                key,
                &name,
                secret.resource_version().unwrap_or_default(),
                found.clone(),
            );
            keys.insert(name, found);
        }
    }
    for (_, SecretKeyRef { name, .. }) in referenced(&cluster.spec) {
        if !keys.contains_key(name)
            && let Some(secret) = read_secret(ctx, &key.0, name).await?
        {
            keys.insert(name.clone(), keys_of(&secret));
        }
    }
    Ok(keys)
}

async fn read_secret(ctx: &Context, namespace: &str, name: &str) -> Result<Option<Secret>, Error> {
    ctx.api::<Secret>(namespace)
        .get_opt(name)
        .await
        .map_err(Error::api(format!("read Secret {name}")))
}

/// The keys of a Secret with fingerprints of their values.
pub fn keys_of(secret: &Secret) -> SecretKeys {
    let data = secret.data.iter().flatten();
    data.map(|(key, value)| (key.clone(), fingerprint(&value.0)))
        .collect()
}

/// Tells the sampler what this cluster wants to know, or says why the Prometheus cannot be asked.
async fn need_samples(ctx: &Context, cluster: &PokerCluster, key: &ClusterKey) -> Result<(), String> {
    let Some(prometheus) = &cluster.spec.prometheus else {
        ctx.sampler.need(key, None);
        return Ok(());
    };
    let token = match &prometheus.bearer_token_secret_ref {
        Some(reference) => {
            let secret = read_secret(ctx, &key.0, &reference.name).await;
            // Not to know the token says nothing about it: the sampler goes on with the one it has.
            let secret = secret.map_err(|error| format!("{TOKEN_FIELD}: {}", error.line()))?;
            token_in(secret, reference).map(Some)
        }
        None => Ok(None),
    };
    // Without its token no question is asked: the Prometheus would only count failed logins.
    let need = token.map(|token| need(cluster, prometheus, token, key));
    ctx.sampler.need(key, need.clone().ok());
    need.map(drop)
}

fn need(
    cluster: &PokerCluster,
    prometheus: &Prometheus,
    token: Option<String>,
    key: &ClusterKey,
) -> Subscription {
    let blocks = autoscaling_specs(cluster);
    let queries = blocks.iter().flat_map(|(component, block)| {
        block
            .metrics
            .iter()
            .filter_map(|metric| metric.promql.as_ref())
            .map(|promql| {
                (
                    custom_metric_key(*component, &promql.name),
                    render_query(&promql.query, key),
                )
            })
    });
    Subscription {
        source: Source {
            url: prometheus.url.clone(),
            token,
        },
        interval: Duration::from_secs(u64::try_from(prometheus.interval_seconds).unwrap_or(5).max(1)),
        queries: queries.collect(),
        histories: forecasters::histories(key, &blocks),
        wakes: !blocks.is_empty(),
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
    deployments: &[Deployment],
    metrics_error: Option<&str>,
) -> MetricSamples {
    let mut samples = MetricSamples::new();
    if cluster.spec.prometheus.is_none() {
        return samples;
    }
    let now = Instant::now();
    let read = |metric: &str| match metrics_error {
        Some(why) => Reading::Missing { why: why.to_owned() },
        None => ctx.sampler.read(key, metric, now),
    };
    let builtin = |metric: BuiltinMetric, source: Component| {
        let reading = read(metric.name());
        (
            metric.name().to_owned(),
            reading.whole(ready_pods(deployments, source)),
        )
    };
    for component in [Component::Gateway, Component::Shard] {
        let of = samples.entry(component).or_default();
        of.extend([
            builtin(BuiltinMetric::Participants, Component::Shard),
            builtin(BuiltinMetric::Connections, Component::Gateway),
        ]);
    }
    for (component, block) in autoscaling_specs(cluster) {
        let of = samples.entry(component).or_default();
        for promql in block.metrics.iter().filter_map(|metric| metric.promql.as_ref()) {
            let reading = read(&custom_metric_key(component, &promql.name));
            of.insert(promql.name.clone(), reading.whole(0));
        }
    }
    samples
}

fn ready_pods(deployments: &[Deployment], component: Component) -> u64 {
    let of = deployments.iter().filter(|deployment| {
        deployment
            .labels()
            .get(LABEL_COMPONENT)
            .is_some_and(|label| label == component.as_str())
    });
    let ready = of.filter_map(|deployment| deployment.status.as_ref()?.ready_replicas);
    ready.filter_map(|ready| u64::try_from(ready).ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_token_is_there_or_its_absence_is_told() {
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
