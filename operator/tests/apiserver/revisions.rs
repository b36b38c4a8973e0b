//! Stored revisions: adoption, and the revision that serves while another cannot run.

use crate::{
    faults::Faults,
    world::{Kubelet, World},
};
use k8s_openapi::api::{
    apps::v1::{ControllerRevision, Deployment},
    core::v1::{ConfigMap, Service},
};
use kube::{
    Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::NamespaceResourceScope,
};
use poker_operator_api::PokerCluster;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::fmt::Debug;

/// The Kubelet of these tests makes no pod of this version ready.
const BAD: &str = "never-ready";

async fn shard_revision(world: &World) -> String {
    let cluster: PokerCluster = world.api().get("demo").await.unwrap();
    let shards = cluster.status.unwrap().shards.unwrap();
    shards.revision.unwrap()
}

async fn list<K>(world: &World) -> Vec<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    world.api::<K>().list(&Default::default()).await.unwrap().items
}

/// Replaces objects that contain a text by copies with another.
async fn replace_all<K>(world: &World, from: &str, to: &str)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize
        + Send
        + 'static,
{
    let api = world.api::<K>();
    for object in list::<K>(world).await {
        let text = serde_json::to_string(&object).unwrap();
        if !text.contains(from) {
            continue;
        }
        let uid = object.uid().unwrap();
        api.delete(&object.name_any(), &DeleteParams::background())
            .await
            .unwrap();
        world.until_gone::<K>(&object.name_any(), &uid).await;
        let mut copy: Value = serde_json::from_str(&text.replace(from, to)).unwrap();
        let meta = copy["metadata"].as_object_mut().unwrap();
        for field in [
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "managedFields",
        ] {
            meta.remove(field);
        }
        if let Some(spec) = copy["spec"].as_object_mut() {
            spec.remove("clusterIP");
            spec.remove("clusterIPs");
        }
        let copy: K = serde_json::from_value(copy).unwrap();
        api.create(&PostParams::default(), &copy).await.unwrap();
    }
}

/// The Deployments with their pods.
async fn deployments(world: &World) -> Vec<(String, Value)> {
    let deployments = list::<Deployment>(world).await;
    let all = deployments.iter().map(|d| {
        let template = serde_json::to_value(&d.spec.as_ref().unwrap().template).unwrap();
        (d.name_any(), template)
    });
    all.collect()
}

#[tokio::test]
async fn an_operator_upgrade_replaces_no_pods() {
    let world = World::new("adopt").await;
    let first = world.operator("a", &Faults::none()).await;
    world.create("demo", json!({"version": "1.0.0"})).await.unwrap();
    first.until_quiet(&world, "demo").await;
    let revision = shard_revision(&world).await;
    first.stop().await;

    // What an operator left that stored no revisions and named them otherwise.
    for stored in list::<ControllerRevision>(&world).await {
        let api = world.api::<ControllerRevision>();
        api.delete(&stored.name_any(), &DeleteParams::default())
            .await
            .unwrap();
    }
    replace_all::<Deployment>(&world, &revision, "01d01d0f").await;
    replace_all::<Service>(&world, &revision, "01d01d0f").await;
    replace_all::<ConfigMap>(&world, &revision, "01d01d0f").await;
    let cluster: PokerCluster = world.api().get("demo").await.unwrap();
    let status = serde_json::to_string(&cluster.status).unwrap();
    let status: Value = serde_json::from_str(&status.replace(&revision, "01d01d0f")).unwrap();
    let status = Patch::Merge(json!({ "status": status }));
    let api = world.api::<PokerCluster>();
    api.patch_status("demo", &PatchParams::default(), &status)
        .await
        .unwrap();
    let before = deployments(&world).await;

    let second = world.operator("b", &Faults::none()).await;
    second.until_quiet(&world, "demo").await;
    assert_eq!(deployments(&world).await, before);
    let stored = list::<ControllerRevision>(&world).await;
    let names: Vec<_> = stored.iter().map(ResourceExt::name_any).collect();
    assert!(names.contains(&"demo-01d01d0f".to_owned()), "{names:?}");
    second.stop().await;
}

#[tokio::test]
async fn the_revision_that_serves_is_operated_while_another_cannot_run() {
    let world = World::new("serving").await;
    let _kubelet = Kubelet::except(&world, BAD);
    let _operator = world.operator("a", &Faults::none()).await;
    let spec = json!({"version": "1.0.0", "shards": {"replicas": 2}, "gateway": {"replicas": 1}});
    world.create("demo", spec).await.unwrap();
    world.until_condition("demo", "Ready", "True", "Ready").await;
    let good = shard_revision(&world).await;
    world
        .patch("demo", json!({"spec": {"version": BAD}}))
        .await
        .unwrap();
    world
        .until("demo", "another revision", |cluster: &PokerCluster| {
            let shards = cluster.status.as_ref().and_then(|status| status.shards.as_ref());
            shards.is_some_and(|shards| shards.revision.as_deref() != Some(&good))
        })
        .await;

    let (gateway, shard) = (format!("demo-gateway-{good}"), format!("demo-shard-0-{good}"));
    let (deployments, services) = (world.api::<Deployment>(), world.api::<Service>());
    let old_gateway = deployments.get(&gateway).await.unwrap().uid();
    let old_service = services.get(&shard).await.unwrap().uid();
    deployments
        .delete(&gateway, &DeleteParams::background())
        .await
        .unwrap();
    services
        .delete(&shard, &DeleteParams::background())
        .await
        .unwrap();
    world
        .patch(
            "demo",
            json!({"spec": {"shards": {"replicas": 3}, "gateway": {"replicas": 2}}}),
        )
        .await
        .unwrap();

    world
        .until::<Service>(&shard, "recreated", |made| made.uid() != old_service)
        .await;
    world
        .until::<Deployment>(&gateway, "recreated and scaled", |made| {
            made.uid() != old_gateway && made.spec.as_ref().and_then(|spec| spec.replicas) == Some(2)
        })
        .await;
    let public = services.get("demo").await.unwrap();
    assert_eq!(
        public.spec.unwrap().selector.unwrap()["planningpoker.dev/revision"],
        good
    );
    let new = format!("demo-shard-2-{good}");
    world.until::<Deployment>(&new, "there", |_| true).await;
    world
        .until::<ConfigMap>("demo-routes", "with the new shard", |map| {
            map.data
                .as_ref()
                .is_some_and(|data| data["routes.json"].contains(&new))
        })
        .await;
}
