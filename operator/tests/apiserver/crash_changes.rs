//! The operator crashes after any write of a change to a running cluster: the next one converges to the same children.

use crate::{
    crash::{Run, every_write, shape},
    faults::{Fault, Faults},
    world::{Kubelet, Operator, World},
};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{ResourceExt, api::ListParams};
use poker_operator_api::PokerCluster;
use serde_json::{Value, json};
use std::ops::Range;

/// The runs mostly wait, for pods and for deadlines.
const RUNS_AT_ONCE: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    ScaleIn,
    Version,
    /// Of the whole cluster, which has a finalizer.
    Deletion,
}

impl Change {
    fn before(self) -> Value {
        // Draining ends at once: no pod here can report that it is drained.
        json!({
            "version": "1.0.0",
            "gateway": {"replicas": 1, "drainDeadlineSeconds": 0},
            "shards": {"replicas": if self == Self::ScaleIn { 2 } else { 1 }, "drainDeadlineSeconds": 0},
            "kafka": {
                "external": {"bootstrapServers": ["127.0.0.1:1"]},
                "topic": {"deletionPolicy": if self == Self::Deletion { "Delete" } else { "Retain" }},
            },
        })
    }

    /// The writes that it takes, roughly: statuses depend on what is ready when.
    fn writes(self) -> Range<usize> {
        match self {
            Self::ScaleIn => 4..30,
            Self::Version => 8..50,
            Self::Deletion => 3..15,
        }
    }

    async fn begin(self, world: &World) {
        let patch = match self {
            Self::ScaleIn => json!({"shards": {"replicas": 1}}),
            Self::Version => json!({"version": "2.0.0"}),
            Self::Deletion => return world.delete("demo").await,
        };
        world.patch("demo", json!({ "spec": patch })).await.unwrap();
    }

    async fn end(self, world: &World, operator: &Operator) {
        if self == Self::Deletion {
            return until_deleted(world).await;
        }
        world.until_settled("demo").await;
        operator.until_quiet(world, "demo").await;
    }
}

/// Waits until all writers of the topic are deleted; then retains the topic, as no broker answers here.
async fn until_deleted(world: &World) {
    let writers = ListParams::default().labels("app.kubernetes.io/component in (shard, worker)");
    for writer in world.api::<Deployment>().list(&writers).await.unwrap() {
        let uid = writer.uid().unwrap();
        world.until_gone::<Deployment>(&writer.name_any(), &uid).await;
    }
    let cluster: Option<PokerCluster> = world.api().get_opt("demo").await.unwrap();
    if let Some(uid) = cluster.and_then(|cluster| cluster.uid()) {
        let retain = json!({"spec": {"kafka": {"topic": {"deletionPolicy": "Retain"}}}});
        // It may be deleted just now.
        let _ = world.patch("demo", retain).await;
        world.until_gone::<PokerCluster>("demo", &uid).await;
    }
    world.until_childless().await;
}

/// The change with an operator that crashes after its nth write, then with a second one.
async fn run(name: &str, change: Change, crashes_after: Option<usize>) -> Run {
    let world = World::new(name).await;
    let faults = Faults::none();
    let operator = world.operator("a", &faults).await;
    let _kubelet = Kubelet::start(&world);
    world.create("demo", change.before()).await.unwrap();
    world.until_settled("demo").await;
    operator.until_quiet(&world, "demo").await;
    let before = faults.writes().len();
    if let Some(nth) = crashes_after {
        faults.plan(before + nth, Fault::Crash);
    }
    change.begin(&world).await;
    tokio::select! {
        () = faults.crashed.cancelled() => {}
        () = change.end(&world, &operator) => {}
    }
    let (writes, struck) = (faults.writes().len() - before, faults.struck());
    drop(operator);
    // The same identity takes the lease at once, as a container that restarts in its pod does.
    let next = world.operator("a", &Faults::none()).await;
    change.end(&world, &next).await;
    let shape = shape(&world).await;
    next.stop().await;
    world.remove().await;
    Run {
        shape,
        writes,
        struck,
    }
}

async fn sweep(name: &str, change: Change) {
    let reference = run(name, change, None).await;
    let writes = reference.writes;
    assert!(change.writes().contains(&writes), "{writes} writes");
    let what = format!("{change:?}, crash after write");
    every_write(&what, &reference, RUNS_AT_ONCE, async |nth| {
        run(&format!("{name}-{nth}"), change, Some(nth)).await
    })
    .await;
}

#[tokio::test]
async fn a_crash_after_any_write_of_a_scale_in_converges_to_the_same_children() {
    sweep("crash-in", Change::ScaleIn).await;
}

#[tokio::test]
async fn a_crash_after_any_write_of_a_new_version_converges_to_the_same_children() {
    sweep("crash-version", Change::Version).await;
}

#[tokio::test]
async fn a_crash_after_any_write_of_a_deletion_leaves_nothing() {
    sweep("crash-delete", Change::Deletion).await;
}
