//! The finalizer exists only for a topic that must be deleted, and blocks deletion no longer than that.

use crate::{
    faults::Faults,
    world::{Kubelet, World},
};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use poker_operator_api::{PokerCluster, names::FINALIZER};
use serde_json::{Value, json};

/// A Kafka that does not answer.
fn with_policy(policy: &str) -> Value {
    let kafka =
        json!({"external": {"bootstrapServers": ["127.0.0.1:1"]}, "topic": {"deletionPolicy": policy}});
    json!({"version": "1.0.0", "kafka": kafka})
}

fn has_finalizer(cluster: &PokerCluster) -> bool {
    cluster
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == FINALIZER)
}

#[tokio::test]
async fn the_finalizer_follows_the_deletion_policy() {
    let world = World::new("finalizer").await;
    let _operator = world.operator("a", &Faults::none()).await;
    world.create("demo", with_policy("Delete")).await.unwrap();
    world
        .until::<PokerCluster>("demo", "with a finalizer", has_finalizer)
        .await;
    world
        .patch("demo", json!({"spec": with_policy("Retain")}))
        .await
        .unwrap();
    world
        .until::<PokerCluster>("demo", "without finalizer", |cluster| !has_finalizer(cluster))
        .await;
    world
        .patch("demo", json!({"spec": with_policy("Delete")}))
        .await
        .unwrap();
    world
        .until::<PokerCluster>("demo", "with a finalizer", has_finalizer)
        .await;

    let deleted = world
        .api::<PokerCluster>()
        .delete("demo", &DeleteParams::default())
        .await
        .unwrap();
    let uid = deleted.left().expect("the finalizer blocks it").uid().unwrap();
    // Kafka does not answer, so the deletion waits. Retaining the topic needs no Kafka.
    world
        .patch("demo", json!({"spec": with_policy("Retain")}))
        .await
        .unwrap();
    world.until_gone::<PokerCluster>("demo", &uid).await;
}

#[tokio::test]
async fn shards_and_workers_are_deleted_before_the_topic() {
    let world = World::new("writers").await;
    let _operator = world.operator("a", &Faults::none()).await;
    let _kubelet = Kubelet::start(&world);
    world.create("demo", with_policy("Delete")).await.unwrap();
    world
        .until::<PokerCluster>("demo", "with a finalizer", has_finalizer)
        .await;
    world.until::<Deployment>("demo-worker", "ready", is_ready).await;
    let shards = ListParams::default().labels("app.kubernetes.io/component=shard");
    let shard = world
        .api::<Deployment>()
        .list(&shards)
        .await
        .unwrap()
        .items
        .remove(0);
    world
        .until::<Deployment>(&shard.name_any(), "ready", is_ready)
        .await;
    let labels = format!(
        "app.kubernetes.io/component=shard,planningpoker.dev/shard={}",
        shard.labels()["planningpoker.dev/shard"]
    );
    let pod = world
        .api::<Pod>()
        .list(&ListParams::default().labels(&labels))
        .await
        .unwrap()
        .items
        .remove(0);
    hold(&world, &pod.name_any(), &["test/hold"]).await;

    let deleted = world
        .api::<PokerCluster>()
        .delete("demo", &DeleteParams::background())
        .await
        .unwrap();
    let uid = deleted.left().expect("the finalizer blocks it").uid().unwrap();
    let worker: Option<Deployment> = world.api().get_opt("demo-worker").await.unwrap();
    if let Some(uid) = worker.and_then(|worker| worker.uid()) {
        world.until_gone::<Deployment>("demo-worker", &uid).await;
    }
    // A pod of this shard has not ended: its Deployment remains, and the cluster waits for it.
    let is_terminating = |shard: &Deployment| shard.metadata.deletion_timestamp.is_some();
    world
        .until::<Deployment>(&shard.name_any(), "being deleted", is_terminating)
        .await;
    world
        .until::<PokerCluster>("demo", "with a finalizer", has_finalizer)
        .await;
    hold(&world, &pod.name_any(), &[]).await;
    world
        .until_gone::<Deployment>(&shard.name_any(), &shard.uid().unwrap())
        .await;

    let retain = json!({"spec": with_policy("Retain")});
    world.patch("demo", retain).await.unwrap();
    world.until_gone::<PokerCluster>("demo", &uid).await;
}

fn is_ready(deployment: &Deployment) -> bool {
    let ready = deployment
        .status
        .as_ref()
        .and_then(|status| status.ready_replicas);
    ready.unwrap_or_default() > 0
}

async fn hold(world: &World, pod: &str, finalizers: &[&str]) {
    let patch = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    world
        .api::<Pod>()
        .patch(pod, &PatchParams::default(), &patch)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_managed_kafka_needs_no_finalizer() {
    let world = World::new("managed").await;
    let operator = world.operator("a", &Faults::none()).await;
    let spec = json!({"version": "1.0.0", "kafka": {"topic": {"deletionPolicy": "Delete"}}});
    world.create("demo", spec).await.unwrap();
    operator.until_quiet(&world, "demo").await;
    let cluster: PokerCluster = world.api().get("demo").await.unwrap();
    assert!(!has_finalizer(&cluster));
}
