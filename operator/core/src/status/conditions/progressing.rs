//! Progressing: the operator is changing the cluster. Reconciling: the cluster has not reached the spec yet.

use jiff::SignedDuration;
use poker_operator_api::conditions::reasons;

use super::{ConditionDraft, ConditionInput, Health, as_expected, draft};
use crate::limits::DRAIN_SILENCE_SECONDS;

/// The message while the spec is not valid.
const WAITING: &str = "waiting for a change of the spec or of an object it refers to";

impl ConditionInput<'_> {
    /// While another client overrides what the operator applies, nothing here claims that the cluster matches the spec.
    pub(super) fn progressing(&self) -> ConditionDraft {
        let step = self.current_step();
        let Some(overridden) = self.overridden() else {
            return step;
        };
        let message = match step.reason == reasons::AS_EXPECTED {
            true => overridden,
            false => format!("{overridden}; {}", step.message),
        };
        let reason = reasons::OVERRIDDEN.to_owned();
        ConditionDraft {
            reason,
            message,
            ..step
        }
    }

    fn current_step(&self) -> ConditionDraft {
        if self.valid.is_err() && self.outcome.summary.is_none() {
            return as_expected(WAITING);
        }
        if let Some(rejected) = self.rejected_writes() {
            let message = format!("{}; the operator retries", rejected.message);
            return draft(true, &rejected.reason, message);
        }
        let Some(health) = self.health else {
            return as_expected("nothing to do");
        };
        if self.outcome.summary.as_ref().is_some_and(|s| s.paused) {
            let message = "spec.paused is true: the operator changes nothing until it is false";
            return draft(false, reasons::PAUSED, message);
        }
        rolling_out(health)
            .or_else(|| scaling(health))
            .or_else(|| self.draining())
            .or_else(|| self.starting(health))
            .unwrap_or_else(|| match self.valid {
                Ok(_) => complete(health),
                Err(_) => as_expected(WAITING),
            })
    }

    /// The Deployment that drains for the longest time, its deadline, and the number of the others.
    fn draining(&self) -> Option<ConditionDraft> {
        let draining = self.status.draining.iter();
        let first = draining.min_by_key(|draining| draining.since.0)?;
        let spec = &self.observed.cluster.spec;
        let is_shard = self.observed.names().parse_shard(&first.deployment).is_some();
        let seconds = if is_shard {
            spec.shards.drain_deadline_seconds
        } else {
            spec.gateway.drain_deadline_seconds
        };
        let (since, until) = (
            first.since.0,
            first.since.0 + SignedDuration::from_secs(seconds.into()),
        );
        let name = &first.deployment;
        let waited = self.observed.now.duration_since(since).as_secs();
        let silence = if waited >= DRAIN_SILENCE_SECONDS && !self.observed.drains.contains_key(name) {
            " and does not report what it holds"
        } else {
            ""
        };
        let others = match self.status.draining.len() - 1 {
            0 => String::new(),
            others => format!("; {others} more are draining"),
        };
        let message = format!(
            "{name} has been draining since {since:.0}{silence}; it is deleted once it is empty, at {until:.0} at the latest{others}"
        );
        Some(draft(true, reasons::DRAINING, message))
    }

    fn starting(&self, health: &Health) -> Option<ConditionDraft> {
        let is_starting = !self.was_complete && !health.is_complete();
        is_starting.then(|| draft(true, reasons::STARTING, "gateways and shards are starting"))
    }

    pub(super) fn reconciling(&self, progressing: ConditionDraft) -> ConditionDraft {
        let waits = self.valid.is_ok() && self.health.is_some_and(|h| !h.is_complete());
        match progressing.status {
            "False" if waits && progressing.reason != reasons::PAUSED => {
                draft(true, reasons::STARTING, "waiting for pods to become ready")
            }
            _ => progressing,
        }
    }
}

fn rolling_out(health: &Health) -> Option<ConditionDraft> {
    let Health {
        shards_updated,
        shards_active,
        shards_desired,
        gateways_updated,
        ..
    } = health;
    let gateways = if *gateways_updated {
        "the gateways are updated"
    } else {
        "the gateways are being updated"
    };
    let message = format!("{shards_updated} of {shards_desired} shards are updated, {gateways}");
    let is_rolling_out = shards_updated < shards_active || !gateways_updated;
    is_rolling_out.then(|| draft(true, reasons::ROLLING_OUT, message))
}

fn scaling(health: &Health) -> Option<ConditionDraft> {
    let Health {
        shards_active,
        shards_desired,
        ..
    } = health;
    let message = format!("{shards_active} of {shards_desired} shards are active in the routing table");
    (shards_active != shards_desired).then(|| draft(true, reasons::SCALING, message))
}

fn complete(health: &Health) -> ConditionDraft {
    if health.servers_outdated.is_empty() {
        return as_expected("the cluster matches the spec");
    }
    let pods = health.servers_outdated.join(" and ");
    as_expected(&format!(
        "the cluster matches the spec except for the old settings of {pods}: to apply the new settings, delete the pod, which also deletes its data"
    ))
}
