//! Pods that cannot run, in conditions and events.

use std::collections::BTreeSet;

use super::*;
use crate::status::pod_failures::{Kind, PodFailure};
use crate::testing::keys;

fn unpullable(components: impl IntoIterator<Item = Component>, image: &str) -> PodFailure {
    PodFailure {
        kind: Kind::Image,
        components: BTreeSet::from_iter(components),
        image: image.to_owned(),
        cause: "ErrImagePull: not found".to_owned(),
        pod: "demo-pod".to_owned(),
    }
}

#[test]
fn without_images_the_cause_is_said_first_and_nothing_counts_as_rolled_out() {
    let mut world = world("{version: v1}");
    step(&mut world);
    let app = [Component::Gateway, Component::Shard, Component::Worker];
    world.seen.pod_failures = vec![
        unpullable(app, "app:v1"),
        unpullable([Component::Redis], "redis:8"),
    ];
    let told: Vec<_> = step(&mut world)
        .into_iter()
        .map(|e| (e.reason, e.warning))
        .collect();
    assert_eq!(told, [("ImagePullFailed".to_owned(), true)]);
    for type_ in [types::READY, types::DEGRADED] {
        assert_eq!(world.condition(type_).1, "ImagePullFailed", "{type_}");
        let message = message(&world, type_);
        assert!(
            message.starts_with("gateway, shard and worker: image app:v1 cannot be pulled"),
            "{message}"
        );
        assert!(
            message.contains("redis: image redis:8 cannot be pulled"),
            "{message}"
        );
    }
    let status = world.seen.cluster.status.clone().unwrap();
    assert_eq!(status.rollout.unwrap().progress, "0/3");
    assert!(step(&mut world).is_empty(), "told once");

    world.seen.pod_failures = Vec::new();
    world.pass();
    assert_eq!(
        message(&world, types::READY),
        "Redis has not started yet; 0 of 2 gateways and 0 of 3 shards are ready"
    );
    world.settle();
    let status = world.seen.cluster.status.clone().unwrap();
    assert_eq!(status.rollout.unwrap().progress, "3/3");
    assert_eq!(world.condition(types::READY).0, "True");
}

#[test]
fn who_waits_for_a_server_of_yours_says_where_its_address_stands() {
    let mut world = world("{version: v1, redis: {external: {urlSecretRef: {name: r, key: url}}}}");
    world.seen.secrets.insert("r".into(), keys(["url"]));
    step(&mut world);
    let waits = |component| PodFailure {
        kind: Kind::NotReady,
        cause: "not ready, 30 s or longer after its start".to_owned(),
        ..unpullable([component], "app:v1")
    };
    world.seen.pod_failures = vec![waits(Component::Shard)];
    assert!(
        step(&mut world).is_empty(),
        "the database and Kafka do not serve yet"
    );
    for server in ["database", "kafka", "gateway"] {
        world.set_ready(server, true);
    }
    let told = "shard: pod demo-pod runs, and is not ready, 30 s or longer after its start: kubectl logs demo-pod shows what it \
                waits for; check the address in key url of Secret r";
    let events = step(&mut world);
    let events: Vec<_> = events
        .iter()
        .map(|e| (e.reason.as_str(), e.message.as_str()))
        .collect();
    assert_eq!(events, [("ContainerNotReady", told)]);
    assert!(message(&world, types::READY).starts_with(told));
}

#[test]
fn an_image_that_some_cannot_pull_degrades_and_stalls_under_its_own_name() {
    let mut world = world("{version: v1}");
    world.settle();
    world.seen.cluster.spec.version = "v2".to_owned();
    world.pass();
    world.seen.pod_failures = vec![unpullable([Component::Shard], "app:v2")];
    assert_eq!(step(&mut world).len(), 1);
    assert_eq!(world.condition(types::READY).0, "True");
    assert_eq!(world.condition(types::STALLED).0, "False");
    let shard = |d: &&mut Deployment| {
        d.metadata
            .name
            .as_ref()
            .is_some_and(|name| name.contains("-shard-"))
    };
    let stuck =
        serde_json::json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
    for deployment in world.seen.live.deployments.iter_mut().filter(shard) {
        let status = deployment.status.get_or_insert_default();
        status.conditions = serde_json::from_value(stuck.clone()).unwrap();
    }
    assert!(step(&mut world).is_empty(), "known");
    assert_eq!(world.condition(types::STALLED), pair("True", "ImagePullFailed"));
}

#[test]
fn false_says_that_nothing_is_wrong() {
    let mut world = world("{version: v1}");
    let mut seen = 0;
    for round in 0..12 {
        world.seen.pod_failures =
            Vec::from_iter((round == 1 || round == 8).then(|| unpullable([Component::Shard], "app:v1")));
        world.set_ready("", (3..10).contains(&round));
        world.pass();
        for type_ in [types::DEGRADED, types::STALLED] {
            if world.condition(type_).0 == "False" {
                seen += 1;
                assert_eq!(
                    message(&world, type_),
                    "nothing is wrong",
                    "{type_} in round {round}"
                );
            }
        }
    }
    assert!(seen > 12);
}
