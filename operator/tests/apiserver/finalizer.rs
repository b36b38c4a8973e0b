//! The finalizer is there only for a topic that must be deleted, and holds nobody longer than that.

use crate::{
    faults::Faults,
    world::{PATIENCE, World},
};
use kube::{
    ResourceExt,
    api::DeleteParams,
    runtime::wait::{await_condition, conditions},
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
    let gone = await_condition(world.api::<PokerCluster>(), "demo", conditions::is_deleted(&uid));
    tokio::time::timeout(PATIENCE, gone).await.unwrap().unwrap();
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
