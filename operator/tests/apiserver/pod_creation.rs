//! Pods that cannot be created are reported with the platform's own words.

use crate::{
    faults::Faults,
    world::{WAIT_TIMEOUT, World, condition},
};
use k8s_openapi::api::core::v1::{Pod, ResourceQuota};
use kube::api::{DeleteParams, PostParams};
use poker_operator_api::PokerCluster;
use serde_json::json;
use std::time::Duration;

const QUOTA_REJECTION: &str = "exceeded quota: no-pods";

/// Waits until the API server rejects pods by the quota. Until it has read the quota's status it rejects them for another
/// reason, and a ReplicaSet reports the first reason for good.
async fn until_enforced(world: &World) {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "any"}, "spec": {"containers": [{"name": "any", "image": "any"}]},
    }))
    .unwrap();
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let enforced = async {
        loop {
            let rejected = world.api().create(&dry_run, &pod).await;
            match rejected {
                Err(kube::Error::Api(status)) if status.message.contains(QUOTA_REJECTION) => return,
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, enforced)
        .await
        .expect("the quota is enforced");
}

#[tokio::test]
async fn pods_that_a_quota_forbids_are_reported_with_the_quota() {
    let world = World::new("quota").await;
    let quota: ResourceQuota = serde_json::from_value(json!({
        "metadata": {"name": "no-pods"}, "spec": {"hard": {"pods": "0"}},
    }))
    .unwrap();
    world.api().create(&PostParams::default(), &quota).await.unwrap();
    until_enforced(&world).await;
    let operator = world.operator("a", &Faults::none()).await;
    world.create("demo", json!({"version": "1.0.0"})).await.unwrap();
    world
        .until::<PokerCluster>("demo", "degraded by the quota", |cluster| {
            condition(cluster, "Degraded").is_some_and(|degraded| {
                // Of Deployments by their condition, of StatefulSets by their events.
                let components = ["gateway", "redis"];
                degraded.reason == "PodCreationFailed"
                    && degraded.message.contains(QUOTA_REJECTION)
                    && components.iter().all(|name| degraded.message.contains(name))
            })
        })
        .await;
    let deleted = world.api::<ResourceQuota>();
    drop(deleted.delete("no-pods", &DeleteParams::default()).await.unwrap());
    operator.stop().await;
    world.remove().await;
}
