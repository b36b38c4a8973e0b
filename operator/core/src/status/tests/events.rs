//! Events of a simulated cluster.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use poker_operator_api::conditions::types;
use poker_operator_api::status::Draining;

use super::{cluster, message, pair, step};
use crate::plan_result::{Drained, NewEvent};
use crate::status::events;
use crate::testing::TestCluster;

#[test]
fn each_transition_gives_one_event() {
    let mut cluster = cluster("{version: v1}");
    let mut reasons = Vec::new();
    let mut step = |cluster: &mut TestCluster| {
        let old = cluster.observed.cluster.status.clone();
        let plan = cluster.reconcile();
        let new = cluster.observed.cluster.status.clone().unwrap();
        let drained = &plan.summary.drained;
        reasons.extend(
            events::between(old.as_ref(), &new, drained)
                .into_iter()
                .map(|e| e.reason),
        );
    };
    step(&mut cluster);
    step(&mut cluster);
    cluster.set_ready("", true);
    step(&mut cluster);
    step(&mut cluster);
    cluster.observed.cluster.spec.shards.replicas = 2;
    step(&mut cluster);
    step(&mut cluster);
    cluster.observed.cluster.spec.paused = true;
    step(&mut cluster);
    step(&mut cluster);
    assert_eq!(
        reasons,
        [
            "RollingOut",
            "RolledOut",
            "Ready",
            "Scaling",
            "Draining",
            "Paused"
        ]
    );
}

#[test]
fn the_event_at_the_end_of_draining_names_the_shard_and_the_cause() {
    let mut cluster = cluster("{version: v1}");
    cluster.settle();
    let scale =
        |cluster: &mut TestCluster, replicas| cluster.observed.cluster.spec.shards.replicas = replicas;
    let drained = |events: Vec<NewEvent>| {
        let drained = events.into_iter().filter(|e| e.reason == "Drained");
        drained.map(|e| e.message).collect::<Vec<_>>()
    };
    let name = cluster
        .deployments()
        .into_iter()
        .find(|name| name.contains("-shard-2-"))
        .unwrap();
    scale(&mut cluster, 2);
    let started: Vec<_> = step(&mut cluster).into_iter().map(|e| e.message).collect();
    assert!(
        started.contains(&format!("shard 2 ({name}) started draining")),
        "{started:?}"
    );
    scale(&mut cluster, 3);
    assert_eq!(
        drained(step(&mut cluster)),
        [format!("shard 2 ({name}) is needed again and stops draining")]
    );
    scale(&mut cluster, 2);
    step(&mut cluster);
    cluster.drain_all();
    let mut ends = Vec::new();
    for _ in 0..4 {
        ends.extend(drained(step(&mut cluster)));
    }
    assert_eq!(ends, [format!("shard 2 ({name}) is drained and will be deleted")]);

    let old = cluster.observed.cluster.status.clone().unwrap();
    let mut drains = old.clone();
    drains.draining = vec![Draining {
        deployment: name.clone(),
        since: Time(cluster.observed.now),
    }];
    let table = [
        (
            Drained::Deadline { active: Some(3) },
            "reached its drain deadline with 3 still active and will be deleted",
        ),
        (Drained::Deleted, "was deleted by another client while draining"),
    ];
    for (how, message) in table {
        let ended = events::between(Some(&drains), &old, &BTreeMap::from([(name.clone(), how)]));
        assert_eq!(drained(ended), [format!("shard 2 ({name}) {message}")]);
    }
}

#[test]
fn ignored_replicas_are_reported_once() {
    let mut cluster = cluster(
        "{version: v1, prometheus: {url: 'http://p'}, shards: {replicas: 3, autoscaling: {minReplicas: 2, \
         maxReplicas: 5, metrics: [{builtin: Participants, target: {averageValue: '100'}}]}}}",
    );
    cluster.settle();
    cluster.wait(60);
    step(&mut cluster); // reports that there are no metrics
    assert!(step(&mut cluster).is_empty());
    cluster.observed.cluster.spec.shards.replicas = 5;
    let events = step(&mut cluster);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(
        (events[0].reason.as_str(), events[0].warning),
        ("ReplicasIgnored", true)
    );
    let message = "spec.shards.replicas is now 5 and has no effect, because autoscaling decides (currently 3): set \
                   spec.shards.autoscaling.minReplicas or maxReplicas, or remove autoscaling";
    assert_eq!(events[0].message, message);
    assert!(step(&mut cluster).is_empty(), "reported once");
    let desired = cluster
        .observed
        .cluster
        .status
        .clone()
        .unwrap()
        .shards
        .unwrap()
        .desired;
    cluster.observed.cluster.spec.shards.replicas = desired;
    assert!(step(&mut cluster).is_empty(), "it equals the decision");

    // As a HorizontalPodAutoscaler beside it does.
    for replicas in [2, desired, 4, 2, desired, 4] {
        cluster.observed.cluster.spec.shards.replicas = replicas;
        cluster.wait(600);
        assert!(!reports_ignored_replicas(&mut cluster), "{replicas}");
    }
    cluster.wait(3601);
    cluster.observed.cluster.spec.shards.replicas = 2;
    assert!(reports_ignored_replicas(&mut cluster), "after an hour of silence");
}

fn reports_ignored_replicas(cluster: &mut TestCluster) -> bool {
    let events = step(cluster);
    events.iter().any(|event| event.reason == "ReplicasIgnored")
}

#[test]
fn an_overridden_object_is_reported_by_one_event_and_the_cluster_does_not_match_the_spec() {
    let mut cluster = cluster("{version: v1}");
    cluster.settle();
    assert!(step(&mut cluster).is_empty());
    let overridden = |image: &str| vec![format!("Deployment demo-worker: image is {image} instead of b")];
    cluster.overridden = overridden("a");
    let events = step(&mut cluster);
    assert_eq!(events.len(), 1, "{events:?}");
    let expected = "Deployment demo-worker: image is a instead of b: an admission webhook or another client overrides \
                    what the operator applies; the operator applies it again within 5 minutes";
    assert_eq!(
        (
            events[0].reason.as_str(),
            events[0].message.as_str(),
            events[0].warning
        ),
        ("Overridden", expected, true)
    );
    for type_ in [types::PROGRESSING, types::RECONCILING] {
        assert_eq!(cluster.condition(type_), pair("False", "Overridden"));
        assert_eq!(message(&cluster, type_), expected);
    }
    for (type_, expected) in [
        (types::READY, pair("True", "Ready")),
        (types::DEGRADED, pair("False", "AsExpected")),
        (types::STALLED, pair("False", "AsExpected")),
    ] {
        assert_eq!(cluster.condition(type_), expected, "{type_}");
    }
    // A later step does not hide it, and a changed value is no second event.
    cluster.observed.cluster.spec.version = "v2".to_owned();
    cluster.overridden = overridden("c");
    let events = step(&mut cluster);
    assert!(
        events.iter().all(|event| event.reason != "Overridden"),
        "{events:?}"
    );
    assert_eq!(cluster.condition(types::PROGRESSING), pair("True", "Overridden"));
    assert!(message(&cluster, types::PROGRESSING).contains("shards are updated"));

    cluster.settle();
    cluster.overridden.clear();
    assert!(step(&mut cluster).is_empty());
    assert_eq!(
        message(&cluster, types::PROGRESSING),
        "the cluster matches the spec"
    );
}

#[test]
fn an_event_is_not_longer_than_the_api_server_accepts() {
    let mut cluster = cluster("{version: v1}");
    cluster.settle();
    cluster.overridden = vec!["ä".repeat(2000)];
    let events = step(&mut cluster);
    assert_eq!(events[0].message.len(), 1024);
}
