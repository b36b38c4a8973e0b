//! A fault at every single write of a scenario: the operator always converges to the same children.

use crate::{
    faults::{Fault, Faults},
    world::World,
};
use axum::http::StatusCode;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// More writes than the creation of a minimal cluster takes.
const WRITES_MAX: usize = 100;
/// Of a sweep, this share of the runs, and at least one, may have too few writes for their fault: statuses depend on what is
/// ready when.
const NOT_STRUCK_PERCENT_MAX: usize = 20;
const RUNS_AT_ONCE: usize = 4;

fn spec() -> Value {
    json!({"version": "1.0.0", "shards": {"replicas": 2}, "gateway": {"replicas": 1}})
}

/// A run with a fault, or without.
pub struct Run {
    pub shape: BTreeMap<String, Value>,
    /// The writes of the operator that met the fault.
    pub writes: usize,
    pub struck: bool,
}

/// The children without what differs from run to run: ids, times, addresses, the password.
pub async fn shape(world: &World) -> BTreeMap<String, Value> {
    let mut children = world.children().await;
    for (name, child) in &mut children {
        let object = child.as_object_mut().unwrap();
        object.remove("status");
        if name.starts_with("Secret/") {
            object.remove("data");
        }
        // The first version of a table is taken from the clock.
        if let Some(Value::String(routes)) = object
            .get_mut("data")
            .and_then(|data| data.get_mut("routes.json"))
        {
            let mut table: Value = serde_json::from_str(routes).unwrap();
            table["version"].take();
            *routes = table.to_string();
        }
        if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
            spec.remove("clusterIP");
            spec.remove("clusterIPs");
        }
        let meta = &object["metadata"];
        let owners = meta["ownerReferences"].as_array().map_or(0, Vec::len);
        object["metadata"] = json!({"name": meta["name"], "labels": meta["labels"], "owners": owners});
    }
    // Only the history of the cluster decides which revisions are stored and which one a component runs.
    children.retain(|name, _| !name.starts_with("ControllerRevision/"));
    let mut text = serde_json::to_string(&children).unwrap();
    let deployments = children.keys().filter(|name| name.starts_with("Deployment/"));
    let mut revisions: BTreeSet<_> = deployments.filter_map(|name| revision_in(name)).collect();
    let worker = &children.get("Deployment/demo-worker").unwrap_or(&Value::Null)["spec"]["template"];
    revisions.extend(worker["metadata"]["labels"]["planningpoker.dev/revision"].as_str());
    for revision in revisions {
        text = text.replace(revision, "REVISION");
    }
    let mut shape: BTreeMap<String, Value> =
        serde_json::from_str(&text.replace(&world.namespace, "NAMESPACE")).unwrap();
    shape.insert("number of children".to_owned(), json!(children.len()));
    shape
}

/// The revision in the name of a Deployment of gateways or of a shard.
fn revision_in(name: &str) -> Option<&str> {
    let (rest, revision) = name.rsplit_once('-')?;
    (rest == "Deployment/demo-gateway" || rest.starts_with("Deployment/demo-shard-")).then_some(revision)
}

/// The differences, one line per object.
pub fn difference(reference: &BTreeMap<String, Value>, other: &BTreeMap<String, Value>) -> Vec<String> {
    let names: BTreeSet<_> = reference.keys().chain(other.keys()).collect();
    let differ = names
        .into_iter()
        .filter(|name| reference.get(*name) != other.get(*name));
    differ
        .map(|name| format!("{name}: {:?}\n  is {:?}", reference.get(name), other.get(name)))
        .collect()
}

/// Runs the scenario with one operator until it dies or is quiet, then with a second one.
async fn run(name: &str, faults: Faults) -> Run {
    let world = World::new(name).await;
    let operator = world.operator("a", &faults).await;
    world.create("demo", spec()).await.unwrap();
    tokio::select! {
        () = faults.crashed.cancelled() => {}
        () = operator.until_quiet(&world, "demo") => {}
    }
    let (writes, struck) = (faults.writes().len(), faults.struck());
    drop(operator);
    // The same identity takes the lease at once, as a container that restarts in its pod does.
    let next = world.operator("a", &Faults::none()).await;
    next.until_quiet(&world, "demo").await;
    let shape = shape(&world).await;
    next.stop().await;
    world.remove().await;
    Run {
        shape,
        writes,
        struck,
    }
}

/// Every write once with this fault, compared with a run without any.
async fn sweep(name: &str, fault: Fault) {
    let reference = run(name, Faults::none()).await;
    let writes = reference.writes;
    assert!((10..WRITES_MAX).contains(&writes), "{writes} writes");
    let what = format!("{fault:?} at write");
    every_write(&what, &reference, RUNS_AT_ONCE, async |nth| {
        run(&format!("{name}-{nth}"), Faults::at(nth, fault)).await
    })
    .await;
}

/// Runs once for every write, some at a time: each fault strikes, unless the run has no such write, and each run ends in
/// the shape of the reference.
pub async fn every_write(what: &str, reference: &Run, at_once: usize, run: impl AsyncFn(usize) -> Run) {
    let run = &run;
    let runs = (1..=reference.writes).map(async |nth| {
        let found = run(nth).await;
        assert!(
            found.struck || found.writes < nth,
            "{what} {nth}: the fault did not strike, though there were {} writes",
            found.writes
        );
        let difference = difference(&reference.shape, &found.shape);
        assert!(difference.is_empty(), "{what} {nth}:\n{}", difference.join("\n"));
        usize::from(!found.struck)
    });
    let not_struck: Vec<_> = stream::iter(runs).buffer_unordered(at_once).collect().await;
    let not_struck: usize = not_struck.into_iter().sum();
    let not_struck_max = (reference.writes * NOT_STRUCK_PERCENT_MAX / 100).max(1);
    assert!(
        not_struck <= not_struck_max,
        "{what}: {not_struck} of {} faults did not strike",
        reference.writes
    );
}

#[tokio::test]
async fn a_crash_after_any_write_converges_to_the_same_children() {
    sweep("crash", Fault::Crash).await;
}

#[tokio::test]
async fn a_lost_request_at_any_write_converges_to_the_same_children() {
    sweep("drop", Fault::Drop).await;
}

#[tokio::test]
async fn a_lost_response_at_any_write_converges_to_the_same_children() {
    sweep("reply", Fault::LoseReply).await;
}

#[tokio::test]
async fn a_conflict_at_any_write_converges_to_the_same_children() {
    sweep("conflict", Fault::Answer(StatusCode::CONFLICT)).await;
}

#[tokio::test]
async fn a_rejection_at_any_write_converges_to_the_same_children() {
    sweep("refuse", Fault::Answer(StatusCode::FORBIDDEN)).await;
}
