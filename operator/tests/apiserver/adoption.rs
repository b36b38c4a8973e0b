//! Objects that lost their owner are adopted as they are; objects of others are left alone.

use crate::{
    faults::Faults,
    world::{Kubelet, World},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Secret, ServiceAccount},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use poker_operator_api::PokerCluster;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn spec() -> Value {
    json!({"version": "1.0.0", "shards": {"replicas": 2}})
}

/// The uid of each child and the uids of its owners.
async fn owners(world: &World) -> BTreeMap<String, (Value, Vec<Value>)> {
    let owners = |child: &Value| {
        let references = child["metadata"]["ownerReferences"].as_array();
        references
            .into_iter()
            .flatten()
            .map(|owner| owner["uid"].clone())
            .collect()
    };
    let children = world.children().await.into_iter();
    children
        .map(|(name, child)| (name, (child["metadata"]["uid"].clone(), owners(&child))))
        .collect()
}

async fn uid(world: &World) -> String {
    let cluster: PokerCluster = world.api().get("demo").await.unwrap();
    cluster.uid().unwrap()
}

/// Each child is the same object as before, and the cluster is its only owner.
async fn assert_adopted(world: &World, before: &BTreeMap<String, (Value, Vec<Value>)>) {
    let owner = vec![json!(uid(world).await)];
    let mut children = owners(world).await;
    for (name, (child, _)) in before {
        assert_eq!(
            children.remove(name),
            Some((child.clone(), owner.clone())),
            "{name}"
        );
    }
    assert_eq!(children, BTreeMap::new(), "new children");
}

#[tokio::test]
async fn children_that_outlive_their_cluster_are_adopted_by_its_successor() {
    let world = World::new("orphaned").await;
    let operator = world.operator("a", &Faults::none()).await;
    let _kubelet = Kubelet::start(&world);
    world.create("demo", spec()).await.unwrap();
    world.until_settled("demo").await;
    operator.until_quiet(&world, "demo").await;
    let before = owners(&world).await;
    let password: Secret = world.api().get("demo-database").await.unwrap();

    let old = uid(&world).await;
    let clusters = world.api::<PokerCluster>();
    drop(clusters.delete("demo", &DeleteParams::orphan()).await.unwrap());
    world.until_gone::<PokerCluster>("demo", &old).await;
    world.create("demo", spec()).await.unwrap();
    world.until_settled("demo").await;
    operator.until_quiet(&world, "demo").await;

    assert_adopted(&world, &before).await;
    let kept: Secret = world.api().get("demo-database").await.unwrap();
    assert_eq!(kept.data, password.data);
    world.until_condition("demo", "Ready", "True", "Ready").await;
    operator.stop().await;
    world.remove().await;
}

#[tokio::test]
async fn a_removed_or_outdated_owner_reference_is_restored() {
    let world = World::new("references").await;
    let operator = world.operator("a", &Faults::none()).await;
    world.create("demo", spec()).await.unwrap();
    operator.until_quiet(&world, "demo").await;
    let before = owners(&world).await;
    let uid = uid(&world).await;

    let shard = before
        .keys()
        .find_map(|name| name.strip_prefix("Deployment/demo-gateway"))
        .unwrap();
    let deployments: Api<Deployment> = world.api();
    let removed = json!({"metadata": {"ownerReferences": null}});
    patch(&deployments, &format!("demo-gateway{shard}"), removed).await;
    let shared = json!({"metadata": {"ownerReferences": [{
        "apiVersion": "planningpoker.dev/v1alpha1", "kind": "PokerCluster", "name": "demo", "uid": uid, "controller": false,
    }]}});
    patch(&world.api::<ConfigMap>(), "demo-routes", shared).await;
    patch(
        &world.api::<Secret>(),
        "demo-database",
        json!({"metadata": {"ownerReferences": null}}),
    )
    .await;

    operator.reconcile_again(&world, "demo").await;
    operator.until_quiet(&world, "demo").await;
    assert_adopted(&world, &before).await;
    operator.stop().await;
    world.remove().await;
}

async fn patch<K>(api: &Api<K>, name: &str, patch: Value)
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
}

#[tokio::test]
async fn objects_of_others_are_left_alone_listed_at_once_and_stop_nothing_else() {
    let world = World::new("foreign").await;
    let operator = world.operator("a", &Faults::none()).await;
    let table: ConfigMap = serde_json::from_value(json!({
        "metadata": {"name": "taken-routes"}, "data": {"theirs": "yes"},
    }))
    .unwrap();
    let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": "taken-app"}})).unwrap();
    let table = world.api().create(&PostParams::default(), &table).await.unwrap();
    let account = world
        .api()
        .create(&PostParams::default(), &account)
        .await
        .unwrap();
    world.create("taken", spec()).await.unwrap();
    world.create("free", spec()).await.unwrap();
    world
        .until_condition("taken", "Stalled", "True", "NameConflict")
        .await;
    world
        .until_condition("taken", "Ready", "False", "NameConflict")
        .await;
    world.until::<ConfigMap>("free-routes", "there", |_| true).await;
    world.until::<Deployment>("taken-worker", "there", |_| true).await;

    let message = world.condition_message("taken", "Degraded").await;
    for name in ["ConfigMap taken-routes", "ServiceAccount taken-app"] {
        assert!(message.contains(name), "{message}");
    }
    assert!(!message.contains("delete"), "{message}");
    let untouched: ConfigMap = world.api().get("taken-routes").await.unwrap();
    assert_eq!(untouched.resource_version(), table.resource_version());
    let untouched: ServiceAccount = world.api().get("taken-app").await.unwrap();
    assert_eq!(untouched.resource_version(), account.resource_version());
    let events = world.events("NameConflict").await;
    assert!(
        events.len() == 1 && events[0].contains("taken-routes"),
        "{events:?}"
    );

    let (tables, accounts) = (world.api::<ConfigMap>(), world.api::<ServiceAccount>());
    tables
        .delete("taken-routes", &DeleteParams::default())
        .await
        .unwrap();
    accounts
        .delete("taken-app", &DeleteParams::default())
        .await
        .unwrap();
    world
        .until_condition("taken", "Stalled", "False", "AsExpected")
        .await;
    operator.until_quiet(&world, "taken").await;
    world.remove().await;
}
