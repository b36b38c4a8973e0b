//! Events of a simulated cluster.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use poker_operator_api::status::Draining;

use super::{cluster, step};
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
}
