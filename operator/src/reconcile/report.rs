//! Reports a reconcile: status, events, and when to reconcile again.

use super::{apply::ApplyResult, context::Context, memory::ClusterMemory, observe_failure::ObserveFailure};
use crate::{cluster_key::ClusterKey, error::Error, leader::WRITE_TIMEOUT};
use jiff::Timestamp;
use kube::{
    Resource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::{
        controller::Action,
        events::{Event, EventType, Recorder},
    },
};
use poker_operator_api::{PokerCluster, PokerClusterStatus, names::managers};
use poker_operator_core::{
    observed::Observed,
    plan_result::{NewEvent, Outcome, Plan},
    status::{self, events},
    validate::{Invalid, Validated},
};
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// An invalid cluster is reconciled again after this time: what its spec refers to may exist by then.
const INVALID_RETRY: Duration = Duration::from_secs(15);

/// Writes the status if it changed, with one event per transition.
///
/// # Errors
/// When the status could not be written.
pub async fn report(
    ctx: &Context,
    memory: &mut ClusterMemory,
    key: &ClusterKey,
    observed: &Observed,
    valid: &Result<Validated, Invalid>,
    plan: Option<Plan>,
    applied: ApplyResult,
) -> Result<Action, Error> {
    let planned = plan.as_ref().map_or(INVALID_RETRY, |plan| plan.requeue_after);
    let planned = match valid {
        Ok(_) => planned,
        Err(_) => planned.min(INVALID_RETRY),
    };
    let requeue_after = applied.retry_after.map_or(planned, |retry| retry.min(planned));
    let outcome = match plan {
        None => Outcome::not_planned(),
        Some(plan) => Outcome {
            summary: Some(plan.summary),
            scale: plan.scale,
            applied: applied.children,
            failures: applied.failures,
            overridden: applied.overridden,
        },
    };
    memory.record_scale(&outcome.scale);
    let status = status::derive(valid, observed, &outcome);
    let before = observed.cluster.status.clone().unwrap_or_default();
    if !status::same(&before, &status) {
        write_status(ctx, &observed.cluster, key, &status).await?;
        let drained = outcome.summary.map(|summary| summary.drained).unwrap_or_default();
        for event in events::between(observed.cluster.status.as_ref(), &status, &drained) {
            record_event(ctx, &observed.cluster, &event).await;
        }
    }
    Ok(Action::requeue(requeue_after))
}

/// Reports that the cluster cannot be observed, once this has lasted for `report_after`. The rest of the status is kept.
pub async fn report_observe_failure(
    ctx: &Context,
    memory: &mut ClusterMemory,
    key: &ClusterKey,
    why: &str,
    report_after: Duration,
) {
    let now = Instant::now();
    let failure = memory
        .observe_failure
        .get_or_insert_with(|| ObserveFailure::since(now));
    if !failure.report_due(why, report_after, now) {
        return;
    }
    match write_observe_failure(ctx, key, why).await {
        Ok(()) => failure.record_report(why),
        Err(error) => tracing::debug!(
            error = error.message(),
            "cannot report that the cluster cannot be observed, retrying"
        ),
    }
}

async fn write_observe_failure(ctx: &Context, key: &ClusterKey, why: &str) -> Result<(), Error> {
    let action = format!("read PokerCluster {}", key.name);
    let api = ctx.api::<PokerCluster>(&key.namespace);
    // Not from the cache: it may be the one that is stale, and its old status must not overwrite the new one.
    let read = tokio::time::timeout(WRITE_TIMEOUT, api.get_opt(&key.name)).await;
    let read = read.map_err(|_| Error::Timeout {
        action: action.clone(),
        limit: WRITE_TIMEOUT,
    })?;
    let Some(cluster) = read.map_err(Error::api(action))? else {
        return Ok(()); // deleted
    };
    let status = status::observe_failed(&cluster, why, Timestamp::now());
    if status::same(&cluster.status.clone().unwrap_or_default(), &status) {
        return Ok(());
    }
    write_status(ctx, &cluster, key, &status).await?;
    for event in events::between(cluster.status.as_ref(), &status, &BTreeMap::new()) {
        record_event(ctx, &cluster, &event).await;
    }
    Ok(())
}

async fn write_status(
    ctx: &Context,
    cluster: &PokerCluster,
    key: &ClusterKey,
    status: &PokerClusterStatus,
) -> Result<(), Error> {
    let name = cluster.name_any();
    let patch = json!({
        "apiVersion": PokerCluster::api_version(&()),
        "kind": PokerCluster::kind(&()),
        // The uid: a cluster created since under the same name is another one.
        "metadata": {"name": name, "uid": cluster.metadata.uid},
        "status": status,
    });
    let api = ctx.api::<PokerCluster>(&key.namespace);
    let (params, patch) = (PatchParams::apply(managers::STATUS).force(), Patch::Apply(&patch));
    let action = format!("write the status of PokerCluster {name}");
    let written = ctx
        .write(
            "PokerClusterStatus",
            &action,
            api.patch_status(&name, &params, &patch),
        )
        .await?;
    ctx.expect(key, "PokerCluster", &written.metadata);
    Ok(())
}

/// Logs and records an event. A failure is only logged.
pub async fn record_event(ctx: &Context, cluster: &PokerCluster, new: &NewEvent) {
    tracing::info!(
        namespace = cluster.namespace(),
        cluster = cluster.name_any(),
        reason = new.reason,
        "{}",
        new.message
    );
    let event = Event {
        type_: if new.warning {
            EventType::Warning
        } else {
            EventType::Normal
        },
        reason: new.reason.clone(),
        note: Some(new.message.clone()),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    let reference = cluster.object_ref(&());
    let action = format!("record the event {}", new.reason);
    // A new recorder each time: one that is kept counts later events of a reason under the text of the first.
    let recorder = Recorder::new(ctx.client.clone(), ctx.reporter.clone());
    if let Err(error) = ctx
        .write("Event", &action, recorder.publish(&event, &reference))
        .await
    {
        tracing::info!(error = error.message(), "event is lost");
    }
}
