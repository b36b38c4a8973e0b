//! Reads everything that a decision about a cluster depends on into one [`Observed`], and changes nothing.

use super::{
    context::Context, drain_status, memory::ClusterMemory, secrets::secret_keys, subscribe::Subscribed,
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
    let (drains, forbidden) = drain_status::read(ctx, &live, &key.object_names()).await;
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(Error::Random)?;
    let now = Timestamp::now();
    let mut observed = Observed {
        cluster: cluster.clone(),
        pod_failures: pod_failures::find(&ctx.stores.pods(key), now),
        stale_caches: stale_caches(ctx, forbidden),
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
    Ok(observed)
}

/// Which watches fail, so that their caches are stale, and what else the API server forbids to read.
fn stale_caches(ctx: &Context, forbidden: Option<Error>) -> Option<String> {
    let failing = ctx
        .watch_health
        .failing(Instant::now())
        .into_iter()
        .map(|(_, why)| why);
    let forbidden = forbidden.map(|error| format!("{}: {}", error.message(), error.hint()));
    let why: Vec<_> = failing.chain(forbidden).collect();
    (!why.is_empty()).then(|| why.join("; "))
}
