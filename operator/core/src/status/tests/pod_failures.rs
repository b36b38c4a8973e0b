//! Pod failures in conditions and events.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use poker_operator_api::Component;
use poker_operator_api::conditions::types;

use super::{cluster, message, pair, step};
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
fn a_failed_image_pull_is_reported_first_and_stops_the_rollout() {
    let mut cluster = cluster("{version: v1}");
    step(&mut cluster);
    let app = [Component::Gateway, Component::Shard, Component::Worker];
    cluster.observed.pod_failures = vec![
        unpullable(app, "app:v1"),
        unpullable([Component::Redis], "redis:8"),
    ];
    let events: Vec<_> = step(&mut cluster)
        .into_iter()
        .map(|e| (e.reason, e.warning))
        .collect();
    assert_eq!(events, [("ImagePullFailed".to_owned(), true)]);
    for type_ in [types::READY, types::DEGRADED] {
        assert_eq!(cluster.condition(type_).1, "ImagePullFailed", "{type_}");
        let message = message(&cluster, type_);
        assert!(
            message.starts_with("gateway, shard and worker: image app:v1 cannot be pulled"),
            "{message}"
        );
        assert!(
            message.contains("redis: image redis:8 cannot be pulled"),
            "{message}"
        );
    }
    let status = cluster.observed.cluster.status.clone().unwrap();
    assert_eq!(status.rollout.unwrap().progress, "0/3");
    assert!(step(&mut cluster).is_empty(), "reported once");

    cluster.observed.pod_failures = Vec::new();
    cluster.reconcile();
    assert_eq!(
        message(&cluster, types::READY),
        "Redis has not started yet; 0 of 2 gateways and 0 of 3 shards are ready"
    );
    cluster.settle();
    let status = cluster.observed.cluster.status.clone().unwrap();
    assert_eq!(status.rollout.unwrap().progress, "3/3");
    assert_eq!(cluster.condition(types::READY).0, "True");
}

#[test]
fn a_pod_that_waits_for_an_external_server_names_the_field_with_its_address() {
    let mut cluster = cluster("{version: v1, redis: {external: {urlSecretRef: {name: r, key: url}}}}");
    cluster.observed.secrets.insert("r".into(), keys(["url"]));
    step(&mut cluster);
    let waits = |component| PodFailure {
        kind: Kind::NotReady,
        cause: "not ready 30 s or longer after its start".to_owned(),
        ..unpullable([component], "app:v1")
    };
    cluster.observed.pod_failures = vec![waits(Component::Shard)];
    assert!(
        step(&mut cluster).is_empty(),
        "the database and Kafka are not ready yet"
    );
    for server in ["database", "kafka", "gateway"] {
        cluster.set_ready(server, true);
    }
    let sentence = "shard: pod demo-pod is not ready 30 s or longer after its start: see kubectl logs demo-pod; check \
                    the address in key url of Secret r";
    let events = step(&mut cluster);
    let events: Vec<_> = events
        .iter()
        .map(|e| (e.reason.as_str(), e.message.as_str()))
        .collect();
    assert_eq!(events, [("ContainerNotReady", sentence)]);
    assert!(message(&cluster, types::READY).starts_with(sentence));
}

#[test]
fn a_failed_image_pull_is_the_reason_of_degraded_and_stalled() {
    let mut cluster = cluster("{version: v1}");
    cluster.settle();
    cluster.observed.cluster.spec.version = "v2".to_owned();
    cluster.reconcile();
    cluster.observed.pod_failures = vec![unpullable([Component::Shard], "app:v2")];
    assert_eq!(step(&mut cluster).len(), 1);
    assert_eq!(cluster.condition(types::READY).0, "True");
    assert_eq!(cluster.condition(types::STALLED).0, "False");
    let shard = |d: &&mut Deployment| {
        d.metadata
            .name
            .as_ref()
            .is_some_and(|name| name.contains("-shard-"))
    };
    let stuck =
        serde_json::json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
    for deployment in cluster.observed.live.deployments.iter_mut().filter(shard) {
        let status = deployment.status.get_or_insert_default();
        status.conditions = serde_json::from_value(stuck.clone()).unwrap();
    }
    assert!(step(&mut cluster).is_empty(), "already reported");
    assert_eq!(cluster.condition(types::STALLED), pair("True", "ImagePullFailed"));
}

#[test]
fn degraded_and_stalled_report_no_problems_while_they_are_false() {
    let mut cluster = cluster("{version: v1}");
    let mut count = 0;
    for n in 0..12 {
        cluster.observed.pod_failures =
            Vec::from_iter((n == 1 || n == 8).then(|| unpullable([Component::Shard], "app:v1")));
        cluster.set_ready("", (3..10).contains(&n));
        cluster.reconcile();
        for type_ in [types::DEGRADED, types::STALLED] {
            if cluster.condition(type_).0 == "False" {
                count += 1;
                assert_eq!(message(&cluster, type_), "no problems found", "{type_} after {n}");
            }
        }
    }
    assert!(count > 12);
}
