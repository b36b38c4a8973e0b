use poker_operator_api::conditions::reasons;

use super::*;
use crate::testing::{TestCluster, keys, observed};

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
fn errors_name_the_problem_and_the_remedy() {
    let prometheus = "prometheus: {url: 'http://p:9090'}";
    let table = [
        ("shards: {resources: {limits: {cpu: lots}}}", "is not a quantity"),
        (
            "gateway: {resources: {requests: {memory: 2Gi}, limits: {memory: 1Gi}}}",
            "less than its request",
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
            "must be greater than 0",
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
fn referenced_secrets_require_their_key() {
    let mut state = observed(
        "demo",
        "{version: v1, redis: {external: {urlSecretRef: {name: r, key: url}}}}",
    );
    state.secrets.insert("r".into(), keys(["other"]));
    assert_eq!(validate(&state).unwrap_err().reason, reasons::SECRET_MISSING);
    state.secrets.insert("r".into(), keys(["url"]));
    assert!(validate(&state).is_ok());
    state.secrets.insert("demo-database".into(), keys(["url"]));
    assert!(
        validate(&state)
            .unwrap_err()
            .message
            .contains("no longer has the key password")
    );
}

#[test]
fn a_deleted_password_of_a_running_database_is_not_replaced() {
    let mut cluster = TestCluster::new(observed("demo", "{version: v1}"));
    cluster.settle();
    cluster.observed.secrets.clear();
    cluster.observed.live.secrets.clear();
    let invalid = validate(&cluster.observed).unwrap_err();
    assert_eq!(invalid.reason, reasons::SECRET_MISSING);
    assert!(
        invalid.message.contains(
            "restore it. To start with an empty database instead, delete the StatefulSet demo-database"
        ),
        "{invalid}"
    );
    cluster.observed.live.stateful_sets.clear();
    assert!(
        validate(&cluster.observed).is_ok(),
        "no database uses the password"
    );
}

#[test]
fn fewer_partitions_than_the_topic_has_are_rejected() {
    let mut state = observed("demo", "{version: v1, kafka: {topic: {partitions: 3}}}");
    state.topic = TopicObserved::Present {
        partitions: 4,
        replication_factor: 1,
        retention_ms: None,
    };
    assert_eq!(
        validate(&state).unwrap_err().reason,
        reasons::TOPIC_SHRINK_UNSUPPORTED
    );
    state.topic = TopicObserved::Present {
        partitions: 3,
        replication_factor: 1,
        retention_ms: None,
    };
    assert!(validate(&state).is_ok());
}
