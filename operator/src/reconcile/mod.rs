//! One reconcile of one cluster: finalize, subscribe, observe, validate, plan, apply, report.

mod apply;
mod child;
pub mod context;
mod corrected_writes;
mod creation_events;
pub mod drain_status;
mod finalizer;
pub mod memory;
mod observe;
mod observe_failure;
mod prometheus_connection;
mod rejected_writes;
mod report;
mod secrets;
mod subscribe;
mod uncached;
mod undecodable;

use self::{context::Context, memory::ClusterMemory};
use crate::{cluster_key::ClusterKey, error::Error, triggers::DecodedCluster};
use kube::runtime::controller::Action;
use poker_operator_api::PokerCluster;
use poker_operator_core::{
    observed::{LiveChildren, Observed},
    plan::validate_and_plan,
    plan_result::Plan,
    validate::{Invalid, Validated},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// One reconcile is given up after this time and retried with backoff.
const RECONCILE_TIMEOUT: Duration = Duration::from_secs(60);
/// A cluster whose caches do not show our own writes yet is reconciled again after this time, in case the watch event is
/// late.
const EXPECTATION_RETRY: Duration = Duration::from_millis(100);
/// A deleted cluster that waits for its topic is reconciled again after this time.
const FINALIZE_RETRY: Duration = Duration::from_secs(10);

/// Reconciles a cluster as the controller asks for it: measured, bounded, and only in the leader.
pub async fn reconcile(object: Arc<DecodedCluster>, ctx: Arc<Context>) -> Result<Action, Error> {
    let key = ClusterKey::of(&*object);
    if !ctx.leadership.may_write() {
        return Ok(Action::await_change()); // a new leader reconciles all clusters
    }
    let mut memory = ctx.memories.check_out(&key);
    let pending = ctx.expectations.pending_kinds(&key);
    if !pending.is_empty() {
        let (why, report_after) = ctx.watch_health.explain(&pending, Instant::now());
        report::report_observe_failure(&ctx, &mut memory, &key, &why, report_after).await;
        return Ok(Action::requeue(EXPECTATION_RETRY));
    }
    let begun = Instant::now();
    let reconcile = async {
        match &object.0 {
            Ok(cluster) => reconcile_cluster(&ctx, &mut memory, cluster, &key).await,
            Err(invalid) => undecodable::reconcile(&ctx, &mut memory, invalid, &key).await,
        }
    };
    let result = tokio::time::timeout(RECONCILE_TIMEOUT, reconcile).await;
    ctx.metrics
        .reconcile_duration_seconds
        .observe(begun.elapsed().as_secs_f64());
    let action = result.map_err(|_| Error::ReconcileTimeout(RECONCILE_TIMEOUT))??;
    memory.record_success();
    Ok(action)
}

async fn reconcile_cluster(
    ctx: &Context,
    memory: &mut ClusterMemory,
    cluster: &PokerCluster,
    key: &ClusterKey,
) -> Result<Action, Error> {
    let live = ctx.stores.children(key);

    // finalize (client required)
    if finalizer::finalize(ctx, cluster, key, &live.deployments).await? {
        return Ok(Action::requeue(FINALIZE_RETRY));
    }

    // subscribe, observe (client required); validate, plan (pure)
    let (observed, valid, plan) = match observe_and_plan(ctx, memory, cluster, key, live).await {
        Ok(planned) => planned,
        Err(error) => {
            let why = format!("{}: {}", error.message(), error.hint());
            report::report_observe_failure(ctx, memory, key, &why, error.report_after()).await;
            return Err(error);
        }
    };
    if memory
        .observe_failure
        .take()
        .is_some_and(|failure| failure.is_reported())
    {
        tracing::info!(
            namespace = key.namespace,
            cluster = key.name,
            "the cluster can be observed again"
        );
    }

    // apply (client required)
    let applied = match &plan {
        Some(plan) => apply::apply(ctx, memory, key, &observed, plan).await?,
        None => Default::default(),
    };

    // report (client required)
    report::report(ctx, memory, key, &observed, &valid, plan, applied).await
}

async fn observe_and_plan(
    ctx: &Context,
    memory: &mut ClusterMemory,
    cluster: &PokerCluster,
    key: &ClusterKey,
    live: LiveChildren,
) -> Result<(Observed, Result<Validated, Invalid>, Option<Plan>), Error> {
    // subscribe (client required: it reads the token of Prometheus)
    let subscribed = subscribe::subscribe(ctx, memory, cluster, key, &live).await;

    // observe (client required)
    let mut observed = observe::observe(ctx, memory, cluster, key, live, subscribed).await?;

    // validate, plan (pure)
    let (valid, plan) = validate_and_plan(&observed);

    // observe objects that are not in the caches, under the names that the plan uses (client required)
    if let Some(plan) = &plan
        && uncached::read_uncached(ctx, key, &plan.children, &mut observed).await?
    {
        // such an object exists: validate and plan again (pure)
        let (valid, plan) = validate_and_plan(&observed);
        return Ok((observed, valid, plan));
    }
    Ok((observed, valid, plan))
}
