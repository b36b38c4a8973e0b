//! Objects that cannot be decoded: their status reports the mistake, and their deletion is not blocked.

use super::{context::Context, memory::ClusterMemory};
use crate::{cluster_key::ClusterKey, error::Error};
use jiff::Timestamp;
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams},
    core::{ApiResource, error_boundary::InvalidObject},
    runtime::controller::Action,
};
use poker_operator_api::{
    PokerCluster,
    conditions::{reasons, types},
    names::FINALIZER,
};
use serde_json::json;

/// Reports the mistake once for each version of the object, and waits for the next.
///
/// # Errors
/// When that could not be written.
pub async fn reconcile(
    ctx: &Context,
    memory: &mut ClusterMemory,
    invalid: &InvalidObject,
    key: &ClusterKey,
) -> Result<Action, Error> {
    let meta = &invalid.metadata;
    if meta.deletion_timestamp.is_some() {
        remove_finalizer_undecodable(ctx, invalid, key).await?;
    } else if !memory.is_undecodable_reported(meta) && report(ctx, invalid, key).await? {
        memory.record_undecodable(meta);
    }
    Ok(Action::await_change())
}

/// Returns false when the object is gone.
async fn report(ctx: &Context, invalid: &InvalidObject, key: &ClusterKey) -> Result<bool, Error> {
    tracing::warn!(
        namespace = key.namespace,
        cluster = key.name,
        error = invalid.error,
        "object cannot be decoded"
    );
    let message = format!("the object cannot be decoded: {}: correct it", invalid.error);
    let condition = json!({
        "type": types::READY, "status": "False", "reason": reasons::INVALID_SPEC, "message": message,
        "lastTransitionTime": Timestamp::now().to_string(),
        "observedGeneration": invalid.metadata.generation,
    });
    // Only the conditions: nothing is known of the rest. They come back with the next valid version.
    let patch = Patch::Merge(
        json!({"metadata": {"uid": invalid.metadata.uid}, "status": {"conditions": [condition]}}),
    );
    let (api, params) = (untyped(ctx, key), PatchParams::default());
    let request = api.patch_status(&key.name, &params, &patch);
    let action = format!("write the status of PokerCluster {}", key.name);
    match ctx.write("PokerClusterStatus", &action, request).await {
        Ok(written) => {
            ctx.expect(key, "PokerCluster", &written.metadata);
            Ok(true)
        }
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes our finalizer from an object that is being deleted: which topic to delete cannot be read from it.
async fn remove_finalizer_undecodable(
    ctx: &Context,
    invalid: &InvalidObject,
    key: &ClusterKey,
) -> Result<(), Error> {
    let finalizers = invalid.metadata.finalizers.iter().flatten();
    let (ours, others): (Vec<_>, Vec<_>) = finalizers.partition(|name| *name == FINALIZER);
    if ours.is_empty() {
        return Ok(());
    }
    let patch = Patch::Merge(json!({"metadata": {
        "uid": invalid.metadata.uid, "resourceVersion": invalid.metadata.resource_version, "finalizers": others,
    }}));
    let (api, params) = (untyped(ctx, key), PatchParams::default());
    let request = api.patch(&key.name, &params, &patch);
    let action = format!("remove the finalizer of PokerCluster {}", key.name);
    match ctx.write("PokerCluster", &action, request).await {
        Ok(_) => tracing::warn!(
            namespace = key.namespace,
            cluster = key.name,
            "deleted an object that cannot be decoded; its Kafka topic, if any, is left behind"
        ),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// PokerClusters, decodable or not.
fn untyped(ctx: &Context, key: &ClusterKey) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<PokerCluster>(&());
    Api::namespaced_with(ctx.client.clone(), &key.namespace, &resource)
}
