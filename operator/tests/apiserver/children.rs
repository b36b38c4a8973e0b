//! The children of a PokerCluster: created, restored, left alone and deleted.

use crate::{faults::Faults, world::World};
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::Service,
};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use poker_operator_api::PokerCluster;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn minimal() -> Value {
    json!({"version": "1.0.0"})
}

/// Fields that stay the same when the operator writes nothing. Controllers write the status of some kinds, which
/// changes the resource version but not the generation.
fn versions(children: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let version = |child: &Value| {
        let meta = &child["metadata"];
        let generation = meta.get("generation").unwrap_or(&meta["resourceVersion"]);
        json!([
            generation,
            meta["annotations"]["planningpoker.dev/planned"],
            meta["labels"]
        ])
    };
    children
        .iter()
        .map(|(name, child)| (name.clone(), version(child)))
        .collect()
}

/// The children without the fields that the controller-manager writes.
fn specs(children: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let spec = |child: &Value| {
        let mut spec = child.clone();
        for part in ["status", "metadata"] {
            spec.as_object_mut().unwrap().remove(part);
        }
        spec["metadata"] =
            json!({"labels": child["metadata"]["labels"], "owners": child["metadata"]["ownerReferences"]});
        spec
    };
    children
        .iter()
        .map(|(name, child)| (name.clone(), spec(child)))
        .collect()
}

#[tokio::test]
async fn a_minimal_cluster_gets_its_children_and_further_reconciles_write_nothing() {
    let world = World::new("minimal").await;
    let operator = world.operator("a", &Faults::none()).await;
    world.create("demo", minimal()).await.unwrap();
    operator.until_quiet(&world, "demo").await;

    let children = world.children().await;
    for expected in [
        "ConfigMap/demo-routes",
        "Deployment/demo-worker",
        "Secret/demo-database",
        "Service/demo",
        "Service/demo-redis",
        "ServiceAccount/demo-app",
        "StatefulSet/demo-database",
        "StatefulSet/demo-kafka",
        "StatefulSet/demo-redis",
    ] {
        assert!(
            children.contains_key(expected),
            "{expected} is missing in {:#?}",
            children.keys()
        );
    }
    let count = |prefix: &str| children.keys().filter(|name| name.starts_with(prefix)).count();
    assert_eq!(
        (count("Deployment/demo-shard-"), count("Deployment/demo-gateway-")),
        (3, 1)
    );
    let cluster: PokerCluster = world.api().get("demo").await.unwrap();
    for (name, child) in &children {
        let owner = &child["metadata"]["ownerReferences"][0];
        assert_eq!(owner["uid"], json!(cluster.uid()), "{name} is not owned");
    }

    let writes = operator.faults.writes().len();
    operator.reconcile_again(&world, "demo").await;
    assert_eq!(operator.faults.writes()[writes..], [] as [String; 0]);
    assert_eq!(versions(&world.children().await), versions(&children));
    operator.stop().await;
}

#[tokio::test]
async fn a_restarted_operator_writes_nothing() {
    let world = World::new("restart").await;
    let first = world.operator("a", &Faults::none()).await;
    world.create("demo", minimal()).await.unwrap();
    first.until_quiet(&world, "demo").await;
    let before = world.children().await;
    first.stop().await;

    let second = world.operator("b", &Faults::none()).await;
    second.until_quiet(&world, "demo").await;
    assert_eq!(second.faults.writes(), [] as [String; 0]);
    assert_eq!(versions(&world.children().await), versions(&before));
}

#[tokio::test]
async fn deleted_and_edited_children_are_restored() {
    let world = World::new("restored").await;
    let operator = world.operator("a", &Faults::none()).await;
    world.create("demo", minimal()).await.unwrap();
    operator.until_quiet(&world, "demo").await;
    let before = world.children().await;

    let worker: Deployment = world.api().get("demo-worker").await.unwrap();
    world
        .api::<Deployment>()
        .delete("demo-worker", &DeleteParams::background())
        .await
        .unwrap();
    let edit = json!({"spec": {"ports": [{"name": "redis", "port": 6379, "targetPort": 1}]}});
    let edit = Patch::Strategic(edit);
    world
        .api::<Service>()
        .patch("demo-redis", &PatchParams::default(), &edit)
        .await
        .unwrap();
    let addition = Patch::Merge(json!({"metadata": {"labels": {"team": "platform"}}}));
    world
        .api::<StatefulSet>()
        .patch("demo-redis", &PatchParams::default(), &addition)
        .await
        .unwrap();

    world
        .until::<Deployment>("demo-worker", "recreated", |made| made.uid() != worker.uid())
        .await;
    operator.until_quiet(&world, "demo").await;
    let mut after = specs(&world.children().await);
    let labels = &mut after.get_mut("StatefulSet/demo-redis").unwrap()["metadata"]["labels"];
    assert_eq!(
        labels.as_object_mut().unwrap().remove("team"),
        Some(json!("platform")),
        "labels of others are kept"
    );
    assert_eq!(after, specs(&before));
}

#[tokio::test]
async fn a_deleted_cluster_is_removed_with_its_children() {
    let world = World::new("deleted").await;
    let operator = world.operator("a", &Faults::none()).await;
    world.create("demo", minimal()).await.unwrap();
    operator.until_quiet(&world, "demo").await;
    let cluster: PokerCluster = world.api().get("demo").await.unwrap();
    world.delete("demo").await;
    let uid = cluster.uid().unwrap();
    world.until_gone::<PokerCluster>("demo", &uid).await;
    world.until_childless().await;
}

#[tokio::test]
async fn a_paused_cluster_is_left_alone() {
    let world = World::new("paused").await;
    let operator = world.operator("a", &Faults::none()).await;
    world.create("demo", minimal()).await.unwrap();
    operator.until_quiet(&world, "demo").await;
    world
        .patch(
            "demo",
            json!({"spec": {"paused": true, "worker": {"replicas": 3}}}),
        )
        .await
        .unwrap();
    operator.until_quiet(&world, "demo").await;
    let worker: Deployment = world.api().get("demo-worker").await.unwrap();
    assert_eq!(worker.spec.unwrap().replicas, Some(1));
    world
        .patch("demo", json!({"spec": {"paused": false}}))
        .await
        .unwrap();
    world
        .until::<Deployment>("demo-worker", "of 3 replicas", |worker| {
            worker.spec.as_ref().and_then(|spec| spec.replicas) == Some(3)
        })
        .await;
}
