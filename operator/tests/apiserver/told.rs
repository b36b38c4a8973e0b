//! What people are told of a cluster that somebody has to do something about.

use crate::{
    faults::Faults,
    world::{Kubelet, PATIENCE, World, condition},
};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use poker_operator_api::PokerCluster;
use serde_json::json;
use std::time::Duration;

async fn message(world: &World, type_: &str) -> String {
    let cluster: PokerCluster = world.api().get("demo").await.unwrap();
    condition(&cluster, type_).unwrap().message.clone()
}

/// A cluster on a Redis of its users' own.
async fn ready_on_redis(world: &World, url: &str) {
    world.create_secret("my-redis", "url", url).await;
    let redis = json!({"external": {"urlSecretRef": {"name": "my-redis", "key": "url"}}});
    let spec = json!({"version": "1.0.0", "redis": redis});
    world.create("demo", spec).await.unwrap();
    world.until_condition("demo", "Ready", "True", "Ready").await;
}

/// The kubelet says that the container of a shard waits.
async fn waits(world: &World, pod: &str, reason: &str, message: &str) {
    let container = json!({
        "name": "shard", "image": "r.example/poker-app:1.0.0", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": reason, "message": message}},
    });
    let patch = Patch::Merge(json!({"status": {"phase": "Pending", "containerStatuses": [container]}}));
    let pods = world.api::<Pod>();
    pods.patch_status(pod, &PatchParams::default(), &patch)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_told_once_and_taken_back() {
    let world = World::new("image").await;
    let operator = world.operator("a", &Faults::none()).await;
    let spec = json!({"version": "1.0.0", "image": {"repository": "r.example/poker-app"}});
    world.create("demo", spec).await.unwrap();
    let shards = ListParams::default().labels("app.kubernetes.io/component=shard");
    let pod = async {
        loop {
            if let Some(pod) = world.api::<Pod>().list(&shards).await.unwrap().items.first() {
                return pod.name_any();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let pod = tokio::time::timeout(PATIENCE, pod).await.expect("a shard's pod");
    let cause = "no such host";
    let backs_off = format!("Back-off pulling image \"r.example/poker-app:1.0.0\": ErrImagePull: {cause}");
    for (reason, message) in [
        ("ErrImagePull", cause),
        ("ImagePullBackOff", &backs_off),
        ("ErrImagePull", cause),
    ] {
        waits(&world, &pod, reason, message).await;
        world
            .until_condition("demo", "Degraded", "True", "ImagePullFailed")
            .await;
        operator.another_pass(&world, "demo").await;
    }
    let told = message(&world, "Degraded").await;
    let words = "shard: image r.example/poker-app:1.0.0 cannot be pulled (ErrImagePull: no such host): correct spec.version";
    assert!(told.starts_with(words), "{told}");
    assert_eq!(world.events("ImagePullFailed").await, [told]);

    waits(&world, &pod, "ContainerCreating", "").await;
    world
        .until_condition("demo", "Degraded", "False", "AsExpected")
        .await;
    assert_eq!(message(&world, "Degraded").await, "nothing is wrong");
    operator.until_quiet(&world, "demo").await;
}

#[tokio::test]
async fn a_secret_that_goes_is_told_and_the_game_goes_on() {
    let world = World::new("gone").await;
    let _kubelet = Kubelet::start(&world);
    let operator = world.operator("a", &Faults::none()).await;
    ready_on_redis(&world, "redis://redis.example:6379").await;

    let secrets = world.api::<Secret>();
    secrets
        .delete("my-redis", &DeleteParams::default())
        .await
        .unwrap();
    operator.another_pass(&world, "demo").await;
    world
        .until_condition("demo", "Degraded", "True", "SecretMissing")
        .await;
    world
        .until_condition("demo", "Ready", "False", "SecretMissing")
        .await;
    world
        .until_condition("demo", "Stalled", "True", "SecretMissing")
        .await;
    let told = message(&world, "Degraded").await;
    assert!(told.contains("Secret my-redis does not exist"), "{told}");
    assert_eq!(world.events("SecretMissing").await, [told]);

    world
        .create_secret("my-redis", "url", "redis://redis.example:6379")
        .await;
    operator.another_pass(&world, "demo").await;
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
    operator.another_pass(&world, "demo").await;
    let described = revision(&world.api().get("demo").await.unwrap());
    assert_eq!(described, before, "only values count");

    let second = Patch::Merge(json!({"stringData": {"url": "redis://:second@redis.example:6379"}}));
    secrets
        .patch("my-redis", &PatchParams::default(), &second)
        .await
        .unwrap();
    operator.another_pass(&world, "demo").await;
    world
        .until("demo", "another revision", |cluster: &PokerCluster| {
            revision(cluster) != before
        })
        .await;
    world.until_condition("demo", "Ready", "True", "Ready").await;
}

#[tokio::test]
async fn scaling_by_hand_is_told_where_autoscaling_decides() {
    let world = World::new("scaled").await;
    let operator = world.operator("a", &Faults::none()).await;
    let spec = json!({
        "version": "1.0.0",
        "prometheus": {"url": "http://127.0.0.1:1"},
        "shards": {"autoscaling": {
            "minReplicas": 2, "maxReplicas": 4,
            "metrics": [{"builtin": "Participants", "target": {"averageValue": "500"}}],
        }},
    });
    world.create("demo", spec).await.unwrap();
    world
        .until::<PokerCluster>("demo", "decided", |cluster| {
            cluster
                .status
                .as_ref()
                .is_some_and(|status| !status.scaling.is_empty())
        })
        .await;
    // As `kubectl scale` does.
    let scale = Patch::Merge(json!({"spec": {"replicas": 9}}));
    let clusters = world.api::<PokerCluster>();
    clusters
        .patch_scale("demo", &PatchParams::default(), &scale)
        .await
        .unwrap();
    let told = world.events("ReplicasIgnored").await;
    let words = "spec.shards.replicas is now 9 and has no effect: autoscaling decides, and wants 3";
    assert!(told[0].starts_with(words), "{told:?}");
    operator.another_pass(&world, "demo").await;
    assert_eq!(world.events("ReplicasIgnored").await.len(), 1);
}
