use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::ObjectMeta;
use poker_operator_api::conditions::reasons;

use super::*;
use crate::testing::{World, keys, observed};

fn reason_and_message(spec: &str) -> Option<(&'static str, String)> {
    validate(&observed("demo", spec))
        .err()
        .map(|invalid| (invalid.reason, invalid.message))
}

#[test]
fn the_smallest_spec_is_valid() {
    assert_eq!(reason_and_message("{version: '1.0.0'}"), None);
}

#[test]
fn what_is_wrong_is_said_with_what_to_write() {
    let prometheus = "prometheus: {url: 'http://p:9090'}";
    let table = [
        ("shards: {resources: {limits: {cpu: lots}}}", "is no quantity"),
        (
            "gateway: {resources: {requests: {memory: 2Gi}, limits: {memory: 1Gi}}}",
            "below its request",
        ),
        ("redis: {managed: {memory: 1Mi}}", "at least 8Mi"),
        (
            "redis: {external: {urlSecretRef: {name: r, key: url}}}",
            "Secret r does not exist",
        ),
        (
            "database: {external: {urlSecretRef: {name: d, key: url}}}",
            "Secret d does not exist",
        ),
        (
            "kafka: {external: {bootstrapServers: []}}",
            "at least one host:port",
        ),
        (
            "shards: {autoscaling: {maxReplicas: 3, metrics: [{builtin: Participants, target: {averageValue: 5}}]}}",
            "set prometheus.url",
        ),
        (
            &format!(
                "{prometheus}, shards: {{autoscaling: {{maxReplicas: 3, metrics: [{{builtin: Participants, target: {{averageValue: 0}}}}]}}}}"
            ),
            "must be above 0",
        ),
        (
            &format!(
                "{prometheus}, shards: {{autoscaling: {{maxReplicas: 3, metrics: [{{builtin: Participants, target: {{averageValue: 5}}}}, {{builtin: Participants, target: {{averageValue: 6}}}}]}}}}"
            ),
            "twice",
        ),
        (
            &format!(
                "{prometheus}, gateway: {{autoscaling: {{maxReplicas: 3, metrics: [{{builtin: Connections, target: {{averageValue: 5}}}}], schedules: [{{name: s, cron: '0 25 * * *', minReplicas: 2}}]}}}}"
            ),
            "schedules: s",
        ),
    ];
    for (spec, expected) in table {
        let (_, message) = reason_and_message(&format!("{{version: v1, {spec}}}"))
            .unwrap_or_else(|| panic!("valid: {spec}"));
        assert!(message.contains(expected), "{message} should contain {expected}");
    }
}

#[test]
fn secrets_need_their_key() {
    let mut seen = observed(
        "demo",
        "{version: v1, redis: {external: {urlSecretRef: {name: r, key: url}}}}",
    );
    seen.secrets.insert("r".into(), keys(["other"]));
    assert_eq!(validate(&seen).unwrap_err().reason, reasons::SECRET_MISSING);
    seen.secrets.insert("r".into(), keys(["url"]));
    assert!(validate(&seen).is_ok());
    seen.secrets.insert("demo-database".into(), keys(["url"]));
    assert!(
        validate(&seen)
            .unwrap_err()
            .message
            .contains("lost its key password")
    );
}

#[test]
fn a_lost_password_of_a_database_that_runs_is_not_made_anew() {
    let mut world = World::new(observed("demo", "{version: v1}"));
    world.settle();
    world.seen.secrets.clear();
    world.seen.live.secrets.clear();
    let told = validate(&world.seen).unwrap_err();
    assert_eq!(told.reason, reasons::SECRET_MISSING);
    assert!(
        told.message
            .contains("restore it, or delete the StatefulSet demo-database"),
        "{told}"
    );
    world.seen.live.stateful_sets.clear();
    assert!(validate(&world.seen).is_ok(), "nothing has the password");
}

#[test]
fn a_topic_is_never_shrunk() {
    let mut seen = observed("demo", "{version: v1, kafka: {topic: {partitions: 3}}}");
    seen.topic = TopicObserved::Present {
        partitions: 4,
        replication_factor: 1,
        retention_ms: None,
    };
    assert_eq!(validate(&seen).unwrap_err().reason, reasons::TOPIC_CANNOT_SHRINK);
    seen.topic = TopicObserved::Present {
        partitions: 3,
        replication_factor: 1,
        retention_ms: None,
    };
    assert!(validate(&seen).is_ok());
}

#[test]
fn names_of_others_are_refused_and_ours_are_not() {
    let owner = |uid: &str| OwnerReference {
        uid: uid.to_owned(),
        controller: Some(true),
        ..OwnerReference::default()
    };
    let service = |name: &str, owner: Option<OwnerReference>| Service {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            owner_references: owner.map(|o| vec![o]),
            ..ObjectMeta::default()
        },
        ..Service::default()
    };
    let mut seen = observed("demo", "{version: v1}");
    let ours = seen.uid().to_owned();
    let table = [
        (service("demo", None), true),
        (service("demo", Some(owner("another"))), true),
        (service("demo", Some(owner(&ours))), false),
        (service("demo-shard-0-0123abcd", None), true),
        (service("demo-shard-extra", None), false),
        (service("demo-metrics", None), false),
    ];
    for (service, refused) in table {
        seen.live.services = vec![service.clone()];
        let result = validate(&seen);
        assert_eq!(result.is_err(), refused, "{:?}", service.metadata);
        if let Err(invalid) = result {
            assert_eq!(invalid.reason, reasons::FOREIGN_OWNED);
        }
    }
}
