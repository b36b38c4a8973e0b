//! One pass over one cluster: observe, validate, plan, apply, report. Only the first and the last two may
//! talk to anybody.

mod apply;
mod drain_status;
mod drift;
mod finalizer;
mod observe;
mod report;
mod uncached;

use crate::{
    cache::watches::DecodedCluster, cluster_key::ClusterKey, context::Context, error::Error, limits,
};
use kube::{ResourceExt, runtime::controller::Action};
use poker_operator_api::PokerCluster;
use poker_operator_core::{
    children::Children,
    observed::Observed,
    plan::plan,
    plan_result::Plan,
    validate::{Invalid, Validated, validate},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// The pass as the controller calls it: measured, bounded, and only for the leader.
pub async fn pass(object: Arc<DecodedCluster>, ctx: Arc<Context>) -> Result<Action, Error> {
    let key = key(&object);
    if !ctx.leadership.may_write() {
        return Ok(Action::await_change()); // a new leader looks at everything
    }
    let behind = ctx.expectations.pending_kinds(&key);
    if !behind.is_empty() {
        let (why, patience) = ctx.watch_health.explain(&behind, Instant::now());
        report::blind(&ctx, &key, &why, patience).await;
        return Ok(Action::requeue(Duration::from_millis(
            limits::FENCE_RETRY_MILLISECONDS,
        )));
    }
    let begun = Instant::now();
    let pass = async {
        match &object.0 {
            Ok(cluster) => reconcile(&ctx, cluster, &key).await,
            Err(invalid) => report::undecodable(&ctx, invalid, &key).await,
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(limits::RECONCILE_TIMEOUT_SECONDS), pass).await;
    ctx.metrics
        .reconcile_duration_seconds
        .observe(begun.elapsed().as_secs_f64());
    let action = ended.map_err(|_| Error::TooLong)??;
    ctx.succeeded(&key);
    Ok(action)
}

async fn reconcile(ctx: &Context, cluster: &PokerCluster, key: &ClusterKey) -> Result<Action, Error> {
    if finalizer::finalize(ctx, cluster, key).await? {
        return Ok(Action::requeue(Duration::from_secs(
            limits::FINALIZE_RETRY_SECONDS,
        )));
    }
    let (seen, valid, plan) = match look(ctx, cluster, key).await {
        Ok(looked) => looked,
        Err(error) => {
            let why = format!("{}: {}", error.line(), error.advice());
            report::blind(ctx, key, &why, error.patience()).await;
            return Err(error);
        }
    };
    if ctx.sees(key) {
        tracing::info!(namespace = key.0, cluster = key.1, "can be observed again");
    }
    let applied = match &plan {
        Some(plan) => apply::apply(ctx, key, &seen, plan).await,
        None => Ok(Children::default()),
    };
    report::report(ctx, key, &seen, &valid, plan, applied).await
}

/// Observes and decides, until nothing that was not seen stands in the way.
async fn look(
    ctx: &Context,
    cluster: &PokerCluster,
    key: &ClusterKey,
) -> Result<(Observed, Result<Validated, Invalid>, Option<Plan>), Error> {
    let mut seen = observe::observe(ctx, cluster, key).await?;
    let (mut valid, mut plan) = decide(&seen);
    if let Some(children) = plan.as_ref().map(|plan| &plan.children)
        && uncached::add_unseen(ctx, key, children, &mut seen).await?
    {
        (valid, plan) = decide(&seen); // something stands where we meant to make it
    }
    Ok((seen, valid, plan))
}

fn decide(seen: &Observed) -> (Result<Validated, Invalid>, Option<Plan>) {
    let valid = validate(seen);
    let plan = valid.as_ref().ok().map(|valid| plan(valid, seen));
    (valid, plan)
}

pub fn key(object: &DecodedCluster) -> ClusterKey {
    (object.namespace().unwrap_or_default(), object.name_any())
}
