//! Autoscaling as the status and the events report it.

use crate::{
    faults::Faults,
    world::{World, condition},
};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};
use kube::api::{Patch, PatchParams, PostParams};
use poker_operator_api::PokerCluster;
use serde_json::json;

#[tokio::test]
async fn a_missing_token_blocks_only_scaling() {
    let world = World::new("token").await;
    let operator = world.operator("a", &Faults::none()).await;
    let token = json!({"name": "monitoring", "key": "token"});
    let spec = json!({
        "version": "1.0.0",
        "prometheus": {
            "url": "https://127.0.0.1:1",
            "bearerTokenSecretRef": token,
            "tls": {"caConfigMapRef": {"name": "company", "key": "ca.crt"}},
        },
        "gateway": {"autoscaling": {
            "minReplicas": 2, "maxReplicas": 4,
            "metrics": [{"builtin": "Connections", "target": {"averageValue": "500"}}],
        }},
    });
    world.create("demo", spec).await.unwrap();
    world.until::<Deployment>("demo-worker", "there", |_| true).await;
    world
        .until_condition("demo", "Degraded", "True", "MetricsUnavailable")
        .await;
    let message = world.condition_message("demo", "Degraded").await;
    assert!(message.contains("Secret monitoring does not exist"), "{message}");
    world.create_secret("monitoring", "token", "s3cr3t").await;
    world
        .until::<PokerCluster>("demo", "without its ConfigMap", |cluster| {
            condition(cluster, "Degraded")
                .is_some_and(|degraded| degraded.message.contains("ConfigMap company does not exist"))
        })
        .await;
    let map = json!({"metadata": {"name": "company"}, "data": {"ca.crt": "-----BEGIN CERTIFICATE-----"}});
    let map: ConfigMap = serde_json::from_value(map).unwrap();
    world.api().create(&PostParams::default(), &map).await.unwrap();
    operator.reconcile_again(&world, "demo").await;
    world
        .until_condition("demo", "Degraded", "False", "AsExpected")
        .await;
}

#[tokio::test]
async fn manual_scaling_is_ignored_and_reported_by_one_event_while_autoscaling_is_set() {
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
    let notes = world.events("ReplicasIgnored").await;
    let expected =
        "spec.shards.replicas is now 9 and has no effect, because autoscaling decides (currently 3)";
    assert!(notes[0].starts_with(expected), "{notes:?}");
    operator.reconcile_again(&world, "demo").await;
    // As a HorizontalPodAutoscaler beside it does.
    for replicas in [2, 3, 2, 3] {
        let scale = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        clusters
            .patch_scale("demo", &PatchParams::default(), &scale)
            .await
            .unwrap();
        operator.reconcile_again(&world, "demo").await;
    }
    assert_eq!(world.events("ReplicasIgnored").await.len(), 1);
}
