//! A pod that does not run is reported in the status and by one event.

use crate::{
    faults::Faults,
    world::{WAIT_TIMEOUT, World},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use std::time::Duration;

/// Writes the status of a pod whose container waits, as the kubelet does.
async fn set_waiting(world: &World, pod: &str, reason: &str, message: &str) {
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
async fn an_image_pull_failure_is_reported_by_one_event_until_it_is_resolved() {
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
    let pod = tokio::time::timeout(WAIT_TIMEOUT, pod)
        .await
        .expect("a shard's pod");
    let cause = "no such host";
    let backs_off = format!("Back-off pulling image \"r.example/poker-app:1.0.0\": ErrImagePull: {cause}");
    for (reason, message) in [
        ("ErrImagePull", cause),
        ("ImagePullBackOff", &backs_off),
        ("ErrImagePull", cause),
    ] {
        set_waiting(&world, &pod, reason, message).await;
        world
            .until_condition("demo", "Degraded", "True", "ImagePullFailed")
            .await;
        operator.reconcile_again(&world, "demo").await;
    }
    let message = world.condition_message("demo", "Degraded").await;
    let expected = "shard: image r.example/poker-app:1.0.0 cannot be pulled (ErrImagePull: no such host): correct spec.version";
    assert!(message.starts_with(expected), "{message}");
    assert_eq!(world.events("ImagePullFailed").await, [message]);

    set_waiting(&world, &pod, "ContainerCreating", "").await;
    world
        .until_condition("demo", "Degraded", "False", "AsExpected")
        .await;
    assert_eq!(
        world.condition_message("demo", "Degraded").await,
        "no problems found"
    );
    operator.until_quiet(&world, "demo").await;
}
