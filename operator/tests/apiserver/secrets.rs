//! Secrets that the spec names: a missing one is reported, and changed credentials are rolled out.

use crate::{
    faults::Faults,
    world::{Kubelet, World},
};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use poker_operator_api::PokerCluster;
use serde_json::json;

/// A cluster on an external Redis.
async fn ready_on_redis(world: &World, url: &str) {
    world.create_secret("my-redis", "url", url).await;
    let redis = json!({"external": {"urlSecretRef": {"name": "my-redis", "key": "url"}}});
    let spec = json!({"version": "1.0.0", "redis": redis});
    world.create("demo", spec).await.unwrap();
    world.until_condition("demo", "Ready", "True", "Ready").await;
}

#[tokio::test]
async fn a_missing_secret_is_reported_until_it_exists() {
    let world = World::new("secret").await;
    let _operator = world.operator("a", &Faults::none()).await;
    let spec = json!({"version": "1.0.0", "redis": {"external": {"urlSecretRef": {"name": "my-redis", "key": "url"}}}});
    world.create("demo", spec).await.unwrap();
    world
        .until_condition("demo", "Ready", "False", "SecretMissing")
        .await;
    world
        .create_secret("my-redis", "url", "redis://redis.example:6379")
        .await;
    world.until::<Deployment>("demo-worker", "there", |_| true).await;
}

#[tokio::test]
async fn a_deleted_secret_is_reported_until_it_exists_again() {
    let world = World::new("gone").await;
    let _kubelet = Kubelet::start(&world);
    let _operator = world.operator("a", &Faults::none()).await;
    ready_on_redis(&world, "redis://redis.example:6379").await;

    let secrets = world.api::<Secret>();
    secrets
        .delete("my-redis", &DeleteParams::default())
        .await
        .unwrap();
    world
        .until_condition("demo", "Degraded", "True", "SecretMissing")
        .await;
    world
        .until_condition("demo", "Ready", "False", "SecretMissing")
        .await;
    world
        .until_condition("demo", "Stalled", "True", "SecretMissing")
        .await;
    let message = world.condition_message("demo", "Degraded").await;
    assert!(message.contains("Secret my-redis does not exist"), "{message}");
    assert_eq!(world.events("SecretMissing").await, [message]);

    let worker: Deployment = world.api().get("demo-worker").await.unwrap();
    world
        .api::<Deployment>()
        .delete("demo-worker", &DeleteParams::background())
        .await
        .unwrap();
    world
        .until::<Deployment>("demo-worker", "recreated with the last valid spec", |made| {
            made.uid() != worker.uid()
        })
        .await;

    world
        .create_secret("my-redis", "url", "redis://redis.example:6379")
        .await;
    world
        .until_condition("demo", "Stalled", "False", "AsExpected")
        .await;
    world.until_condition("demo", "Ready", "True", "Ready").await;
}

#[tokio::test]
async fn changed_credentials_are_rolled_out() {
    let world = World::new("credentials").await;
    let _kubelet = Kubelet::start(&world);
    let operator = world.operator("a", &Faults::none()).await;
    ready_on_redis(&world, "redis://:first@redis.example:6379").await;
    let secrets = world.api::<Secret>();
    let revision = |cluster: &PokerCluster| cluster.status.as_ref()?.shards.as_ref()?.revision.clone();
    let before = revision(&world.api().get("demo").await.unwrap());

    let described = Patch::Merge(json!({"metadata": {"annotations": {"owner": "us"}}}));
    secrets
        .patch("my-redis", &PatchParams::default(), &described)
        .await
        .unwrap();
    operator.reconcile_again(&world, "demo").await;
    let described = revision(&world.api().get("demo").await.unwrap());
    assert_eq!(described, before, "only the values matter");

    let second = Patch::Merge(json!({"stringData": {"url": "redis://:second@redis.example:6379"}}));
    secrets
        .patch("my-redis", &PatchParams::default(), &second)
        .await
        .unwrap();
    world
        .until("demo", "another revision", |cluster: &PokerCluster| {
            revision(cluster) != before
        })
        .await;
    world.until_condition("demo", "Ready", "True", "Ready").await;
}
