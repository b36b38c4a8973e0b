//! What became of a pass: status, events, and when to look again.

use crate::{cluster_key::ClusterKey, context::Context, error::Error, limits};
use jiff::Timestamp;
use kube::{
    Api, Resource, ResourceExt,
    api::{DynamicObject, Patch, PatchParams},
    core::{ApiResource, error_boundary::InvalidObject},
    runtime::{
        controller::Action,
        events::{Event, EventType, Recorder},
    },
};
use poker_operator_api::{
    PokerCluster, PokerClusterStatus,
    conditions::{reasons, types},
    names::{FINALIZER, managers},
};
use poker_operator_core::{
    children::{Applied, Children},
    observed::Observed,
    plan_result::{Failure, NewEvent, Outcome, Plan},
    status::{self, events},
    validate::{Invalid, Validated},
};
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// Writes the status where it says something new, with one event per transition.
///
/// # Errors
/// That of the apply step, after it was reported; or that the status could not be written.
pub async fn report(
    ctx: &Context,
    key: &ClusterKey,
    seen: &Observed,
    valid: &Result<Validated, Invalid>,
    plan: Option<Plan>,
    applied: Result<Children<Applied>, Error>,
) -> Result<Action, Error> {
    let (applied, error) = match applied {
        // The next pass follows at once, and will have something to say.
        Err(error) if error.is_passing() => return Err(error),
        Err(error) => (Err(failure(&error)), Some(error)),
        Ok(applied) => (Ok(applied), None),
    };
    let requeue_after = match &plan {
        Some(plan) => plan.requeue_after,
        None => Duration::from_secs(limits::INVALID_RETRY_SECONDS),
    };
    let outcome = match plan {
        None => Outcome::not_planned(),
        Some(plan) => Outcome {
            summary: Some(plan.summary),
            scale: plan.scale,
            applied,
        },
    };
    if error.is_none() {
        ctx.keep_scale_memory(key, &outcome.scale);
    }
    let status = status::derive(valid, seen, &outcome);
    let before = seen.cluster.status.clone().unwrap_or_default();
    if !status::same(&before, &status) {
        write_status(ctx, &seen.cluster, key, &status).await?;
        let drained = outcome.summary.map(|summary| summary.drained).unwrap_or_default();
        for draft in events::between(seen.cluster.status.as_ref(), &status, &drained) {
            event(ctx, &seen.cluster, &draft).await;
        }
    }
    match error {
        Some(error) => Err(error),
        None => Ok(Action::requeue(requeue_after)),
    }
}

fn failure(error: &Error) -> Failure {
    match error {
        Error::Failed(failure) => failure.clone(),
        error => Failure {
            reason: reasons::APPLY_FAILED,
            message: error.line(),
        },
    }
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
        // The uid: a namesake that was made since is another cluster.
        "metadata": {"name": name, "uid": cluster.metadata.uid},
        "status": status,
    });
    let api = ctx.api::<PokerCluster>(&key.0);
    let (params, patch) = (PatchParams::apply(managers::STATUS).force(), Patch::Apply(&patch));
    let what = format!("write the status of PokerCluster {name}");
    let written = ctx
        .write(
            "PokerClusterStatus",
            &what,
            api.patch_status(&name, &params, &patch),
        )
        .await?;
    ctx.wrote(key, "PokerCluster", &written.metadata);
    Ok(())
}

/// Logs and records an event. That one is lost stops nothing.
pub async fn event(ctx: &Context, cluster: &PokerCluster, draft: &NewEvent) {
    tracing::info!(
        namespace = cluster.namespace(),
        cluster = cluster.name_any(),
        reason = draft.reason,
        "{}",
        draft.message
    );
    let event = Event {
        type_: if draft.warning {
            EventType::Warning
        } else {
            EventType::Normal
        },
        reason: draft.reason.clone(),
        note: Some(draft.message.clone()),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    let reference = cluster.object_ref(&());
    let what = format!("record the event {}", draft.reason);
    // A recorder of its own: one that is kept counts later events of a reason under the first one's text.
    let recorder = Recorder::new(ctx.client.clone(), ctx.reporter.clone());
    if let Err(error) = ctx
        .write("Event", &what, recorder.publish(&event, &reference))
        .await
    {
        tracing::info!(error = error.line(), "event is lost");
    }
}

/// Says on a cluster that it cannot be observed, once that has lasted, and leaves all else in its status.
pub async fn blind(ctx: &Context, key: &ClusterKey, why: &str, patience: Duration) {
    if !ctx.is_blind(key, why, patience, Instant::now()) {
        return;
    }
    match tell_blind(ctx, key, why).await {
        Ok(()) => ctx.told_blind(key, why),
        Err(error) => tracing::debug!(error = error.line(), "that it cannot be observed cannot be told"),
    }
}

async fn tell_blind(ctx: &Context, key: &ClusterKey, why: &str) -> Result<(), Error> {
    let what = format!("read PokerCluster {}", key.1);
    let api = ctx.api::<PokerCluster>(&key.0);
    // Read anew: it may be the cache that is behind, and its old status must not be written over the new one.
    let read = tokio::time::timeout(limits::WRITE_TIMEOUT, api.get_opt(&key.1)).await;
    let read = read.map_err(|_| Error::Timeout { what: what.clone() })?;
    let Some(cluster) = read.map_err(Error::api(what))? else {
        return Ok(()); // gone
    };
    let status = status::observe_failed(&cluster, why, Timestamp::now());
    if status::same(&cluster.status.clone().unwrap_or_default(), &status) {
        return Ok(());
    }
    write_status(ctx, &cluster, key, &status).await?;
    for draft in events::between(cluster.status.as_ref(), &status, &BTreeMap::new()) {
        event(ctx, &cluster, &draft).await;
    }
    Ok(())
}

/// Says on an object that cannot be decoded what is wrong with it, once for each version, and waits.
///
/// # Errors
/// When that could not be written.
pub async fn undecodable(ctx: &Context, invalid: &InvalidObject, key: &ClusterKey) -> Result<Action, Error> {
    if invalid.metadata.deletion_timestamp.is_some() {
        return let_go(ctx, invalid, key).await;
    }
    if ctx.has_told(key, &invalid.metadata) {
        return Ok(Action::await_change());
    }
    tracing::warn!(
        namespace = key.0,
        cluster = key.1,
        error = invalid.error,
        "object cannot be decoded"
    );
    let api = untyped(ctx, key);
    let message = format!("the object cannot be decoded: {}: correct it", invalid.error);
    let condition = json!({
        "type": types::READY, "status": "False", "reason": reasons::INVALID, "message": message,
        "lastTransitionTime": Timestamp::now().to_string(),
        "observedGeneration": invalid.metadata.generation,
    });
    // Only the conditions: nothing is known of the rest. They come back with the next good version.
    let patch = Patch::Merge(
        json!({"metadata": {"uid": invalid.metadata.uid}, "status": {"conditions": [condition]}}),
    );
    let what = format!("write the status of PokerCluster {}", key.1);
    let params = PatchParams::default();
    match ctx
        .write(
            "PokerClusterStatus",
            &what,
            api.patch_status(&key.1, &params, &patch),
        )
        .await
    {
        Err(error) if error.label() == "NotFound" => Ok(Action::await_change()),
        Err(error) => Err(error),
        Ok(written) => {
            ctx.told(key, &invalid.metadata);
            ctx.wrote(key, "PokerCluster", &written.metadata);
            Ok(Action::await_change())
        }
    }
}

/// PokerClusters as they stand, decodable or not.
fn untyped(ctx: &Context, key: &ClusterKey) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<PokerCluster>(&());
    Api::namespaced_with(ctx.client.clone(), &key.0, &resource)
}

/// Takes our finalizer from an object that is being deleted and cannot be decoded: nobody knows of its topic.
async fn let_go(ctx: &Context, invalid: &InvalidObject, key: &ClusterKey) -> Result<Action, Error> {
    let finalizers = invalid.metadata.finalizers.iter().flatten();
    let (ours, others): (Vec<_>, Vec<_>) = finalizers.partition(|name| *name == FINALIZER);
    if ours.is_empty() {
        return Ok(Action::await_change());
    }
    let meta = json!({
        "uid": invalid.metadata.uid, "resourceVersion": invalid.metadata.resource_version, "finalizers": others,
    });
    let api = untyped(ctx, key);
    let (params, patch) = (PatchParams::default(), Patch::Merge(json!({"metadata": meta})));
    let what = format!("take the finalizer from PokerCluster {}", key.1);
    match ctx
        .write("PokerCluster", &what, api.patch(&key.1, &params, &patch))
        .await
    {
        Err(error) if error.label() == "NotFound" => {}
        Err(error) => return Err(error),
        Ok(_) => tracing::warn!(
            namespace = key.0,
            cluster = key.1,
            "deleted without being decoded: its Kafka topic, if any, is left behind"
        ),
    }
    Ok(Action::await_change())
}
