//! Events: one for each transition between two statuses, and none for a state that lasts.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use poker_operator_api::PokerClusterStatus;
use poker_operator_api::conditions::{reasons, types};
use poker_operator_api::status::ScalingStatus;

use crate::limits::{EVENT_NOTE_BYTES_MAX, EVENTS_MAX, REPLICAS_IGNORED_SILENCE};
use crate::plan_result::{Drained, NewEvent};

/// The events between two reported statuses. `drained` holds how draining ended, for the Deployments that are no longer
/// in `new`.
pub fn between(
    old: Option<&PokerClusterStatus>,
    new: &PokerClusterStatus,
    drained: &BTreeMap<String, Drained>,
) -> Vec<NewEvent> {
    let none = PokerClusterStatus::default();
    let old = old.unwrap_or(&none);
    let mut events = Vec::new();
    rollout(old, new, &mut events);
    scaling(old, new, &mut events);
    replicas_ignored(old, new, &mut events);
    draining(old, new, drained, &mut events);
    conditions(old, new, &mut events);
    events.truncate(EVENTS_MAX);
    for event in &mut events {
        let end = event.message.floor_char_boundary(EVENT_NOTE_BYTES_MAX);
        event.message.truncate(end);
    }
    events
}

fn normal(reason: &str, message: String) -> NewEvent {
    NewEvent {
        reason: reason.to_owned(),
        message,
        warning: false,
    }
}

fn rollout(old: &PokerClusterStatus, new: &PokerClusterStatus, events: &mut Vec<NewEvent>) {
    if let Some(rollout) = &new.rollout
        && old
            .rollout
            .as_ref()
            .is_none_or(|r| r.revision != rollout.revision)
    {
        let message = format!(
            "rolling out version {} (revision {})",
            rollout.version, rollout.revision
        );
        events.push(normal(reasons::ROLLING_OUT, message));
    }
    if let Some(version) = &new.version
        && old.version.as_ref() != Some(version)
    {
        events.push(normal(
            reasons::ROLLED_OUT,
            format!("all gateways and shards run version {version}"),
        ));
    }
}

fn scaling(old: &PokerClusterStatus, new: &PokerClusterStatus, events: &mut Vec<NewEvent>) {
    for decision in &new.scaling {
        // A change of `spec.replicas` alone is no new decision.
        let same = |before: &ScalingStatus| {
            ScalingStatus {
                spec_replicas: decision.spec_replicas,
                replicas_ignored_at: decision.replicas_ignored_at.clone(),
                ..before.clone()
            } == *decision
        };
        let is_reported = old.scaling.iter().any(same);
        if decision.current != decision.desired && !is_reported {
            events.push(normal(&decision.reason, decision.message.clone()));
        }
    }
    let is_automatic = new.scaling.iter().any(|s| s.component == "shard");
    if let (Some(before), Some(after)) = (&old.shards, &new.shards)
        && before.desired != after.desired
        && !is_automatic
    {
        events.push(normal(
            reasons::SCALING,
            format!("scaling from {} to {} shards", before.desired, after.desired),
        ));
    }
}

/// Reports a change of the replicas in the spec, for instance by `kubectl scale`, while autoscaling ignores them. A client
/// that changes them again and again, such as a HorizontalPodAutoscaler, is reported once.
fn replicas_ignored(old: &PokerClusterStatus, new: &PokerClusterStatus, events: &mut Vec<NewEvent>) {
    for decision in &new.scaling {
        let before = old.scaling.iter().find(|s| s.component == decision.component);
        let reported_at = before.and_then(|s| s.replicas_ignored_at.clone());
        let (Some(at), Some(set)) = (&decision.replicas_ignored_at, decision.spec_replicas) else {
            continue;
        };
        let silence = |before: Time| at.0.duration_since(before.0);
        if reported_at.is_some_and(|before| silence(before) < REPLICAS_IGNORED_SILENCE) {
            continue;
        }
        let field = match decision.component.as_str() {
            "shard" => "shards",
            component => component,
        };
        let message = format!(
            "spec.{field}.replicas is now {set} and has no effect, because autoscaling decides (currently {}): set \
             spec.{field}.autoscaling.minReplicas or maxReplicas, or remove autoscaling",
            decision.desired
        );
        events.push(NewEvent {
            reason: reasons::REPLICAS_IGNORED.to_owned(),
            message,
            warning: true,
        });
    }
}

fn draining(
    old: &PokerClusterStatus,
    new: &PokerClusterStatus,
    drained: &BTreeMap<String, Drained>,
    events: &mut Vec<NewEvent>,
) {
    let is_in =
        |status: &PokerClusterStatus, name: &str| status.draining.iter().any(|d| d.deployment == name);
    for begun in new.draining.iter().filter(|d| !is_in(old, &d.deployment)) {
        let message = format!("{} started draining", subject(&begun.deployment));
        events.push(normal(reasons::DRAINING, message));
    }
    for ended in old.draining.iter().filter(|d| !is_in(new, &d.deployment)) {
        let how = match drained.get(&ended.deployment) {
            Some(Drained::Empty) => "is drained and will be deleted".to_owned(),
            Some(Drained::Deadline { active: Some(active) }) => {
                format!("reached its drain deadline with {active} still active and will be deleted")
            }
            Some(Drained::Deadline { active: None }) => {
                "reached its drain deadline with an unknown drain status and will be deleted".to_owned()
            }
            Some(Drained::Kept) => "is needed again and stops draining".to_owned(),
            Some(Drained::Deleted) | None => "was deleted by another client while draining".to_owned(),
        };
        events.push(normal(
            reasons::DRAINED,
            format!("{} {how}", subject(&ended.deployment)),
        ));
    }
}

/// Users know shards by their numbers, and one number may have Deployments of several revisions.
fn subject(deployment: &str) -> String {
    let mut parts = deployment.rsplit('-').skip(1);
    match parts.next().map(str::parse::<u32>) {
        Some(Ok(id)) => format!("shard {id} ({deployment})"),
        _ => deployment.to_owned(),
    }
}

fn conditions(old: &PokerClusterStatus, new: &PokerClusterStatus, events: &mut Vec<NewEvent>) {
    let is_true = |type_: &str| {
        let of = |c: &&Condition| c.type_ == type_ && c.status == "True";
        new.conditions.iter().find(of)
    };
    let is_stalled = is_true(types::STALLED).is_some();
    let degraded = is_true(types::DEGRADED).map(|c| &c.reason);
    let was_degraded = |c: &&Condition| c.type_ == types::DEGRADED && c.status == "True";
    let before = old.conditions.iter().find(was_degraded).map(|c| &c.reason);
    let newly_degraded = degraded.filter(|reason| before != Some(reason));
    for condition in &new.conditions {
        let before = old.conditions.iter().find(|c| c.type_ == condition.type_);
        let turned = before.map(|c| c.status.as_str()) != Some(condition.status.as_str());
        let new_reason = before.is_none_or(|c| c.reason != condition.reason);
        let event = |warning: bool| NewEvent {
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            warning,
        };
        match (condition.type_.as_str(), condition.status.as_str()) {
            (types::READY, "True") if turned => events.push(event(false)),
            (types::DEGRADED, "True") if turned || new_reason => events.push(event(true)),
            (types::METRICS_AVAILABLE, "False") if turned => events.push(event(true)),
            // A cause is reported once, for Degraded, and not again for the conditions that follow from it.
            (types::READY, "False") if newly_degraded == Some(&condition.reason) => {}
            (types::STALLED, "True") if degraded == Some(&condition.reason) => {}
            // A new cluster is not ready at first, and Stalled reports its own cause.
            (types::READY, "False") if turned && before.is_some() && !is_stalled => events.push(event(true)),
            (types::STALLED, "True") if turned || new_reason => events.push(event(true)),
            (types::PROGRESSING, _) if condition.reason == reasons::OVERRIDDEN && new_reason => {
                events.push(event(true));
            }
            (types::PROGRESSING, "False") if condition.reason == reasons::PAUSED && new_reason => {
                events.push(event(false))
            }
            _ => {}
        }
    }
}
