//! The finalizer. It does only what owner references cannot: delete the topic in a Kafka that outlives the
//! cluster, after everything that writes to it has ended. A managed Kafka is deleted with the cluster, and its topics
//! with it.

use super::{context::Context, report};
use crate::{
    cluster_key::ClusterKey,
    error::Error,
    kafka::topic_manager::{Deletion, Topic},
};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use poker_operator_api::{ClusterNames, Component, PokerCluster, names::FINALIZER};
use poker_operator_core::{limits::SHARD_GRACE_SECONDS, plan_result::NewEvent, topic};
use serde_json::json;

/// The topic of a deleted cluster is deleted after this time, even if a pod that uses it has not ended: one on a lost
/// node never ends. It exceeds the termination grace period of shards.
const WRITERS_DEADLINE_SECONDS: i64 = 90;
/// A finalizer waits this long for pods and an unreachable Kafka, then it is removed.
const FINALIZE_DEADLINE_SECONDS: i64 = 180;

const _: () = assert!(
    SHARD_GRACE_SECONDS < WRITERS_DEADLINE_SECONDS && WRITERS_DEADLINE_SECONDS < FINALIZE_DEADLINE_SECONDS,
    "shards have time to end before the topic is deleted, and the topic to be deleted before the cluster is"
);

/// The next step of the finalizer.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Nothing: continue the reconcile.
    Continue,
    /// Nothing: the object is being deleted, and does not have our finalizer.
    Ignore,
    Add,
    Remove,
    /// Delete the Deployments that use the topic: a shard that still writes would create it again.
    EndWriters,
    /// Delete the topic, then remove the finalizer.
    DeleteTopic,
    /// The deadline has passed: remove the finalizer once a deletion was tried, even if it failed.
    GiveUp,
}

/// Decides from the object and whether Deployments of shards or workers still have pods.
fn step(cluster: &PokerCluster, has_writers: bool, now: Timestamp) -> Step {
    let desired = topic::to_delete(cluster).is_some();
    let present = cluster
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == FINALIZER);
    let age = |since: Timestamp| now.duration_since(since).as_secs();
    match (&cluster.metadata.deletion_timestamp, desired, present) {
        (None, true, false) => Step::Add,
        (None, false, true) => Step::Remove,
        (None, _, _) => Step::Continue,
        (Some(_), _, false) => Step::Ignore,
        (Some(_), false, true) => Step::Remove,
        (Some(since), true, true) if age(since.0) > FINALIZE_DEADLINE_SECONDS => Step::GiveUp,
        (Some(since), true, true) if has_writers && age(since.0) <= WRITERS_DEADLINE_SECONDS => {
            Step::EndWriters
        }
        (Some(_), true, true) => Step::DeleteTopic,
    }
}

/// Takes one step; returns true when the reconcile ends with it.
///
/// # Errors
/// When the object could not be patched.
pub async fn finalize(
    ctx: &Context,
    cluster: &PokerCluster,
    key: &ClusterKey,
    live: &[Deployment],
) -> Result<bool, Error> {
    let names = key.object_names();
    let topic = Topic::of(cluster, &names);
    let writers = writers(live, cluster, &names);
    let step = step(cluster, !writers.is_empty(), Timestamp::now());
    match step {
        Step::Continue => return Ok(false),
        Step::Ignore => {}
        Step::Add => {
            let ours = cluster.finalizers().iter().cloned().chain([FINALIZER.to_owned()]);
            set(ctx, cluster, key, ours.collect()).await?;
        }
        Step::Remove => remove(ctx, cluster, key).await?,
        Step::EndWriters => {
            for writer in writers {
                delete_writer(ctx, key, writer).await?;
            }
        }
        Step::DeleteTopic | Step::GiveUp => match (ctx.topics.delete(key, &topic), step) {
            (Deletion::Done, _) => remove(ctx, cluster, key).await?,
            (Deletion::Failing, Step::GiveUp) => {
                report::record_event(ctx, cluster, &left_behind(&topic)).await;
                remove(ctx, cluster, key).await?;
            }
            (Deletion::Failing | Deletion::Pending, _) => {}
        },
    }
    Ok(true)
}

/// Deployments of this cluster that use the topic; one that is being deleted counts until its last pod is gone.
fn writers<'a>(live: &'a [Deployment], cluster: &PokerCluster, names: &ClusterNames) -> Vec<&'a Deployment> {
    let worker = names.component(Component::Worker);
    let uses = |name: &str| name == worker || names.parse_shard(name).is_some();
    let owned = |deployment: &Deployment| {
        let mut owners = deployment.owner_references().iter();
        owners.any(|owner| Some(&owner.uid) == cluster.metadata.uid.as_ref())
    };
    live.iter()
        .filter(|deployment| uses(&deployment.name_any()) && owned(deployment))
        .collect()
}

/// Deletes a Deployment in the foreground: it stays visible until all of its pods are gone.
async fn delete_writer(ctx: &Context, key: &ClusterKey, deployment: &Deployment) -> Result<(), Error> {
    if deployment.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    let name = deployment.name_any();
    let params = DeleteParams::foreground().preconditions(Preconditions {
        uid: deployment.uid(),
        resource_version: None,
    });
    let api = ctx.api::<Deployment>(&key.namespace);
    let action = format!("delete Deployment {name}");
    match ctx.write("Deployment", &action, api.delete(&name, &params)).await {
        Ok(_) => tracing::info!(kind = "Deployment", name, "deleted before the topic"),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

fn left_behind(topic: &Topic) -> NewEvent {
    NewEvent {
        reason: "TopicLeftBehind".to_owned(),
        message: format!(
            "topic {} could not be deleted: its brokers did not answer; delete it with Kafka's own tools",
            topic.name
        ),
        warning: true,
    }
}

async fn remove(ctx: &Context, cluster: &PokerCluster, key: &ClusterKey) -> Result<(), Error> {
    let others = cluster
        .finalizers()
        .iter()
        .filter(|finalizer| *finalizer != FINALIZER)
        .cloned();
    set(ctx, cluster, key, others.collect()).await
}

/// Fails with a conflict when anything about the object has changed since it was read.
async fn set(
    ctx: &Context,
    cluster: &PokerCluster,
    key: &ClusterKey,
    finalizers: Vec<String>,
) -> Result<(), Error> {
    let patch = json!({"metadata": {
        "resourceVersion": cluster.metadata.resource_version,
        "uid": cluster.metadata.uid,
        "finalizers": finalizers,
    }});
    let (api, name) = (ctx.api::<PokerCluster>(&key.namespace), cluster.name_any());
    let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
    let action = format!("set the finalizers of PokerCluster {name}");
    match ctx
        .write(
            "PokerCluster",
            &action,
            api.patch_metadata(&name, &params, &patch),
        )
        .await
    {
        Ok(patched) => ctx.expect(key, "PokerCluster", &patched.metadata),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn cluster(policy: &str, finalizer: bool, deleted_at: Option<&str>, external: bool) -> PokerCluster {
        let mut kafka = json!({"topic": {"deletionPolicy": policy}});
        if external {
            kafka["external"] = json!({"bootstrapServers": ["kafka:9092"]});
        }
        let finalizers: Vec<&str> = if finalizer {
            vec!["other/one", FINALIZER]
        } else {
            vec!["other/one"]
        };
        let object: Value = json!({
            "apiVersion": "planningpoker.dev/v1alpha1", "kind": "PokerCluster",
            "metadata": {"name": "demo", "finalizers": finalizers, "deletionTimestamp": deleted_at},
            "spec": {"version": "1.0.0", "kafka": kafka},
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn the_step_follows_from_policy_finalizer_age_and_writers() {
        let now: Timestamp = "2026-01-01T00:10:00Z".parse().unwrap();
        let recently = Some("2026-01-01T00:09:30Z");
        let a_while_ago = Some("2026-01-01T00:08:20Z");
        let long_ago = Some("2026-01-01T00:00:00Z");
        let table = [
            (cluster("Retain", false, None, true), true, Step::Continue),
            (cluster("Delete", false, None, false), true, Step::Continue),
            (cluster("Delete", false, None, true), true, Step::Add),
            (cluster("Delete", true, None, true), true, Step::Continue),
            (cluster("Retain", true, None, true), true, Step::Remove),
            (cluster("Delete", false, recently, true), true, Step::Ignore),
            (cluster("Retain", true, recently, true), true, Step::Remove),
            (cluster("Delete", true, recently, false), true, Step::Remove),
            (cluster("Delete", true, recently, true), true, Step::EndWriters),
            (cluster("Delete", true, recently, true), false, Step::DeleteTopic),
            (
                cluster("Delete", true, a_while_ago, true),
                true,
                Step::DeleteTopic,
            ),
            (cluster("Delete", true, long_ago, true), true, Step::GiveUp),
        ];
        for (cluster, has_writers, expected) in table {
            let step = step(&cluster, has_writers, now);
            assert_eq!(step, expected, "{has_writers} {:?}", cluster.metadata);
        }
    }
}
