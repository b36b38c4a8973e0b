//! Pods that cannot be created are reported with the platform's own words.

use crate::{
    faults::Faults,
    world::{World, condition},
};
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::api::{DeleteParams, PostParams};
use poker_operator_api::PokerCluster;
use serde_json::json;

#[tokio::test]
async fn pods_that_a_quota_forbids_are_reported_with_the_quota() {
    let world = World::new("quota").await;
    let quota: ResourceQuota = serde_json::from_value(json!({
        "metadata": {"name": "no-pods"}, "spec": {"hard": {"pods": "0"}},
    }))
    .unwrap();
    world.api().create(&PostParams::default(), &quota).await.unwrap();
    world
        .until::<ResourceQuota>("no-pods", "computed", |quota| {
            quota.status.as_ref().is_some_and(|status| status.hard.is_some())
        })
        .await;
    let operator = world.operator("a", &Faults::none()).await;
    world.create("demo", json!({"version": "1.0.0"})).await.unwrap();
    world
        .until::<PokerCluster>("demo", "degraded by the quota", |cluster| {
            condition(cluster, "Degraded").is_some_and(|degraded| {
                // Of Deployments by their condition, of StatefulSets by their events.
                let components = ["gateway", "redis"];
                degraded.reason == "PodCreationFailed"
                    && degraded.message.contains("exceeded quota: no-pods")
                    && components.iter().all(|name| degraded.message.contains(name))
            })
        })
        .await;
    let deleted = world.api::<ResourceQuota>();
    drop(deleted.delete("no-pods", &DeleteParams::default()).await.unwrap());
    operator.stop().await;
    world.remove().await;
}
