//! Events: one for each transition between two statuses, never one for a state that lasts.

use poker_operator_api::PokerClusterStatus;
use poker_operator_api::conditions::{reasons, types};

use crate::limits::EVENTS_MAX;
use crate::outcome::EventDraft;

/// The events of the step from one reported status to the next.
pub fn between(old: Option<&PokerClusterStatus>, new: &PokerClusterStatus) -> Vec<EventDraft> {
    let none = PokerClusterStatus::default();
    let old = old.unwrap_or(&none);
    let mut events = Vec::new();
    rollout(old, new, &mut events);
    scaling(old, new, &mut events);
    draining(old, new, &mut events);
    conditions(old, new, &mut events);
    events.truncate(EVENTS_MAX);
    events
}

fn normal(reason: &str, message: String) -> EventDraft {
    EventDraft {
        reason: reason.to_owned(),
        message,
        warning: false,
    }
}

fn rollout(old: &PokerClusterStatus, new: &PokerClusterStatus, events: &mut Vec<EventDraft>) {
    if let Some(rollout) = &new.rollout
        && old
            .rollout
            .as_ref()
            .is_none_or(|r| r.revision != rollout.revision)
    {
        let message = format!(
            "version {} (revision {}) is being rolled out",
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

fn scaling(old: &PokerClusterStatus, new: &PokerClusterStatus, events: &mut Vec<EventDraft>) {
    for decision in &new.scaling {
        let is_known = old.scaling.iter().any(|s| s == decision);
        if decision.current != decision.desired && !is_known {
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
            format!("shards: from {} to {}", before.desired, after.desired),
        ));
    }
}

fn draining(old: &PokerClusterStatus, new: &PokerClusterStatus, events: &mut Vec<EventDraft>) {
    let is_in =
        |status: &PokerClusterStatus, name: &str| status.draining.iter().any(|d| d.deployment == name);
    for begun in new.draining.iter().filter(|d| !is_in(old, &d.deployment)) {
        events.push(normal(
            reasons::DRAINING,
            format!("{} hands over what it holds", begun.deployment),
        ));
    }
    for ended in old.draining.iter().filter(|d| !is_in(new, &d.deployment)) {
        let message = format!(
            "{} no longer drains: it is empty, its time is up, or it is wanted again",
            ended.deployment
        );
        events.push(normal(reasons::DRAINED, message));
    }
}

fn conditions(old: &PokerClusterStatus, new: &PokerClusterStatus, events: &mut Vec<EventDraft>) {
    let is_stalled = new
        .conditions
        .iter()
        .any(|c| c.type_ == types::STALLED && c.status == "True");
    for condition in &new.conditions {
        let before = old.conditions.iter().find(|c| c.type_ == condition.type_);
        let turned = before.map(|c| c.status.as_str()) != Some(condition.status.as_str());
        let new_reason = before.is_none_or(|c| c.reason != condition.reason);
        let event = |warning: bool| EventDraft {
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            warning,
        };
        match (condition.type_.as_str(), condition.status.as_str()) {
            (types::READY, "True") if turned => events.push(event(false)),
            // A first "not yet" is no news, and what stalls tells it itself.
            (types::READY, "False") if turned && before.is_some() && !is_stalled => events.push(event(true)),
            (types::STALLED, "True") if turned || new_reason => events.push(event(true)),
            (types::DEGRADED, "True") if turned || new_reason => events.push(event(true)),
            (types::PROGRESSING, "False") if condition.reason == reasons::PAUSED && new_reason => {
                events.push(event(false))
            }
            _ => {}
        }
    }
}
