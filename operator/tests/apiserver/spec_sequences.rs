//! Sequences of specs: whatever came before, the children are those of a fresh cluster with the last spec.

use crate::{
    crash::{difference, shape},
    faults::Faults,
    world::{Kubelet, World},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Draining ends at once: no pod here can report that it is drained.
fn spec(change: Value) -> Value {
    let mut spec = json!({
        "version": "1.0.0",
        "gateway": {"replicas": 1, "drainDeadlineSeconds": 0},
        "shards": {"replicas": 2, "drainDeadlineSeconds": 0},
    });
    merge(&mut spec, change);
    spec
}

fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change,
    }
}

/// The children after these specs, applied one after the other.
async fn apply(name: &str, specs: Vec<Value>) -> BTreeMap<String, Value> {
    let world = World::new(name).await;
    let operator = world.operator("a", &Faults::none()).await;
    let _kubelet = Kubelet::start(&world);
    for (number, spec) in specs.into_iter().enumerate() {
        if number == 0 {
            world.create("demo", spec).await.unwrap();
        } else {
            world.replace_spec("demo", spec).await;
        }
        world.until_settled("demo").await;
    }
    operator.until_quiet(&world, "demo").await;
    let shape = shape(&world).await;
    operator.stop().await;
    world.remove().await;
    shape
}

#[tokio::test]
async fn a_changed_cluster_has_the_children_of_a_fresh_one() {
    let table = [
        ("database", json!({"database": {"none": {}}})),
        (
            "ingress",
            json!({"gateway": {"expose": {"ingress": {"host": "poker.example"}}}}),
        ),
        ("shards", json!({"shards": {"replicas": 1}})),
        ("version", json!({"version": "2.0.0"})),
    ];
    for (name, change) in table {
        let plain = || spec(json!({}));
        let changed = apply(&format!("changed-{name}"), vec![plain(), spec(change.clone())]).await;
        let fresh = apply(&format!("fresh-{name}"), vec![spec(change.clone())]).await;
        let differ = difference(&fresh, &changed);
        assert!(differ.is_empty(), "to {name}: {}", differ.join("\n"));
        let back = apply(&format!("back-{name}"), vec![spec(change), plain()]).await;
        let fresh = apply(&format!("plain-{name}"), vec![plain()]).await;
        let differ = difference(&fresh, &back);
        assert!(differ.is_empty(), "back from {name}: {}", differ.join("\n"));
    }
}
