//! The status: a pure function of what was observed and of the outcome of the plan.

mod conditions;
pub mod events;
mod health;
mod participants;
pub mod pod_failures;
mod scaling;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use poker_operator_api::names::{APP_NAME, LABEL_COMPONENT, LABEL_INSTANCE, LABEL_NAME};
use poker_operator_api::status::{ComponentStatus, Draining, RolloutStatus, RoutesStatus, ShardsStatus};
use poker_operator_api::{ClusterNames, Component, PokerCluster, PokerClusterStatus};

use crate::observed::Observed;
use crate::plan_result::{Outcome, PlanSummary};
use crate::servers::DatabaseServer;
use crate::validate::{Invalid, Validated, last_valid};
use conditions::ConditionInput;
use health::Health;

pub use health::serves;

/// The status to report.
pub fn derive(
    valid: &Result<Validated, Invalid>,
    observed: &Observed,
    outcome: &Outcome,
) -> PokerClusterStatus {
    let old = observed.cluster.status.clone().unwrap_or_default();
    let mut status = PokerClusterStatus {
        observed_generation: observed.cluster.metadata.generation,
        ..old.clone()
    };
    let last = match (valid, &outcome.summary) {
        (Err(_), Some(_)) => last_valid(observed),
        _ => None,
    };
    let operated = valid.as_ref().ok().or(last.as_ref());
    let health = fill_health(&mut status, &old, operated, observed, outcome);
    let is_paused = outcome.summary.as_ref().is_some_and(|summary| summary.paused);
    if let (Some(operated), false) = (operated, is_paused) {
        let decisions = outcome.scale.iter();
        status.scaling = decisions
            .map(|decision| scaling::entry(decision, operated, observed, &old))
            .collect();
    }
    // A paused cluster operates no spec.
    if let (Ok(valid), false) = (valid, is_paused) {
        status.last_valid_spec = serde_json::to_value(&valid.spec).ok();
    }
    status.participants = participants::counted(observed, old.participants.as_ref());
    status.conditions = conditions::all(&ConditionInput {
        valid,
        observed,
        outcome,
        health: health.as_ref(),
        // From the old status: the reconcile that completes a rollout still reports it as one.
        was_complete: old.version.is_some(),
        status: &status,
    });
    if !same(&status, &old) {
        // The status is written anyway, so it may contain the latest count.
        status.participants = participants::latest(observed, old.participants.as_ref());
    }
    status
}

/// Sets the fields about gateways, shards, workers and the rollout. `None` if nothing was started.
fn fill_health(
    status: &mut PokerClusterStatus,
    old: &PokerClusterStatus,
    operated: Option<&Validated>,
    observed: &Observed,
    outcome: &Outcome,
) -> Option<Health> {
    match (operated, &outcome.summary) {
        (Some(valid), Some(summary)) => {
            let health = Health::planned(valid, observed, summary, &outcome.applied);
            fill(status, old, valid, summary, &health);
            Some(health)
        }
        (None, _) => {
            let health = Health::running(observed, old)?;
            fill_ready(status, &health);
            Some(health)
        }
        _ => None,
    }
}

/// The status after a failed observe: the old status with the error and its remedy in the conditions.
pub fn observe_failed(cluster: &PokerCluster, why: &str, now: Timestamp) -> PokerClusterStatus {
    PokerClusterStatus {
        conditions: conditions::observe_failed(cluster, why, now),
        ..cluster.status.clone().unwrap_or_default()
    }
}

/// Whether two statuses are the same apart from times.
pub fn same(a: &PokerClusterStatus, b: &PokerClusterStatus) -> bool {
    timeless(a) == timeless(b)
}

fn timeless(status: &PokerClusterStatus) -> PokerClusterStatus {
    let mut status = status.clone();
    let epoch = Time(Timestamp::UNIX_EPOCH);
    for condition in &mut status.conditions {
        condition.last_transition_time = epoch.clone();
    }
    for scaling in &mut status.scaling {
        scaling.time = epoch.clone();
    }
    if let Some(participants) = &mut status.participants {
        participants.time = epoch;
    }
    status
}

fn fill(
    status: &mut PokerClusterStatus,
    old: &PokerClusterStatus,
    valid: &Validated,
    summary: &PlanSummary,
    health: &Health,
) {
    status.gateway = Some(ComponentStatus {
        desired: health.gateways_desired,
        ready: health.gateways_ready,
        revision: Some(summary.gateway.revision.clone()),
    });
    status.shards = Some(ShardsStatus {
        desired: health.shards_desired,
        replicas: health.shards_active,
        ready: health.shards_ready,
        revision: Some(summary.shards.revision.clone()),
        selector: shard_selector(&valid.names),
    });
    status.worker = (valid.servers.database != DatabaseServer::None).then_some(ComponentStatus {
        desired: health.workers_desired,
        ready: health.workers_ready,
        revision: None,
    });
    let draining = summary.draining.iter();
    status.draining = draining
        .map(|(name, at)| Draining {
            deployment: name.clone(),
            since: Time(*at),
        })
        .collect();
    if summary.shards.routes_version > 0 {
        status.routes = Some(RoutesStatus {
            version: i64::try_from(summary.shards.routes_version).unwrap_or(i64::MAX),
        });
    }
    if summary.paused {
        return; // the version of the spec is not being rolled out
    }
    if health.is_complete() {
        status.version = Some(valid.spec.version.clone());
    }
    status.rollout = Some(rollout(old, valid, summary, health));
}

fn rollout(
    old: &PokerClusterStatus,
    valid: &Validated,
    summary: &PlanSummary,
    health: &Health,
) -> RolloutStatus {
    // Scaling also changes these numbers, so the progress of a completed rollout stays full.
    let was_done = old
        .rollout
        .as_ref()
        .is_some_and(|r| r.revision == summary.revision && is_full(&r.progress));
    let (done, total) = if was_done {
        (health.shards_updated, health.shards_updated)
    } else {
        (health.updated_ready, health.shards_desired)
    };
    RolloutStatus {
        version: valid.spec.version.clone(),
        revision: summary.revision.clone(),
        progress: format!("{done}/{total}"),
    }
}

/// Sets only the numbers of ready replicas, with an invalid spec.
fn fill_ready(status: &mut PokerClusterStatus, health: &Health) {
    if let Some(gateway) = &mut status.gateway {
        gateway.ready = health.gateways_ready;
    }
    if let Some(shards) = &mut status.shards {
        shards.ready = health.shards_ready;
    }
    if let Some(worker) = &mut status.worker {
        worker.ready = health.workers_ready;
    }
}

fn is_full(progress: &str) -> bool {
    progress
        .split_once('/')
        .is_some_and(|(updated, total)| updated == total)
}

fn shard_selector(names: &ClusterNames) -> String {
    format!(
        "{LABEL_NAME}={APP_NAME},{LABEL_INSTANCE}={},{LABEL_COMPONENT}={}",
        names.cluster,
        Component::Shard
    )
}

#[cfg(test)]
mod tests;
