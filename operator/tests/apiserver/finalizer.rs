//! The finalizer is there only for a topic that must be deleted, and holds nobody longer than that.

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

/// A Kafka where nobody answers.
fn with_policy(policy: &str) -> Value {
    let kafka =
        json!({"external": {"bootstrapServers": ["127.0.0.1:1"]}, "topic": {"deletionPolicy": policy}});
    json!({"version": "1.0.0", "kafka": kafka})
}

fn is_held(cluster: &PokerCluster) -> bool {
    cluster
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == FINALIZER)
}

#[tokio::test]
async fn finalizer_follows_the_deletion_policy() {
    let world = World::new("finalizer").await;
    let _operator = world.operator("a", &Faults::none()).await;
    world.create("demo", with_policy("Delete")).await.unwrap();
    world.until::<PokerCluster>("demo", "held", is_held).await;
    world
        .patch("demo", json!({"spec": with_policy("Retain")}))
        .await
        .unwrap();
    world
        .until::<PokerCluster>("demo", "free", |cluster| !is_held(cluster))
        .await;
    world
        .patch("demo", json!({"spec": with_policy("Delete")}))
        .await
        .unwrap();
    world.until::<PokerCluster>("demo", "held", is_held).await;

    let deleted = world
        .api::<PokerCluster>()
        .delete("demo", &DeleteParams::default())
        .await
        .unwrap();
    let uid = deleted.left().expect("it is held").uid().unwrap();
    // Its brokers do not answer, so it waits; to retain the topic needs no broker.
    world
        .patch("demo", json!({"spec": with_policy("Retain")}))
        .await
        .unwrap();
    world.until_gone::<PokerCluster>("demo", &uid).await;
}

#[tokio::test]
async fn shards_and_workers_end_before_the_topic_goes() {
    let world = World::new("writers").await;
    let _operator = world.operator("a", &Faults::none()).await;
    let _kubelet = Kubelet::start(&world);
    world.create("demo", with_policy("Delete")).await.unwrap();
    world.until::<PokerCluster>("demo", "held", is_held).await;
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
    let uid = deleted.left().expect("it is held").uid().unwrap();
    let worker: Option<Deployment> = world.api().get_opt("demo-worker").await.unwrap();
    if let Some(uid) = worker.and_then(|worker| worker.uid()) {
        world.until_gone::<Deployment>("demo-worker", &uid).await;
    }
    // Of this shard a pod has not ended: it stays to be seen, and the cluster waits for it.
    let is_ending = |shard: &Deployment| shard.metadata.deletion_timestamp.is_some();
    world
        .until::<Deployment>(&shard.name_any(), "being deleted", is_ending)
        .await;
    world.until::<PokerCluster>("demo", "held", is_held).await;
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
    assert!(!is_held(&cluster));
}
