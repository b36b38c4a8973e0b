//! If the operator may not read or watch a resource, it reports the error with a remedy, and recovers once it may.

use crate::{faults::Faults, world::World};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};
use serde_json::json;

async fn degraded_message(world: &World) -> String {
    world
        .until_condition("demo", "Degraded", "True", "ObserveFailed")
        .await;
    world.condition_message("demo", "Degraded").await
}

#[tokio::test]
async fn a_forbidden_secret_is_reported_until_it_may_be_read() {
    let world = World::new("unread").await;
    let faults = Faults::none();
    faults.forbid("/secrets/my-redis", false);
    let operator = world.operator("a", &faults).await;
    world
        .create_secret("my-redis", "url", "redis://redis.example:6379")
        .await;
    let redis = json!({"external": {"urlSecretRef": {"name": "my-redis", "key": "url"}}});
    world
        .create("demo", json!({"version": "1.0.0", "redis": redis}))
        .await
        .unwrap();
    let message = degraded_message(&world).await;
    let expected = "cannot read Secret my-redis: refused by the test: give the operator's ServiceAccount the permissions";
    assert!(message.starts_with(expected), "{message}");
    world
        .until_condition("demo", "Ready", "False", "ObserveFailed")
        .await;

    faults.allow();
    operator.reconcile_again(&world, "demo").await;
    world.until::<Deployment>("demo-worker", "there", |_| true).await;
    world
        .until_condition("demo", "Degraded", "False", "AsExpected")
        .await;
}

#[tokio::test]
async fn a_forbidden_watch_is_reported_until_it_may_be_opened() {
    let world = World::new("unwatched").await;
    let faults = Faults::none();
    faults.forbid("/configmaps", true);
    let operator = world.operator("a", &faults).await;
    world.create("demo", json!({"version": "1.0.0"})).await.unwrap();
    world.until::<ConfigMap>("demo-routes", "there", |_| true).await;
    // Its cache never shows its own write, so it waits and reports why.
    let message = degraded_message(&world).await;
    assert!(message.starts_with("the watch of ConfigMap fails"), "{message}");

    faults.allow();
    world
        .until_condition("demo", "Degraded", "False", "AsExpected")
        .await;
    operator.until_quiet(&world, "demo").await;
}
