//! The finalizer. It does only what owner references cannot: delete the topic in a Kafka that outlives the
//! cluster. A managed Kafka goes with the cluster, and its topics with it.

use crate::{
    broker::{Deletion, Topic},
    context::Context,
    error::Error,
    fence::ClusterKey,
    limits, observe, report,
};
use jiff::{SignedDuration, Timestamp};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use poker_operator_api::{ClusterNames, PokerCluster, names::FINALIZER};
use poker_operator_core::{outcome::EventDraft, topic};
use serde_json::json;

/// What to do about the finalizer.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: go on with the pass.
    GoOn,
    /// The object is being deleted and nothing of ours holds it.
    LeaveAlone,
    Add,
    Remove,
    /// Delete the topic, then remove.
    CleanUp,
    /// Its time is up: remove the finalizer once a deletion was tried, also in vain.
    GiveUp,
}

/// Decides from the object alone.
pub fn step(cluster: &PokerCluster, now: Timestamp) -> Step {
    let wanted = topic::finalized(cluster).is_some();
    let present = cluster
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == FINALIZER);
    let deadline = SignedDuration::from_secs(limits::FINALIZE_DEADLINE_SECONDS);
    match (&cluster.metadata.deletion_timestamp, wanted, present) {
        (None, true, false) => Step::Add,
        (None, false, true) => Step::Remove,
        (None, _, _) => Step::GoOn,
        (Some(_), _, false) => Step::LeaveAlone,
        (Some(_), false, true) => Step::Remove,
        (Some(since), true, true) if now.duration_since(since.0) > deadline => Step::GiveUp,
        (Some(_), true, true) => Step::CleanUp,
    }
}

/// Takes a step; true when the pass ends here.
///
/// # Errors
/// When the object could not be patched.
pub async fn finalize(ctx: &Context, cluster: &PokerCluster, key: &ClusterKey) -> Result<bool, Error> {
    let topic = observe::topic(cluster, &ClusterNames::new(&key.0, &key.1));
    let step = step(cluster, Timestamp::now());
    match step {
        Step::GoOn => return Ok(false),
        Step::LeaveAlone => {}
        Step::Add => {
            let ours = cluster.finalizers().iter().cloned().chain([FINALIZER.to_owned()]);
            set(ctx, cluster, key, ours.collect()).await?;
        }
        Step::Remove => remove(ctx, cluster, key).await?,
        Step::CleanUp | Step::GiveUp => match (ctx.broker.delete(key, &topic), step) {
            (Deletion::Done, _) => remove(ctx, cluster, key).await?,
            (Deletion::Failing, Step::GiveUp) => {
                report::event(ctx, cluster, &left_behind(&topic)).await;
                remove(ctx, cluster, key).await?;
            }
            (Deletion::Failing | Deletion::Pending, _) => {}
        },
    }
    Ok(true)
}

fn left_behind(topic: &Topic) -> EventDraft {
    EventDraft {
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
    let (api, name) = (ctx.api::<PokerCluster>(&key.0), cluster.name_any());
    let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
    let what = format!("set the finalizers of PokerCluster {name}");
    match ctx
        .write("PokerCluster", &what, api.patch_metadata(&name, &params, &patch))
        .await
    {
        Err(Error::Api { source, .. }) if matches!(&*source, kube::Error::Api(status) if status.code == 404) => {
            Ok(())
        }
        Err(error) => Err(error),
        Ok(patched) => {
            ctx.wrote(key, "PokerCluster", &patched.metadata);
            Ok(())
        }
    }
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
    fn steps() {
        let now: Timestamp = "2026-01-01T00:10:00Z".parse().unwrap();
        let recently = Some("2026-01-01T00:09:00Z");
        let long_ago = Some("2026-01-01T00:00:00Z");
        let table = [
            (cluster("Retain", false, None, true), Step::GoOn),
            (cluster("Delete", false, None, false), Step::GoOn),
            (cluster("Delete", false, None, true), Step::Add),
            (cluster("Delete", true, None, true), Step::GoOn),
            (cluster("Retain", true, None, true), Step::Remove),
            (cluster("Delete", false, recently, true), Step::LeaveAlone),
            (cluster("Retain", true, recently, true), Step::Remove),
            (cluster("Delete", true, recently, false), Step::Remove),
            (cluster("Delete", true, recently, true), Step::CleanUp),
            (cluster("Delete", true, long_ago, true), Step::GiveUp),
        ];
        for (cluster, expected) in table {
            assert_eq!(step(&cluster, now), expected, "{:?}", cluster.metadata);
        }
    }
}
