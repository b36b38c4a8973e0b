//! What the operator may not observe is told with what to do, and passes when it may again.

use crate::{
    faults::Faults,
    world::{World, condition},
};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};
use poker_operator_api::PokerCluster;
use serde_json::json;

async fn told(world: &World) -> String {
    world
        .until_condition("demo", "Degraded", "True", "CannotObserve")
        .await;
    let cluster: PokerCluster = world.api().get("demo").await.unwrap();
    condition(&cluster, "Degraded").unwrap().message.clone()
}

#[tokio::test]
async fn a_secret_that_may_not_be_read_is_told() {
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
    let message = told(&world).await;
    let what = "cannot read Secret my-redis: refused by the test: give the operator's ServiceAccount the permissions";
    assert!(message.starts_with(what), "{message}");
    world
        .until_condition("demo", "Ready", "False", "CannotObserve")
        .await;

    faults.allow();
    operator.another_pass(&world, "demo").await;
    world.until::<Deployment>("demo-worker", "there", |_| true).await;
    world
        .until_condition("demo", "Degraded", "False", "AsExpected")
        .await;
}

#[tokio::test]
async fn a_kind_that_may_not_be_watched_is_told() {
    let world = World::new("unwatched").await;
    let faults = Faults::none();
    faults.forbid("/configmaps", true);
    let operator = world.operator("a", &faults).await;
    world.create("demo", json!({"version": "1.0.0"})).await.unwrap();
    world.until::<ConfigMap>("demo-routes", "there", |_| true).await;
    // What it wrote does not come back, so it waits, and says so.
    let message = told(&world).await;
    assert!(message.starts_with("the watch of ConfigMap fails"), "{message}");

    faults.allow();
    world
        .until_condition("demo", "Degraded", "False", "AsExpected")
        .await;
    operator.until_quiet(&world, "demo").await;
}
