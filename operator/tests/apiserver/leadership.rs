//! Leadership: only the leader writes, and a process that loses its lease exits.

use crate::{
    faults::Faults,
    world::{WAIT_TIMEOUT, World},
};
use k8s_openapi::api::{apps::v1::Deployment, coordination::v1::Lease};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

#[tokio::test]
async fn one_of_two_operators_writes_and_the_other_takes_over() {
    let world = World::new("two").await;
    let first = world.operator("a", &Faults::none()).await;
    world
        .until::<Lease>("poker-operator", "held by a", |lease| holder(lease) == Some("a"))
        .await;
    let second = world.operator("b", &Faults::none()).await;
    world.create("demo", json!({"version": "1.0.0"})).await.unwrap();
    first.until_quiet(&world, "demo").await;
    assert_eq!(second.faults.writes(), [] as [String; 0]);
    assert_eq!(second.get("/ready").await.unwrap().0, 200, "a standby is ready");

    first.stop().await;
    world
        .until::<Lease>("poker-operator", "held by b", |lease| holder(lease) == Some("b"))
        .await;
    world
        .api::<Deployment>()
        .delete("demo-worker", &DeleteParams::background())
        .await
        .unwrap();
    world
        .until::<Deployment>("demo-worker", "recreated", |_| true)
        .await;
    second.until_quiet(&world, "demo").await;
}

#[tokio::test]
async fn a_process_exits_when_another_takes_its_lease() {
    let world = World::new("taken").await;
    let mut operator = world.operator("a", &Faults::none()).await;
    world
        .until::<Lease>("poker-operator", "held by a", |lease| holder(lease) == Some("a"))
        .await;
    let thief = Patch::Merge(json!({"spec": {"holderIdentity": "thief"}}));
    world
        .api::<Lease>()
        .patch("poker-operator", &PatchParams::default(), &thief)
        .await
        .unwrap();
    let ended = tokio::time::timeout(WAIT_TIMEOUT, &mut operator.task)
        .await
        .unwrap()
        .unwrap();
    assert!(ended.unwrap_err().to_string().contains("leadership is lost"));
    let lease = world.api::<Lease>().get("poker-operator").await.unwrap();
    assert_eq!(holder(&lease), Some("thief"), "another's lease is left alone");
}

#[tokio::test]
async fn a_process_exits_when_its_lease_is_deleted() {
    let world = World::new("vanished").await;
    let mut operator = world.operator("a", &Faults::none()).await;
    world
        .until::<Lease>("poker-operator", "held by a", |lease| holder(lease) == Some("a"))
        .await;
    world
        .api::<Lease>()
        .delete("poker-operator", &DeleteParams::default())
        .await
        .unwrap();
    let ended = tokio::time::timeout(WAIT_TIMEOUT, &mut operator.task)
        .await
        .unwrap()
        .unwrap();
    assert!(ended.unwrap_err().to_string().contains("leadership is lost"));
}

#[tokio::test]
async fn a_clean_shutdown_releases_the_lease() {
    let world = World::new("released").await;
    let operator = world.operator("a", &Faults::none()).await;
    world
        .until::<Lease>("poker-operator", "held by a", |lease| holder(lease) == Some("a"))
        .await;
    operator.stop().await;
    let lease = world.api::<Lease>().get("poker-operator").await.unwrap();
    assert_eq!(holder(&lease), None);
}

pub fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref()
}
