//! An object that an admission webhook or another client changes again and again is reported, and costs a bounded number
//! of writes.

use crate::{
    faults::Faults,
    world::{Operator, WAIT_TIMEOUT, World, condition},
};
use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
    runtime::{WatchStreamExt, watcher},
};
use poker_operator_api::PokerCluster;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinHandle;

const WORKER: &str = "demo-worker";

/// A policy that changes the Deployments of one namespace when they are written, as a mutating webhook does.
struct Mutation {
    policies: Api<DynamicObject>,
    bindings: Api<DynamicObject>,
    name: String,
}

impl Mutation {
    /// Sets the memory limit of the worker. Waits until the API server applies it.
    async fn of_memory(world: &World, memory: &str) -> Self {
        let resource = |kind: &str| {
            let group = "admissionregistration.k8s.io";
            ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1beta1", kind))
        };
        let (policy, binding) = (
            resource("MutatingAdmissionPolicy"),
            resource("MutatingAdmissionPolicyBinding"),
        );
        let name = format!("memory-{}", world.namespace);
        let path = "/spec/template/spec/containers/0/resources/limits/memory";
        let patch = format!("[JSONPatch{{op: 'replace', path: '{path}', value: '{memory}'}}]");
        let spec = json!({"spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
                "resources": ["deployments"],
            }]},
            "matchConditions": [{"name": "worker", "expression": format!("object.metadata.name == '{WORKER}'")}],
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
        }});
        let bound = json!({"spec": {
            "policyName": name,
            "matchResources": {"namespaceSelector": {
                "matchLabels": {"kubernetes.io/metadata.name": world.namespace},
            }},
        }});
        let mutation = Self {
            policies: Api::all_with(world.client.clone(), &policy),
            bindings: Api::all_with(world.client.clone(), &binding),
            name,
        };
        let params = PostParams::default();
        let policy = DynamicObject::new(&mutation.name, &policy).data(spec);
        mutation.policies.create(&params, &policy).await.unwrap();
        let binding = DynamicObject::new(&mutation.name, &binding).data(bound);
        mutation.bindings.create(&params, &binding).await.unwrap();
        until_applied(world, memory).await;
        mutation
    }

    async fn remove(self) {
        let params = DeleteParams::default();
        drop(self.bindings.delete(&self.name, &params).await.unwrap());
        drop(self.policies.delete(&self.name, &params).await.unwrap());
    }
}

/// Waits until the API server changes the memory limit of a new Deployment.
async fn until_applied(world: &World, memory: &str) {
    let probe: Deployment = serde_json::from_value(json!({
        "metadata": {"name": WORKER},
        "spec": {
            "selector": {"matchLabels": {"app": "probe"}},
            "template": {
                "metadata": {"labels": {"app": "probe"}},
                "spec": {"containers": [
                    {"name": "probe", "image": "probe", "resources": {"limits": {"memory": "1Mi"}}},
                ]},
            },
        },
    }))
    .unwrap();
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let applied = async {
        while memory_limit(&world.api().create(&dry_run, &probe).await.unwrap()) != json!(memory) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, applied)
        .await
        .expect("applied in time");
}

fn memory_limit(deployment: &Deployment) -> Value {
    let value = serde_json::to_value(deployment).unwrap();
    value["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"].clone()
}

fn replicas(deployment: &Deployment) -> Option<i32> {
    deployment.spec.as_ref()?.replicas
}

/// Sets the replicas of the worker again whenever the operator has corrected them, as a HorizontalPodAutoscaler does.
fn fight_over_replicas(world: &World) -> JoinHandle<()> {
    let deployments = world.api::<Deployment>();
    tokio::spawn(async move {
        let config = watcher::Config::default().fields(&format!("metadata.name={WORKER}"));
        let mut changes = watcher(deployments.clone(), config)
            .default_backoff()
            .touched_objects()
            .boxed();
        let params = PatchParams {
            field_manager: Some("fighter".to_owned()),
            ..PatchParams::default()
        };
        while let Some(change) = changes.next().await {
            if change.is_ok_and(|worker| replicas(&worker) == Some(1)) {
                let patch = Patch::Merge(json!({"spec": {"replicas": 5}}));
                deployments.patch(WORKER, &params, &patch).await.unwrap();
            }
        }
    })
}

/// Waits until the worker is reported as overridden, and returns the message.
async fn until_overridden(world: &World) -> String {
    world
        .until::<PokerCluster>("demo", "overridden", |cluster| {
            condition(cluster, "Progressing").is_some_and(|found| found.reason == "Overridden")
        })
        .await;
    world.condition_message("demo", "Progressing").await
}

fn writes_of_the_worker(operator: &Operator) -> usize {
    let writes = operator.faults.writes();
    let of_worker = writes
        .iter()
        .filter(|write| write.ends_with("/deployments/demo-worker"));
    of_worker.count()
}

/// Reconciles often. The waits between two writes of the worker double from one second, so that few fit into the time
/// that this takes.
async fn assert_few_writes(world: &World, operator: &Operator) {
    let before = writes_of_the_worker(operator);
    let begun = tokio::time::Instant::now();
    for _ in 0..15 {
        operator.reconcile_again(world, "demo").await;
    }
    let seconds = begun.elapsed().as_secs();
    let written = writes_of_the_worker(operator) - before;
    let fit = 2 + (seconds + 1).ilog2() as usize;
    assert!(written <= fit, "{written} writes in {seconds} s");
}

#[tokio::test]
async fn a_field_that_admission_changes_is_reported_once_costs_few_writes_and_heals() {
    let world = World::new("mutation").await;
    let mutation = Mutation::of_memory(&world, "300Mi").await;
    let operator = world.operator("a", &Faults::none()).await;
    world.create("demo", json!({"version": "1.0.0"})).await.unwrap();

    let message = until_overridden(&world).await;
    let expected = "Deployment demo-worker: spec.template.spec.containers[worker].resources.limits.memory is 300Mi \
                    instead of ";
    assert!(message.starts_with(expected), "{message}");
    let worker: Deployment = world.api().get(WORKER).await.unwrap();
    assert_eq!(memory_limit(&worker), json!("300Mi"), "the policy does not work");
    assert_few_writes(&world, &operator).await;
    assert_eq!(world.events("Overridden").await.len(), 1);

    mutation.remove().await;
    world
        .until::<Deployment>(WORKER, "corrected", |worker| {
            memory_limit(worker) != json!("300Mi")
        })
        .await;
    world
        .until::<PokerCluster>("demo", "no longer overridden", |cluster| {
            condition(cluster, "Progressing").is_some_and(|found| found.reason != "Overridden")
        })
        .await;
    operator.until_quiet(&world, "demo").await;
    operator.stop().await;
    world.remove().await;
}

#[tokio::test]
async fn a_client_that_changes_a_field_again_and_again_is_reported_and_costs_few_writes() {
    let world = World::new("fight").await;
    let operator = world.operator("a", &Faults::none()).await;
    world.create("demo", json!({"version": "1.0.0"})).await.unwrap();
    operator.until_quiet(&world, "demo").await;
    let before = writes_of_the_worker(&operator);

    let fight = fight_over_replicas(&world);
    let message = until_overridden(&world).await;
    let expected = "Deployment demo-worker: spec.replicas is 5 instead of 1 (field manager fighter)";
    assert!(message.starts_with(expected), "{message}");
    assert!(
        writes_of_the_worker(&operator) - before >= 4,
        "nothing was corrected"
    );
    assert_few_writes(&world, &operator).await;

    fight.abort();
    world
        .until::<Deployment>(WORKER, "corrected", |worker| replicas(worker) == Some(1))
        .await;
    operator.stop().await;
    world.remove().await;
}
