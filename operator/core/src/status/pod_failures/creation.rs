//! Why pods cannot be created. A Deployment reports it in a condition, a StatefulSet only in events.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;

use super::{Kind, PodFailure, component, one_line};
use crate::limits::CREATION_EVENT_EXPIRY_SECONDS;
use crate::observed::LiveChildren;

/// The condition of a Deployment whose pods the API server rejects.
const REPLICA_FAILURE: &str = "ReplicaFailure";

/// Whether a StatefulSet has fewer pods than desired, so that its events may have the cause.
pub fn lacks_pods(set: &StatefulSet) -> bool {
    let desired = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let status = set.status.as_ref();
    status.is_some_and(|status| status.replicas < desired)
}

/// One failure for each cause: a quota that is used up fails many workloads alike.
pub(super) fn find(
    live: &LiveChildren,
    events: &BTreeMap<String, Vec<Event>>,
    now: Timestamp,
) -> Vec<PodFailure> {
    let deployments = live.deployments.iter().filter_map(|deployment| {
        let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
        let mut conditions = conditions.iter();
        let failed = conditions.find(|c| c.type_ == REPLICA_FAILURE && c.status == "True")?;
        failure("Deployment", deployment, failed.message.as_deref()?)
    });
    let sets = live.stateful_sets.iter().filter_map(|set| {
        let report = newest_report(events.get(&set.name_any())?, now)?;
        failure("StatefulSet", set, report)
    });
    let mut failures: Vec<PodFailure> = Vec::new();
    for failure in deployments.chain(sets) {
        match failures.iter_mut().find(|other| other.cause == failure.cause) {
            Some(other) => other.components.extend(failure.components),
            None => failures.push(failure),
        }
    }
    failures
}

fn failure(kind: &str, workload: &impl ResourceExt, message: &str) -> Option<PodFailure> {
    Some(PodFailure {
        kind: Kind::Creation,
        components: [component(workload)?].into(),
        image: String::new(),
        cause: one_line(rejection(message)),
        pod: format!("{kind} {}", workload.name_any()),
    })
}

/// The note of the newest event, unless it is too old to be about the current attempts.
fn newest_report(events: &[Event], now: Timestamp) -> Option<&str> {
    let newest = events.iter().max_by_key(|event| last_time(event))?;
    let age = now.duration_since(last_time(newest)?).as_secs();
    newest
        .note
        .as_deref()
        .filter(|_| age < CREATION_EVENT_EXPIRY_SECONDS)
}

fn last_time(event: &Event) -> Option<Timestamp> {
    let times = [
        event.series.as_ref().map(|series| series.last_observed_time.0),
        event.deprecated_last_timestamp.as_ref().map(|time| time.0),
        event.event_time.as_ref().map(|time| time.0),
        event.metadata.creation_timestamp.as_ref().map(|time| time.0),
    ];
    times.into_iter().flatten().max()
}

/// The message without the name of the pod, which differs for each attempt.
fn rejection(message: &str) -> &str {
    let cause = message.split_once(" is forbidden: ").map(|(_, cause)| cause);
    cause
        .or_else(|| message.split_once(" failed error: ").map(|(_, cause)| cause))
        .unwrap_or(message)
}
