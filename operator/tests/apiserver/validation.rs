//! Objects that the API server rejects, and undecodable objects that it accepted.

use crate::{
    faults::Faults,
    server,
    world::{WAIT_TIMEOUT, World, watch_until},
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams},
    runtime::conditions,
};
use poker_operator_api::{PokerCluster, names::FINALIZER};
use serde_json::{Value, json};

/// Each rule that spans fields, with an object that breaks it and words of the message.
#[tokio::test]
async fn each_rule_rejects_with_its_message() {
    let world = World::new("rules").await;
    let participants = json!([{"builtin": "Participants", "target": {"averageValue": "100"}}]);
    let scaled = |block: Value| json!({"version": "1", "prometheus": {"url": "http://p:9090"}, "shards": {"autoscaling": block}});
    let table: Vec<(&str, Value, &str)> = vec![
        (
            "a-name-that-is-much-longer-than-forty-characters",
            json!({"version": "1"}),
            "at most 40",
        ),
        ("ok", json!({}), "version"),
        ("ok", json!({"version": "-"}), "version"),
        (
            "ok",
            json!({"version": "1", "shards": {"autoscaling": {"maxReplicas": 3, "metrics": participants}}}),
            "set prometheus.url or remove autoscaling",
        ),
        (
            "ok",
            scaled(json!({"maxReplicas": 300, "metrics": participants})),
            "must not exceed 256",
        ),
        (
            "ok",
            scaled(json!({"minReplicas": 4, "maxReplicas": 3, "metrics": participants})),
            "minReplicas must not exceed maxReplicas",
        ),
        (
            "ok",
            scaled(json!({"maxReplicas": 3, "metrics": [{"target": {"averageValue": "1"}}]})),
            "exactly one of builtin",
        ),
        (
            "ok",
            scaled(
                json!({"maxReplicas": 3, "metrics": [{"builtin": "Participants", "target": {"value": "1"}}]}),
            ),
            "requires target.averageValue",
        ),
        (
            "ok",
            scaled(json!({"maxReplicas": 3, "metrics": [
                {"promql": {"name": "a", "query": "a"}, "target": {"averageValue": "1", "value": "1"}}]})),
            "exactly one of averageValue",
        ),
        (
            "ok",
            json!({"version": "1", "prometheus": {"url": "ftp://p"}}),
            "must start with http:// or https://",
        ),
        (
            "ok",
            json!({"version": "1", "redis": {"managed": {}, "external": secret()}}),
            "managed or external, not both",
        ),
        (
            "ok",
            json!({"version": "1", "kafka": {"managed": {}, "external": {"bootstrapServers": ["k:9092"]}}}),
            "managed or external, not both",
        ),
        (
            "ok",
            json!({"version": "1", "kafka": {"topic": {"replicationFactor": 3}}}),
            "the managed Kafka has one broker",
        ),
        (
            "ok",
            json!({"version": "1", "database": {"managed": {}, "none": {}}}),
            "set only one of",
        ),
        (
            "ok",
            json!({"version": "1", "gateway": {"expose": {"service": {"nodePort": 30000}}}}),
            "nodePort requires type NodePort",
        ),
        (
            "ok",
            json!({"version": "1", "shards": {"replicas": 0}}),
            "replicas",
        ),
    ];
    for (name, spec, message) in table {
        let rejection = world
            .create(name, spec.clone())
            .await
            .expect_err(&spec.to_string())
            .to_string();
        assert!(
            rejection.contains(message),
            "{spec}\nis rejected by {rejection}\nnot {message}"
        );
    }
}

#[tokio::test]
async fn a_change_that_a_topic_cannot_follow_is_rejected() {
    let world = World::new("transition").await;
    world
        .create(
            "demo",
            json!({"version": "1", "kafka": {"topic": {"partitions": 12}}}),
        )
        .await
        .unwrap();
    let fewer = world
        .patch("demo", json!({"spec": {"kafka": {"topic": {"partitions": 3}}}}))
        .await;
    assert!(
        fewer
            .unwrap_err()
            .to_string()
            .contains("cannot remove partitions")
    );
}

fn secret() -> Value {
    json!({"urlSecretRef": {"name": "a", "key": "b"}})
}

/// A CRD without a schema accepts any object; the operator must survive such objects.
#[tokio::test]
#[ignore = "replaces the resource definition, which other tests need"]
async fn an_undecodable_object_blocks_no_other() {
    let world = World::new("undecodable").await;
    create_undecodable(&world, "broken").await;
    let operator = world.operator("a", &Faults::none()).await;
    world.create("good", json!({"version": "1.0.0"})).await.unwrap();
    world.until::<ConfigMap>("good-routes", "there", |_| true).await;
    operator.until_quiet(&world, "good").await;
}

/// As after a downgrade to an operator that does not know the object's fields.
#[tokio::test]
#[ignore = "replaces the resource definition, which other tests need"]
async fn an_undecodable_object_can_be_deleted() {
    let world = World::new("undeletable").await;
    create_undecodable(&world, "broken").await;
    let resource = ApiResource::erase::<PokerCluster>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
    let held = Patch::Merge(json!({"metadata": {"finalizers": [FINALIZER]}}));
    let object = api.patch("broken", &PatchParams::default(), &held).await.unwrap();
    let _operator = world.operator("a", &Faults::none()).await;
    api.delete("broken", &DeleteParams::default()).await.unwrap();
    let uid = object.metadata.uid.unwrap();
    let is_deleted = conditions::is_deleted(&uid);
    assert!(watch_until(api, "broken", is_deleted).await, "it still exists");
}

/// Installs a CRD that accepts anything for as long as it takes to create one object.
async fn create_undecodable(world: &World, name: &str) {
    let mut loose = poker_operator_api::crd();
    for version in &mut loose.spec.versions {
        let anything =
            json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
        version.schema = serde_json::from_value(anything).unwrap();
    }
    server::install(world.client.clone(), loose).await;
    let created = async {
        // The server uses the new schema a moment after it reports the CRD as established.
        while world
            .create(name, json!({"version": {"not": "text"}}))
            .await
            .is_err()
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, created)
        .await
        .expect("the loose CRD is served");
    server::install(world.client.clone(), poker_operator_api::crd()).await;
    let strict = async {
        while world
            .create(name, json!({"version": {"not": "text"}}))
            .await
            .unwrap_err()
            .to_string()
            .contains("exists")
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, strict)
        .await
        .expect("the strict CRD is served");
}

/// `poker-operator plan` predicts what the server rejects: both validate the same objects.
#[tokio::test]
async fn the_plan_command_rejects_what_the_server_rejects() {
    #[derive(serde::Deserialize)]
    struct Case {
        #[serde(default)]
        name: Option<String>,
        spec: Value,
        message: Option<String>,
        server_message: Option<String>,
    }
    let cases: Vec<Case> =
        serde_saphyr::from_str(include_str!("../../manifest/testdata/invalid_clusters.yaml")).unwrap();
    let world = World::new("predicted").await;
    let mut mismatches = Vec::new();
    for case in cases {
        let object = json!({
            "apiVersion": "planningpoker.dev/v1alpha1", "kind": "PokerCluster",
            "metadata": {"name": case.name.as_deref().unwrap_or("demo")}, "spec": case.spec,
        });
        // As kubectl sends it.
        let request = axum::http::Request::post(format!(
            "/apis/planningpoker.dev/v1alpha1/namespaces/{}/pokerclusters?dryRun=All&fieldValidation=Strict",
            world.namespace
        ));
        let request = request.header("content-type", "application/json");
        let request = request.body(object.to_string().into_bytes()).unwrap();
        let answer = world.client.request::<Value>(request).await;
        let answer = answer.map_err(|error| error.to_string());
        let agrees = match (&answer, &case.message) {
            (Ok(_), None) => true,
            (Err(rejection), Some(message)) => {
                rejection.contains(case.server_message.as_ref().unwrap_or(message))
            }
            _ => false,
        };
        if !agrees {
            mismatches.push(format!(
                "{}: expected {:?}; the server: {answer:?}",
                case.spec, case.message
            ));
        }
    }
    assert!(mismatches.is_empty(), "{mismatches:#?}");
}
