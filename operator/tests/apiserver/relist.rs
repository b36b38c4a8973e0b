//! A watch that expires with 410 Gone: the operator lists again and acts on what it missed.

use crate::{
    faults::Faults,
    world::{Kubelet, Operator, World},
};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service};
use kube::{ResourceExt, api::DeleteParams};
use serde_json::json;

/// A cluster that is ready, so that the operator's next reconcile is a resync, minutes away.
async fn ready(world: &World, faults: &Faults) -> (Operator, Kubelet) {
    let operator = world.operator("a", faults).await;
    let kubelet = Kubelet::start(world);
    world.create("demo", json!({"version": "1.0.0"})).await.unwrap();
    world.until_condition("demo", "Ready", "True", "Ready").await;
    operator.until_quiet(world, "demo").await;
    (operator, kubelet)
}

#[tokio::test]
async fn a_child_deleted_while_its_watch_is_disconnected_is_recreated_once() {
    let world = World::new("relist").await;
    let faults = Faults::none();
    let (operator, _kubelet) = ready(&world, &faults).await;
    let service: Service = world.api().get("demo-redis").await.unwrap();

    faults.hold_watch("/services").await;
    let services = world.api::<Service>();
    services
        .delete("demo-redis", &DeleteParams::default())
        .await
        .unwrap();
    let before = faults.writes().len();
    operator.reconcile_again(&world, "demo").await;
    assert_eq!(
        faults.writes()[before..],
        [] as [String; 0],
        "the cache still holds the Service"
    );

    // No other kind changes: only the list shows the deletion.
    faults.expire_watch();
    world
        .until::<Service>("demo-redis", "recreated", |found| found.uid() != service.uid())
        .await;
    operator.until_quiet(&world, "demo").await;
    assert_eq!(writes_to(&faults, before, "/services/demo-redis"), 1);
    operator.stop().await;
    world.remove().await;
}

#[tokio::test]
async fn a_write_that_its_watch_missed_is_confirmed_by_the_list_and_not_repeated() {
    let world = World::new("confirmed").await;
    let faults = Faults::none();
    let (operator, _kubelet) = ready(&world, &faults).await;

    faults.hold_watch("/deployments").await;
    let before = faults.writes().len();
    let spec = json!({"spec": {"worker": {"replicas": 3}}});
    world.patch("demo", spec).await.unwrap();
    world
        .until::<Deployment>("demo-worker", "of 3 replicas", |worker| {
            worker.spec.as_ref().and_then(|spec| spec.replicas) == Some(3)
        })
        .await;
    operator.reconcile_again(&world, "demo").await;
    assert_eq!(
        writes_to(&faults, before, "/deployments/demo-worker"),
        1,
        "the cache is behind the write"
    );

    faults.expire_watch();
    world.until_settled("demo").await;
    operator.until_quiet(&world, "demo").await;
    assert_eq!(writes_to(&faults, before, "/deployments/demo-worker"), 1);
    operator.stop().await;
    world.remove().await;
}

fn writes_to(faults: &Faults, from: usize, path: &str) -> usize {
    let writes = faults.writes();
    writes[from..]
        .iter()
        .filter(|write| write.ends_with(path))
        .count()
}
