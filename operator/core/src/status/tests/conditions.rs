//! Conditions and status fields.

use std::collections::BTreeMap;

use kube::ResourceExt;
use poker_operator_api::conditions::types;
use poker_operator_api::{Component, PokerClusterStatus};

use super::{cluster, message, pair, step};
use crate::observed::TopicObserved;
use crate::plan_result::Outcome;
use crate::scale::{Cause, PENDING, Sample};
use crate::status::pod_failures::{Kind, PodFailure};
use crate::status::{derive, events, observe_failed, same};
use crate::testing::{TestCluster, observed};
use crate::validate::validate;

#[test]
fn a_cluster_becomes_ready_once_it_is_complete() {
    let mut cluster = cluster("{version: v1}");
    cluster.reconcile();
    assert_eq!(cluster.condition(types::READY).0, "False");
    assert_eq!(cluster.condition(types::DEGRADED), pair("False", "AsExpected"));
    cluster.set_ready("gateway", true);
    cluster.reconcile();
    assert_eq!(cluster.condition(types::READY).0, "False");
    cluster.set_ready("", true);
    cluster.reconcile();
    assert_eq!(cluster.condition(types::READY), pair("True", "Ready"));
    let status = cluster.observed.cluster.status.clone().unwrap();
    assert_eq!(status.version.as_deref(), Some("v1"));
    assert_eq!(status.rollout.unwrap().progress, "3/3");
    assert_eq!(
        (status.shards.unwrap().ready, status.gateway.unwrap().ready),
        (3, 2)
    );
    cluster.settle();
    for (type_, status) in [
        (types::PROGRESSING, "False"),
        (types::RECONCILING, "False"),
        (types::STALLED, "False"),
    ] {
        assert_eq!(cluster.condition(type_).0, status, "{type_}");
    }
}

#[test]
fn losing_one_shard_degrades_and_losing_all_is_not_ready() {
    let mut cluster = cluster("{version: v1}");
    cluster.settle();
    cluster.set_ready("shard-1-", false);
    cluster.reconcile();
    assert_eq!(cluster.condition(types::READY).0, "True");
    assert_eq!(
        cluster.condition(types::DEGRADED),
        pair("True", "ShardsUnavailable")
    );
    cluster.set_ready("shard-", false);
    cluster.reconcile();
    assert_eq!(
        cluster.condition(types::READY),
        pair("False", "ShardsUnavailable")
    );
    cluster.set_ready("", true);
    cluster.set_ready("redis", false);
    cluster.reconcile();
    assert_eq!(
        cluster.condition(types::READY),
        pair("False", "ServersUnavailable")
    );
}

#[test]
fn new_gateways_do_not_degrade_and_lost_ones_do_until_they_return() {
    let mut cluster = cluster("{version: v1}");
    cluster.settle();
    let crash = PodFailure {
        kind: Kind::Crash,
        components: [Component::Gateway].into(),
        image: "poker-app:v1".to_owned(),
        cause: "exit code 1".to_owned(),
        pod: "demo-gateway-1".to_owned(),
    };
    let degraded = |cluster: &mut TestCluster, ready: i32, pod_failures: &[PodFailure]| {
        cluster.observed.pod_failures = pod_failures.to_vec();
        let gateways = cluster.observed.live.deployments.iter_mut();
        for gateway in gateways.filter(|d| d.name_any().contains("gateway")) {
            gateway.status.get_or_insert_default().ready_replicas = Some(ready);
        }
        cluster.reconcile();
        cluster.condition(types::DEGRADED)
    };
    cluster.observed.cluster.spec.gateway.replicas = 4;
    cluster.observed.cluster.metadata.generation = Some(2);
    let lost = pair("True", "GatewaysUnavailable");
    for (ready, failures, expected) in [
        (2, vec![], pair("False", "AsExpected")),
        (3, vec![], pair("False", "AsExpected")),
        (2, vec![], lost.clone()),
        (2, vec![crash], pair("True", "CrashLoopBackOff")),
        (2, vec![], lost.clone()),
        (3, vec![], lost),
        (4, vec![], pair("False", "AsExpected")),
    ] {
        assert_eq!(
            degraded(&mut cluster, ready, &failures),
            expected,
            "{ready} of 4 ready"
        );
    }
}

#[test]
fn progressing_names_the_pod_with_old_settings() {
    let mut cluster = cluster("{version: v1}");
    cluster.settle();
    let progressing = |cluster: &mut TestCluster, updated: i32, current: &str| {
        let mut sets = cluster.observed.live.stateful_sets.iter_mut();
        let redis = sets.find(|set| set.name_any() == "demo-redis").unwrap();
        let status = redis.status.get_or_insert_default();
        status.replicas = 1;
        status.updated_replicas = Some(updated);
        status.current_revision = Some(current.to_owned());
        status.update_revision = Some("demo-redis-2".to_owned());
        cluster.reconcile();
        message(cluster, types::PROGRESSING)
    };
    let (first, second) = ("demo-redis-1", "demo-redis-2");
    let outdated = "the cluster matches the spec except for the old settings of demo-redis-0: ";
    assert!(progressing(&mut cluster, 0, first).starts_with(outdated));
    assert_eq!(
        progressing(&mut cluster, 1, first),
        "the cluster matches the spec"
    );
    // Changed and changed back: the set has its first revision again, but the pod does not.
    assert!(progressing(&mut cluster, 0, second).starts_with(outdated));
}

#[test]
fn too_few_topic_replicas_degrade() {
    let mut cluster = cluster("{version: v1}");
    cluster.settle();
    cluster.observed.cluster.spec.kafka.topic.replication_factor = 2;
    for (replication_factor, expected) in [
        (1, pair("True", "TopicReplicationMismatch")),
        (2, pair("False", "AsExpected")),
        (3, pair("False", "AsExpected")),
    ] {
        cluster.observed.topic = TopicObserved::Present {
            partitions: 12,
            replication_factor,
            retention_ms: Some(604_800_000),
        };
        cluster.reconcile();
        assert_eq!(
            cluster.condition(types::DEGRADED),
            expected,
            "{replication_factor} of 2"
        );
    }
}

#[test]
fn a_rollout_shows_its_progress_and_the_old_version_until_it_completes() {
    let mut cluster = cluster("{version: v1}");
    cluster.settle();
    cluster.observed.cluster.spec.version = "v2".to_owned();
    cluster.observed.cluster.metadata.generation = Some(2);
    cluster.reconcile();
    let status = cluster.observed.cluster.status.clone().unwrap();
    assert_eq!(
        (
            status.version.as_deref(),
            status.rollout.unwrap().progress.as_str()
        ),
        (Some("v1"), "0/3")
    );
    assert_eq!(cluster.condition(types::PROGRESSING), pair("True", "RollingOut"));
    cluster.settle();
    let status = cluster.observed.cluster.status.clone().unwrap();
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
    let mut cluster = cluster("{version: v1}");
    cluster.settle();
    let before = cluster.observed.cluster.status.clone().unwrap();
    cluster.observed.topic = TopicObserved::Present {
        partitions: 99,
        replication_factor: 1,
        retention_ms: None,
    };
    let valid = validate(&cluster.observed);
    let status = derive(&valid, &cluster.observed, &Outcome::not_planned());
    let find = |type_: &str| {
        status
            .conditions
            .iter()
            .find(|c| c.type_ == type_)
            .unwrap()
            .clone()
    };
    assert_eq!(find(types::STALLED).reason, "TopicShrinkUnsupported");
    for (type_, expected) in [(types::READY, "False"), (types::DEGRADED, "True")] {
        let condition = find(type_);
        assert_eq!(
            (condition.status.as_str(), condition.reason.as_str()),
            (expected, "TopicShrinkUnsupported")
        );
        let consequence = "; running pods keep running with the last valid spec";
        assert!(condition.message.contains(consequence), "{}", condition.message);
    }
    assert_eq!(
        (&status.shards, &status.version),
        (&before.shards, &before.version)
    );
    let reasons: Vec<_> = events::between(Some(&before), &status, &BTreeMap::new())
        .into_iter()
        .map(|event| event.reason)
        .collect();
    assert_eq!(reasons, ["TopicShrinkUnsupported"]);
}

#[test]
fn a_rejected_write_degrades_until_it_succeeds() {
    let mut cluster = cluster("{version: v1}");
    cluster.settle();
    cluster.rejected_kinds.insert("Service");
    cluster.reconcile();
    assert_eq!(cluster.condition(types::DEGRADED), pair("True", "ApplyFailed"));
    assert_eq!(cluster.condition(types::RECONCILING), pair("True", "ApplyFailed"));
    assert_eq!(cluster.condition(types::READY).0, "True", "users can vote");
    cluster.set_ready("gateway", false);
    cluster.reconcile();
    assert_eq!(cluster.condition(types::READY), pair("False", "ApplyFailed"));
    let status = cluster.observed.cluster.status.clone().unwrap();
    assert_eq!(status.gateway.unwrap().ready, 0);
    cluster.rejected_kinds.clear();
    cluster.set_ready("gateway", true);
    cluster.reconcile();
    assert_eq!(cluster.condition(types::DEGRADED).0, "False");
    assert_eq!(cluster.condition(types::READY).0, "True");
}

#[test]
fn a_failed_observe_degrades_and_keeps_the_rest_of_the_status() {
    let mut cluster = cluster("{version: v1}");
    cluster.settle();
    let before = cluster.observed.cluster.status.clone().unwrap();
    let status = observe_failed(
        &cluster.observed.cluster,
        "cannot read Secret r: let the operator read it",
        cluster.observed.now,
    );
    let changed = |status: &PokerClusterStatus| -> Vec<(String, String)> {
        let conditions = status.conditions.iter();
        conditions
            .filter(|c| !before.conditions.contains(c))
            .map(|c| (c.type_.clone(), c.reason.clone()))
            .collect()
    };
    assert_eq!(
        changed(&status),
        [(types::DEGRADED.to_owned(), "ObserveFailed".to_owned())]
    );
    let rest = |status: &PokerClusterStatus| PokerClusterStatus {
        conditions: Vec::new(),
        ..status.clone()
    };
    assert_eq!(rest(&status), rest(&before));
    cluster.observed.cluster.status = Some(status.clone());
    cluster.reconcile();
    assert_eq!(cluster.condition(types::DEGRADED).0, "False");

    // An invalid spec replaces the error, too.
    cluster.observed.cluster.status = Some(status);
    let shrunk = TopicObserved::Present {
        partitions: 99,
        replication_factor: 1,
        retention_ms: None,
    };
    cluster.observed.topic = shrunk;
    let valid = validate(&cluster.observed);
    let status = derive(&valid, &cluster.observed, &Outcome::not_planned());
    cluster.observed.cluster.status = Some(status);
    assert_eq!(
        cluster.condition(types::DEGRADED),
        pair("True", "TopicShrinkUnsupported")
    );

    let new = observed("demo", "{version: v1}");
    cluster.observed.cluster.status = Some(observe_failed(&new.cluster, "cannot read Secret r", new.now));
    assert_eq!(cluster.condition(types::READY), pair("False", "ObserveFailed"));
}

#[test]
fn stale_caches_degrade_while_they_last() {
    let mut cluster = cluster("{version: v1}");
    cluster.settle();
    cluster.observed.stale_caches = Some("the watch of Service fails".to_owned());
    cluster.reconcile();
    assert_eq!(cluster.condition(types::DEGRADED), pair("True", "ObserveFailed"));
    assert_eq!(cluster.condition(types::READY).0, "True");
    cluster.observed.stale_caches = None;
    cluster.reconcile();
    assert_eq!(cluster.condition(types::DEGRADED).0, "False");
}

#[test]
fn transition_times_change_only_with_the_status() {
    let mut cluster = cluster("{version: v1}");
    cluster.settle();
    let before = cluster.observed.cluster.status.clone().unwrap();
    cluster.wait(1_000);
    cluster.reconcile();
    let after = cluster.observed.cluster.status.clone().unwrap();
    assert_eq!(before, after, "times included");
    cluster.set_ready("shard-1-", false);
    cluster.reconcile();
    let broken = cluster.observed.cluster.status.clone().unwrap();
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
fn a_topic_that_cannot_be_described_degrades() {
    let mut cluster = cluster("{version: v1}");
    cluster.settle();
    let valid = validate(&cluster.observed);
    let summary = cluster.reconcile().summary;
    for (why, reasons) in [
        (None, vec![]),
        (Some("refused".to_owned()), vec!["TopicUnavailable"]),
    ] {
        cluster.observed.topic = TopicObserved::Unknown { why };
        let outcome = Outcome {
            summary: Some(summary.clone()),
            ..Outcome::not_planned()
        };
        let status = derive(&valid, &cluster.observed, &outcome);
        let events = events::between(
            cluster.observed.cluster.status.as_ref(),
            &status,
            &BTreeMap::new(),
        );
        let events: Vec<_> = events.iter().map(|event| event.reason.as_str()).collect();
        assert_eq!(events, reasons);
    }
}

const SCALED: &str = "{version: v1, prometheus: {url: 'http://p'}, shards: {autoscaling: {minReplicas: 2, \
    maxReplicas: 8, metrics: [{builtin: Participants, target: {averageValue: '50'}}]}}}";

/// Reconciles with a sample of the participants, and returns the events and what the status says of the decision.
fn sampled(cluster: &mut TestCluster, sample: Sample) -> (Vec<String>, String) {
    let samples = BTreeMap::from([("participants".to_owned(), sample)]);
    cluster.observed.metrics.insert(Component::Shard, samples);
    let events = step(cluster).into_iter().map(|event| event.reason).collect();
    let status = cluster.observed.cluster.status.clone().unwrap();
    (events, status.scaling[0].message.clone())
}

#[test]
fn metrics_that_stay_unavailable_are_reported_once_with_the_present_cause() {
    let mut cluster = cluster(SCALED);
    cluster.settle();
    let at = cluster.observed.now;
    sampled(&mut cluster, Sample::fresh(100.0, at));
    assert_eq!(cluster.condition(types::METRICS_AVAILABLE).0, "True");
    let refused = "Prometheus answered with status 401";
    let (_, message) = sampled(&mut cluster, Sample::missing(refused));
    assert!(message.contains(refused), "{message}");
    assert_eq!(
        cluster.condition(types::METRICS_AVAILABLE).0,
        "True",
        "one lost answer"
    );
    cluster.wait(60);
    let (events, _) = sampled(&mut cluster, Sample::missing(refused));
    assert_eq!(events, ["MetricsQueryFailed"]);
    let failed = pair("False", "MetricsQueryFailed");
    assert_eq!(cluster.condition(types::METRICS_AVAILABLE), failed);
    let empty = "the query gives no finite value";
    let (events, message) = sampled(&mut cluster, Sample::no_value(empty));
    assert!(message.contains(empty), "{message}");
    assert_eq!(events, Vec::<String>::new(), "one event");
    assert_eq!(
        cluster.condition(types::METRICS_AVAILABLE),
        pair("False", "MetricsNoValue")
    );
    let too_many = Sample::Missing {
        cause: Cause::TooManySeries,
        why: "Prometheus scrapes 6 pods".to_owned(),
    };
    let (_, message) = sampled(&mut cluster, too_many);
    assert_eq!(
        cluster.condition(types::METRICS_AVAILABLE),
        pair("False", "MetricsTooManySeries")
    );
    // After a restart the first reconcile has no sample yet.
    cluster.observed.memory.clear();
    let (_, restarted) = sampled(&mut cluster, Sample::pending());
    assert_eq!(restarted, message);
    assert!(!restarted.contains(PENDING));
    assert_eq!(cluster.condition(types::METRICS_AVAILABLE).0, "False");
    sampled(&mut cluster, Sample::fresh(100.0, at));
    assert_eq!(cluster.condition(types::METRICS_AVAILABLE).0, "True");
    cluster.observed.cluster.spec.shards.autoscaling = None;
    cluster.reconcile();
    let status = cluster.observed.cluster.status.unwrap();
    assert!(
        status
            .conditions
            .iter()
            .all(|c| c.type_ != types::METRICS_AVAILABLE)
    );
}
