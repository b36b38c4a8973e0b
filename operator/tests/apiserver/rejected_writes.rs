//! A write that the API server rejects costs only its own object.

use crate::{
    faults::Faults,
    world::{Kubelet, World},
};
use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
    apps::v1::Deployment,
    networking::v1::Ingress,
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams},
};
use poker_operator_api::PokerCluster;
use serde_json::{Value, json};

/// A policy in one namespace.
struct Policy {
    bindings: Api<ValidatingAdmissionPolicyBinding>,
    policies: Api<ValidatingAdmissionPolicy>,
    name: String,
}

impl Policy {
    /// Denies writes of a resource, except those for which the expression holds. Waits until the API server applies it.
    async fn deny(world: &World, group: &str, resource: &str, expression: &str) -> Self {
        let name = format!("{resource}-{}", world.namespace);
        let (bindings, policies) = (Api::all(world.client.clone()), Api::all(world.client.clone()));
        let policy: ValidatingAdmissionPolicy = serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [{
                    "apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"],
                    "resources": [resource],
                }]},
                "validations": [{"expression": expression, "message": "this is against the policy"}],
            },
        }))
        .unwrap();
        let binding: ValidatingAdmissionPolicyBinding = serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {
                "policyName": name, "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": {
                    "matchLabels": {"kubernetes.io/metadata.name": world.namespace},
                }},
            },
        }))
        .unwrap();
        policies.create(&PostParams::default(), &policy).await.unwrap();
        bindings.create(&PostParams::default(), &binding).await.unwrap();
        Self {
            bindings,
            policies,
            name,
        }
    }

    async fn remove(self) {
        let params = DeleteParams::default();
        drop(self.bindings.delete(&self.name, &params).await.unwrap());
        drop(self.policies.delete(&self.name, &params).await.unwrap());
    }
}

/// Waits until the API server denies an Ingress with this host.
async fn until_denied(world: &World, host: &str) {
    let probe: Ingress = serde_json::from_value(ingress(host)).unwrap();
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let denied = async {
        while world.api().create(&dry_run, &probe).await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(crate::world::WAIT_TIMEOUT, denied)
        .await
        .expect("denied in time");
}

fn ingress(host: &str) -> Value {
    json!({"metadata": {"name": "probe"}, "spec": {"rules": [{"host": host}]}})
}

fn with_host(host: &str, shards: u32) -> Value {
    json!({
        "version": "1.0.0",
        // Draining ends at once: no pod here can report that it is drained.
        "shards": {"replicas": shards, "drainDeadlineSeconds": 0},
        "gateway": {"drainDeadlineSeconds": 0, "expose": {"ingress": {"host": host}}},
    })
}

async fn shard_deployments(world: &World) -> usize {
    let shards = ListParams::default().labels("app.kubernetes.io/component=shard");
    world.api::<Deployment>().list(&shards).await.unwrap().items.len()
}

/// Waits until so many shards are active and nothing drains.
async fn until_shards(world: &World, version: &str, replicas: i32) {
    world
        .until::<PokerCluster>("demo", "scaled", |cluster| {
            let status = cluster.status.clone().unwrap_or_default();
            let is_current = status.version.as_deref() == Some(version);
            let shards = status
                .shards
                .is_some_and(|s| s.replicas == replicas && s.ready == replicas);
            is_current && shards && status.draining.is_empty()
        })
        .await;
}

#[tokio::test]
async fn a_rejected_ingress_costs_only_the_ingress() {
    let world = World::new("ingress").await;
    let expression = "object.spec.rules.all(r, r.host.endsWith('.allowed.example'))";
    let policy = Policy::deny(&world, "networking.k8s.io", "ingresses", expression).await;
    until_denied(&world, "p.refused.example").await;
    let operator = world.operator("a", &Faults::none()).await;
    let _kubelet = Kubelet::start(&world);

    world
        .create("demo", with_host("p.refused.example", 2))
        .await
        .unwrap();
    world.until_condition("demo", "Ready", "True", "Ready").await;
    world
        .until_condition("demo", "Degraded", "True", "ApplyFailed")
        .await;
    let message = world.condition_message("demo", "Degraded").await;
    assert!(
        message.contains("Ingress demo") && message.contains("this is against the policy"),
        "{message}"
    );
    until_shards(&world, "1.0.0", 2).await;

    world
        .patch("demo", json!({"spec": {"shards": {"replicas": 3}}}))
        .await
        .unwrap();
    until_shards(&world, "1.0.0", 3).await;
    world
        .patch("demo", json!({"spec": {"version": "2.0.0"}}))
        .await
        .unwrap();
    until_shards(&world, "2.0.0", 3).await;
    world
        .patch("demo", json!({"spec": {"shards": {"replicas": 1}}}))
        .await
        .unwrap();
    until_shards(&world, "2.0.0", 1).await;
    operator.reconcile_again(&world, "demo").await;
    assert_eq!(shard_deployments(&world).await, 1, "drained shards are deleted");
    assert!(world.api::<Ingress>().get_opt("demo").await.unwrap().is_none());

    policy.remove().await;
    world.until::<Ingress>("demo", "there", |_| true).await;
    operator.stop().await;
    world.remove().await;
}

#[tokio::test]
async fn a_rejected_write_waits_and_a_changed_spec_is_written_at_once() {
    let world = World::new("waiting").await;
    let policy = Policy::deny(
        &world,
        "networking.k8s.io",
        "ingresses",
        "object.spec.rules.all(r, r.host != 'a.example')",
    )
    .await;
    until_denied(&world, "a.example").await;
    let operator = world.operator("a", &Faults::none()).await;
    world.create("demo", with_host("a.example", 1)).await.unwrap();
    world
        .until_condition("demo", "Degraded", "True", "ApplyFailed")
        .await;
    let ingresses = || {
        let writes = operator.faults.writes();
        writes
            .iter()
            .filter(|write| write.ends_with("/ingresses/demo"))
            .count()
    };
    // Let the wait of the Ingress grow beyond a reconcile.
    while ingresses() < 4 {
        operator.reconcile_again(&world, "demo").await;
    }
    let before = ingresses();
    operator.reconcile_again(&world, "demo").await;
    operator.reconcile_again(&world, "demo").await;
    assert!(ingresses() <= before + 1, "each reconcile would write it");

    let host = json!({"spec": {"gateway": {"expose": {"ingress": {"host": "b.example"}}}}});
    world.patch("demo", host).await.unwrap();
    world.until::<Ingress>("demo", "there", |_| true).await;
    world
        .until_condition("demo", "Degraded", "False", "AsExpected")
        .await;
    policy.remove().await;
    operator.stop().await;
    world.remove().await;
}
