//! Reads everything that a decision about a cluster depends on into one [`Observed`], and changes nothing.

use super::{
    context::Context, creation_events, drain_status, memory::ClusterMemory, secrets::secret_keys,
    subscribe::Subscribed,
};
use crate::{cluster_key::ClusterKey, error::Error};
use jiff::Timestamp;
use poker_operator_api::PokerCluster;
use poker_operator_core::{
    observed::{LiveChildren, Observed},
    status::pod_failures,
};
use tokio::time::Instant;

/// # Errors
/// When a Secret could not be read, or the system gives no random numbers.
pub async fn observe(
    ctx: &Context,
    memory: &mut ClusterMemory,
    cluster: &PokerCluster,
    key: &ClusterKey,
    live: LiveChildren,
    subscribed: Subscribed,
) -> Result<Observed, Error> {
    let secrets = secret_keys(ctx, memory, cluster, key, &live).await?;
    let drains = drain_status::read(ctx, &live, key).await;
    let events = creation_events::read(ctx, key, &live.stateful_sets).await;
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(Error::Random)?;
    let now = Timestamp::now();
    let mut observed = Observed {
        cluster: cluster.clone(),
        pod_failures: Vec::new(),
        stale_caches: stale_caches(ctx),
        metrics: subscribed.metrics,
        metrics_error: subscribed.metrics_error,
        forecasts: subscribed.forecasts,
        topic: subscribed.topic,
        memory: memory.scale.clone(),
        live,
        foreign: Vec::new(),
        secrets,
        drains,
        random,
        now,
    };
    observed.separate_foreign();
    observed.pod_failures = pod_failures::all(&observed.live, &events, &ctx.stores.pods(key), now);
    Ok(observed)
}

/// Which watches fail, so that their caches are stale.
fn stale_caches(ctx: &Context) -> Option<String> {
    let failing = ctx.watch_health.failing(Instant::now()).into_iter();
    let why: Vec<_> = failing.map(|(_, why)| why).collect();
    (!why.is_empty()).then(|| why.join("; "))
}
