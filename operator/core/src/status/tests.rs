mod pod_failures;

use std::collections::BTreeMap;

use kube::ResourceExt;
use poker_operator_api::conditions::types;

use super::*;
use crate::observed::TopicObserved;
use crate::plan_result::{Drained, Failure, NewEvent};
use crate::status::events;
use crate::status::pod_failures::{Kind, PodFailure};
use crate::testing::{World, observed};
use crate::validate::validate;

fn world(spec: &str) -> World {
    World::new(observed("demo", spec))
}

fn pair(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

#[test]
fn a_cluster_becomes_ready_when_all_of_it_is() {
    let mut world = world("{version: v1}");
    world.pass();
    assert_eq!(world.condition(types::READY).0, "False");
    assert_eq!(world.condition(types::DEGRADED), pair("False", "AsExpected"));
    world.set_ready("gateway", true);
    world.pass();
    assert_eq!(world.condition(types::READY).0, "False");
    world.set_ready("", true);
    world.pass();
    assert_eq!(world.condition(types::READY), pair("True", "Ready"));
    let status = world.seen.cluster.status.clone().unwrap();
    assert_eq!(status.version.as_deref(), Some("v1"));
    assert_eq!(status.rollout.unwrap().progress, "3/3");
    assert_eq!(
        (status.shards.unwrap().ready, status.gateway.unwrap().ready),
        (3, 2)
    );
    world.settle();
    for (type_, status) in [
        (types::PROGRESSING, "False"),
        (types::RECONCILING, "False"),
        (types::STALLED, "False"),
    ] {
        assert_eq!(world.condition(type_).0, status, "{type_}");
    }
}

#[test]
fn losing_one_shard_degrades_and_losing_all_is_not_ready() {
    let mut world = world("{version: v1}");
    world.settle();
    world.set_ready("shard-1-", false);
    world.pass();
    assert_eq!(world.condition(types::READY).0, "True");
    assert_eq!(
        world.condition(types::DEGRADED),
        pair("True", "ShardsUnavailable")
    );
    world.set_ready("shard-", false);
    world.pass();
    assert_eq!(world.condition(types::READY), pair("False", "ShardsUnavailable"));
    world.set_ready("", true);
    world.set_ready("redis", false);
    world.pass();
    assert_eq!(world.condition(types::READY), pair("False", "ServersUnavailable"));
}

#[test]
fn what_is_added_starts_and_what_is_lost_degrades_until_it_is_back() {
    let mut world = world("{version: v1}");
    world.settle();
    let crash = PodFailure {
        kind: Kind::Crash,
        components: [Component::Gateway].into(),
        image: "poker-app:v1".to_owned(),
        cause: "exit code 1".to_owned(),
        pod: "demo-gateway-1".to_owned(),
    };
    let degraded = |world: &mut World, ready: i32, failures: &[PodFailure]| {
        world.seen.pod_failures = failures.to_vec();
        let gateways = world.seen.live.deployments.iter_mut();
        for gateway in gateways.filter(|d| d.name_any().contains("gateway")) {
            gateway.status.get_or_insert_default().ready_replicas = Some(ready);
        }
        world.pass();
        world.condition(types::DEGRADED)
    };
    world.seen.cluster.spec.gateway.replicas = 4;
    world.seen.cluster.metadata.generation = Some(2);
    let lost = pair("True", "GatewaysUnavailable");
    for (ready, troubles, expected) in [
        (2, vec![], pair("False", "AsExpected")),
        (3, vec![], pair("False", "AsExpected")),
        (2, vec![], lost.clone()),
        (2, vec![crash], pair("True", "CrashLooping")),
        (2, vec![], lost.clone()),
        (3, vec![], lost),
        (4, vec![], pair("False", "AsExpected")),
    ] {
        assert_eq!(
            degraded(&mut world, ready, &troubles),
            expected,
            "{ready} of 4 ready"
        );
    }
}

#[test]
fn a_managed_server_that_waits_for_its_pod_to_be_deleted_is_named() {
    let mut world = world("{version: v1}");
    world.settle();
    let progressing = |world: &mut World, updated: i32, current: &str| {
        let mut sets = world.seen.live.stateful_sets.iter_mut();
        let redis = sets.find(|set| set.name_any() == "demo-redis").unwrap();
        let status = redis.status.get_or_insert_default();
        status.replicas = 1;
        status.updated_replicas = Some(updated);
        status.current_revision = Some(current.to_owned());
        status.update_revision = Some("demo-redis-2".to_owned());
        world.pass();
        let status = world.seen.cluster.status.as_ref().unwrap();
        let mut conditions = status.conditions.iter();
        conditions
            .find(|c| c.type_ == types::PROGRESSING)
            .unwrap()
            .message
            .clone()
    };
    let (first, second) = ("demo-redis-1", "demo-redis-2");
    let named = "everything is as the spec says but demo-redis-0: ";
    assert!(progressing(&mut world, 0, first).starts_with(named));
    assert_eq!(
        progressing(&mut world, 1, first),
        "everything is as the spec says"
    );
    // Changed and changed back: the set's revision is the one it began with, the pod's is not.
    assert!(progressing(&mut world, 0, second).starts_with(named));
}

#[test]
fn fewer_replicas_of_the_topic_than_asked_for_are_told() {
    let mut world = world("{version: v1}");
    world.settle();
    world.seen.cluster.spec.kafka.topic.replication_factor = 2;
    for (replication_factor, expected) in [
        (1, pair("True", "TopicReplicationDiffers")),
        (2, pair("False", "AsExpected")),
        (3, pair("False", "AsExpected")),
    ] {
        world.seen.topic = TopicObserved::Present {
            partitions: 12,
            replication_factor,
            retention_ms: Some(604_800_000),
        };
        world.pass();
        assert_eq!(
            world.condition(types::DEGRADED),
            expected,
            "{replication_factor} of 2"
        );
    }
}

#[test]
fn a_rollout_shows_its_progress_and_the_old_version_until_it_is_done() {
    let mut world = world("{version: v1}");
    world.settle();
    world.seen.cluster.spec.version = "v2".to_owned();
    world.seen.cluster.metadata.generation = Some(2);
    world.pass();
    let status = world.seen.cluster.status.clone().unwrap();
    assert_eq!(
        (
            status.version.as_deref(),
            status.rollout.unwrap().progress.as_str()
        ),
        (Some("v1"), "0/3")
    );
    assert_eq!(world.condition(types::PROGRESSING), pair("True", "RollingOut"));
    world.settle();
    let status = world.seen.cluster.status.clone().unwrap();
    assert_eq!(
        (
            status.version.as_deref(),
            status.rollout.unwrap().progress.as_str()
        ),
        (Some("v2"), "3/3")
    );
    assert!(status.conditions.iter().all(|c| c.observed_generation == Some(2)));
}

#[test]
fn an_invalid_spec_stalls_and_stops_nothing() {
    let mut world = world("{version: v1}");
    world.settle();
    let before = world.seen.cluster.status.clone().unwrap();
    world.seen.topic = TopicObserved::Present {
        partitions: 99,
        replication_factor: 1,
        retention_ms: None,
    };
    let valid = validate(&world.seen);
    let status = derive(&valid, &world.seen, &Outcome::not_planned());
    let find = |type_: &str| {
        status
            .conditions
            .iter()
            .find(|c| c.type_ == type_)
            .unwrap()
            .clone()
    };
    assert_eq!(find(types::STALLED).reason, "TopicCannotShrink");
    for (type_, expected) in [(types::READY, "False"), (types::DEGRADED, "True")] {
        let told = find(type_);
        assert_eq!(
            (told.status.as_str(), told.reason.as_str()),
            (expected, "TopicCannotShrink")
        );
        assert!(
            told.message.contains("; what ran before goes on running"),
            "{}",
            told.message
        );
    }
    assert_eq!(
        (&status.shards, &status.version),
        (&before.shards, &before.version)
    );
    let told: Vec<_> = events::between(Some(&before), &status, &BTreeMap::new())
        .into_iter()
        .map(|event| event.reason)
        .collect();
    assert_eq!(told, ["TopicCannotShrink"]);
}

#[test]
fn a_failed_write_is_told_and_taken_back() {
    let mut world = world("{version: v1}");
    world.settle();
    let valid = validate(&world.seen);
    let summary = world.pass().summary;
    world.set_ready("gateway", false);
    let failure = Failure {
        reason: "ApplyFailed",
        message: "services \"demo\" is forbidden".to_owned(),
    };
    let outcome = Outcome {
        summary: Some(summary),
        scale: Vec::new(),
        applied: Err(failure),
    };
    let status = derive(&valid, &world.seen, &outcome);
    let find = |type_: &str| {
        status
            .conditions
            .iter()
            .find(|c| c.type_ == type_)
            .unwrap()
            .status
            .clone()
    };
    assert_eq!(
        (find(types::DEGRADED), find(types::RECONCILING)),
        ("True".to_owned(), "True".to_owned())
    );
    assert_eq!(find(types::READY), "False", "what serves is told all the same");
    assert_eq!(status.gateway.as_ref().unwrap().ready, 0);
    world.seen.cluster.status = Some(status);
    world.set_ready("gateway", true);
    world.pass();
    assert_eq!(world.condition(types::DEGRADED).0, "False");
    assert_eq!(world.condition(types::READY).0, "True");
}

#[test]
fn what_cannot_be_observed_is_told_and_all_else_stays() {
    let mut world = world("{version: v1}");
    world.settle();
    let before = world.seen.cluster.status.clone().unwrap();
    let status = observe_failed(
        &world.seen.cluster,
        "cannot read Secret r: let the operator read it",
        world.seen.now,
    );
    let told = |status: &PokerClusterStatus| -> Vec<(String, String)> {
        let changed = status
            .conditions
            .iter()
            .filter(|c| !before.conditions.contains(c));
        changed.map(|c| (c.type_.clone(), c.reason.clone())).collect()
    };
    assert_eq!(
        told(&status),
        [(types::DEGRADED.to_owned(), "CannotObserve".to_owned())]
    );
    let rest = |status: &PokerClusterStatus| PokerClusterStatus {
        conditions: Vec::new(),
        ..status.clone()
    };
    assert_eq!(rest(&status), rest(&before));
    world.seen.cluster.status = Some(status.clone());
    world.pass();
    assert_eq!(world.condition(types::DEGRADED).0, "False");

    // Also when nothing can be planned by then.
    world.seen.cluster.status = Some(status);
    let shrunk = TopicObserved::Present {
        partitions: 99,
        replication_factor: 1,
        retention_ms: None,
    };
    world.seen.topic = shrunk;
    let valid = validate(&world.seen);
    let status = derive(&valid, &world.seen, &Outcome::not_planned());
    world.seen.cluster.status = Some(status);
    assert_eq!(
        world.condition(types::DEGRADED),
        pair("True", "TopicCannotShrink")
    );

    let new = observed("demo", "{version: v1}");
    world.seen.cluster.status = Some(observe_failed(&new.cluster, "cannot read Secret r", new.now));
    assert_eq!(world.condition(types::READY), pair("False", "CannotObserve"));
}

#[test]
fn a_lost_watch_degrades_while_it_lasts() {
    let mut world = world("{version: v1}");
    world.settle();
    world.seen.stale_caches = Some("the watch of Service fails".to_owned());
    world.pass();
    assert_eq!(world.condition(types::DEGRADED), pair("True", "CannotObserve"));
    assert_eq!(world.condition(types::READY).0, "True");
    world.seen.stale_caches = None;
    world.pass();
    assert_eq!(world.condition(types::DEGRADED).0, "False");
}

#[test]
fn transition_times_move_only_with_the_status_and_nothing_is_said_twice() {
    let mut world = world("{version: v1}");
    world.settle();
    let before = world.seen.cluster.status.clone().unwrap();
    world.wait(1_000);
    world.pass();
    let after = world.seen.cluster.status.clone().unwrap();
    assert_eq!(before, after, "not even a time changed");
    world.set_ready("shard-1-", false);
    world.pass();
    let broken = world.seen.cluster.status.clone().unwrap();
    assert!(!same(&after, &broken));
    let changed = |a: &PokerClusterStatus, b: &PokerClusterStatus| -> Vec<String> {
        let pairs = a.conditions.iter().zip(&b.conditions);
        pairs
            .filter(|(a, b)| a.last_transition_time != b.last_transition_time)
            .map(|(a, _)| a.type_.clone())
            .collect()
    };
    assert_eq!(changed(&after, &broken), [types::DEGRADED, types::RECONCILING]);
}

#[test]
fn events_tell_each_transition_once() {
    let mut world = world("{version: v1}");
    let mut reasons = Vec::new();
    let mut step = |world: &mut World| {
        let old = world.seen.cluster.status.clone();
        let plan = world.pass();
        let new = world.seen.cluster.status.clone().unwrap();
        let drained = &plan.summary.drained;
        reasons.extend(
            events::between(old.as_ref(), &new, drained)
                .into_iter()
                .map(|e| e.reason),
        );
    };
    step(&mut world);
    step(&mut world);
    world.set_ready("", true);
    step(&mut world);
    step(&mut world);
    world.seen.cluster.spec.shards.replicas = 2;
    step(&mut world);
    step(&mut world);
    world.seen.cluster.spec.paused = true;
    step(&mut world);
    step(&mut world);
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

/// One pass, and the events it would record.
fn step(world: &mut World) -> Vec<NewEvent> {
    let old = world.seen.cluster.status.clone();
    let plan = world.pass();
    let new = world.seen.cluster.status.clone().unwrap();
    events::between(old.as_ref(), &new, &plan.summary.drained)
}

fn message(world: &World, type_: &str) -> String {
    let status = world.seen.cluster.status.as_ref().unwrap();
    let found = status.conditions.iter().find(|c| c.type_ == type_).unwrap();
    found.message.clone()
}

#[test]
fn a_topic_that_cannot_be_asked_for_degrades_and_one_not_asked_for_yet_does_not() {
    let mut world = world("{version: v1}");
    world.settle();
    let valid = validate(&world.seen);
    let summary = world.pass().summary;
    for (why, reasons) in [
        (None, vec![]),
        (Some("refused".to_owned()), vec!["TopicUnavailable"]),
    ] {
        world.seen.topic = TopicObserved::Unknown { why };
        let outcome = Outcome {
            summary: Some(summary.clone()),
            ..Outcome::not_planned()
        };
        let status = derive(&valid, &world.seen, &outcome);
        let events = events::between(world.seen.cluster.status.as_ref(), &status, &BTreeMap::new());
        let told: Vec<_> = events.iter().map(|event| event.reason.as_str()).collect();
        assert_eq!(told, reasons);
    }
}

#[test]
fn an_end_of_draining_says_which_shard_and_why() {
    let mut world = world("{version: v1}");
    world.settle();
    let wants = |world: &mut World, replicas| world.seen.cluster.spec.shards.replicas = replicas;
    let told = |events: Vec<NewEvent>| {
        let drained = events.into_iter().filter(|e| e.reason == "Drained");
        drained.map(|e| e.message).collect::<Vec<_>>()
    };
    let name = world
        .deployments()
        .into_iter()
        .find(|name| name.contains("-shard-2-"))
        .unwrap();
    wants(&mut world, 2);
    let begun: Vec<_> = step(&mut world).into_iter().map(|e| e.message).collect();
    assert!(
        begun.contains(&format!("shard 2 ({name}) hands over what it holds")),
        "{begun:?}"
    );
    wants(&mut world, 3);
    assert_eq!(
        told(step(&mut world)),
        [format!("shard 2 ({name}) is wanted again and stays")]
    );
    wants(&mut world, 2);
    step(&mut world);
    world.drain_all();
    let mut ends = Vec::new();
    for _ in 0..4 {
        ends.extend(told(step(&mut world)));
    }
    assert_eq!(
        ends,
        [format!("shard 2 ({name}) holds nothing any more and goes")]
    );

    let old = world.seen.cluster.status.clone().unwrap();
    let mut drains = old.clone();
    drains.draining = vec![Draining {
        deployment: name.clone(),
        since: Time(world.seen.now),
    }];
    let table = [
        (
            Drained::Deadline { held: Some(3) },
            "goes at its drain deadline, still holding 3",
        ),
        (Drained::Gone, "is gone"),
    ];
    for (how, words) in table {
        let ended = events::between(Some(&drains), &old, &BTreeMap::from([(name.clone(), how)]));
        assert_eq!(told(ended), [format!("shard 2 ({name}) {words}")]);
    }
}

#[test]
fn replicas_that_autoscaling_overrides_are_told_once() {
    let mut world = world(
        "{version: v1, prometheus: {url: 'http://p'}, shards: {replicas: 3, autoscaling: {minReplicas: 2, \
         maxReplicas: 5, metrics: [{builtin: Participants, target: {averageValue: '100'}}]}}}",
    );
    world.settle();
    assert!(step(&mut world).is_empty());
    world.seen.cluster.spec.shards.replicas = 5;
    let told = step(&mut world);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (told[0].reason.as_str(), told[0].warning),
        ("ReplicasIgnored", true)
    );
    let words = "spec.shards.replicas is now 5 and has no effect: autoscaling decides, and wants 3; set \
                 spec.shards.autoscaling.minReplicas or maxReplicas, or remove autoscaling";
    assert_eq!(told[0].message, words);
    assert!(step(&mut world).is_empty(), "told once");
    let desired = world.seen.cluster.status.clone().unwrap().shards.unwrap().desired;
    world.seen.cluster.spec.shards.replicas = desired;
    assert!(step(&mut world).is_empty(), "that is as it is");
}
