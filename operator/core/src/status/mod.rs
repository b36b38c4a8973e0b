//! The status: a pure function of what was observed and of what became of the plan.

mod conditions;
pub mod events;
mod participants;
pub mod pod_failures;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use poker_operator_api::names::{APP_NAME, LABEL_COMPONENT, LABEL_INSTANCE, LABEL_NAME};
use poker_operator_api::status::{
    ComponentStatus, Draining, ProposalStatus, RolloutStatus, RoutesStatus, ScalingStatus, ShardsStatus,
};
use poker_operator_api::{ClusterNames, Component, PokerCluster, PokerClusterStatus};

use crate::children::{Applied, Children};
use crate::observed::Observed;
use crate::plan::{self, ready};
use crate::plan_result::{Outcome, PlanSummary};
use crate::scale::ScaleDecision;
use crate::validate::{DatabaseServer, Invalid, Validated};

/// The status to report.
pub fn derive(valid: &Result<Validated, Invalid>, seen: &Observed, outcome: &Outcome) -> PokerClusterStatus {
    let old = seen.cluster.status.clone().unwrap_or_default();
    let mut status = PokerClusterStatus {
        observed_generation: seen.cluster.metadata.generation,
        ..old.clone()
    };
    let health = match (valid, &outcome.summary, &outcome.applied) {
        (Ok(valid), Some(summary), Ok(applied)) => {
            let health = Health::of(valid, seen, summary, Some(applied));
            fill(&mut status, &old, valid, summary, &health);
            Some(health)
        }
        (Ok(valid), Some(summary), Err(_)) => {
            let health = Health::of(valid, seen, summary, None);
            fill_ready(&mut status, &health);
            Some(health)
        }
        (Err(_), _, _) => {
            let health = Health::running(seen, &old);
            if let Some(health) = &health {
                fill_ready(&mut status, health);
            }
            health
        }
        _ => None,
    };
    let is_paused = outcome.summary.as_ref().is_some_and(|summary| summary.paused);
    if let (Ok(valid), Ok(_), false) = (valid, &outcome.applied, is_paused) {
        status.scaling = outcome
            .scale
            .iter()
            .map(|decision| scaling(decision, spec_replicas(decision.component, valid), &old))
            .collect();
    }
    status.participants = participants::counted(seen, old.participants.as_ref());
    status.conditions = conditions::all(&conditions::Evidence {
        valid,
        seen,
        outcome,
        health: health.as_ref(),
        // Of the old status: a rollout that is just done says so with the next change.
        was_complete: old.version.is_some(),
        status: &status,
    });
    if !same(&status, &old) {
        // It is written anyway.
        status.participants = participants::latest(seen, old.participants.as_ref());
    }
    status
}

/// The status of a cluster that could not be observed: as it was, and that, with what to do.
pub fn observe_failed(cluster: &PokerCluster, why: &str, now: Timestamp) -> PokerClusterStatus {
    PokerClusterStatus {
        conditions: conditions::observe_failed(cluster, why, now),
        ..cluster.status.clone().unwrap_or_default()
    }
}

/// Whether two statuses say the same; times at which it was found do not count.
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

/// What serves, counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    pub gateways_ready: i32,
    pub gateways_desired: i32,
    /// Gateways of the wanted revision get the new sockets.
    pub gateways_updated: bool,
    pub shards_ready: i32,
    pub shards_active: i32,
    pub shards_updated: i32,
    pub shards_desired: i32,
    pub workers_ready: i32,
    pub workers_desired: i32,
    /// Managed servers that do not answer.
    pub servers_down: Vec<Component>,
    /// Pods of managed servers that run with earlier settings.
    pub servers_outdated: Vec<String>,
    pub redis_ready: bool,
    /// Active shards of the wanted revision that are ready.
    pub updated_ready: i32,
    /// Deployments that made no progress for too long.
    pub stuck: Vec<String>,
}

impl Health {
    /// Without `applied`, when a write failed: as observed.
    fn of(
        valid: &Validated,
        seen: &Observed,
        summary: &PlanSummary,
        applied: Option<&Children<Applied>>,
    ) -> Self {
        let names = &valid.names;
        // Applied objects are newer than observed ones; those of old revisions are only observed.
        let find = |name: &str| {
            let written = applied.and_then(|applied| applied.deployment(name));
            written.or_else(|| seen.live.deployment(name))
        };
        let is_ready = |name: &String| find(name).is_some_and(|d| ready(d) > 0);
        let is_updated = |name: &String| {
            let shard = names.parse_shard(name);
            shard.is_some_and(|(_, revision)| revision == summary.revision)
        };
        let serving = names.gateway(&summary.gateway.serving);
        let active = &summary.shards.active;
        let worker = find(&names.component(Component::Worker));
        let has_worker = valid.servers.database != DatabaseServer::None;
        let sets = match applied {
            Some(applied) if !summary.paused => &applied.stateful_sets,
            _ => &seen.live.stateful_sets,
        };
        let servers_down = servers_down(sets, names);
        let mine = applied.into_iter().flat_map(|applied| &applied.deployments);
        let mine = mine.filter(|d| is_stuck(d));
        Self {
            gateways_ready: find(&serving).map_or(0, ready),
            gateways_desired: summary.gateway.desired,
            gateways_updated: summary.gateway.serving == summary.revision,
            shards_ready: count(active.iter().filter(|name| is_ready(name)).count()),
            shards_active: count(active.len()),
            shards_updated: summary.shards.updated,
            updated_ready: count(
                active
                    .iter()
                    .filter(|name| is_updated(name) && is_ready(name))
                    .count(),
            ),
            shards_desired: summary.shards.desired,
            workers_ready: worker.map_or(0, ready),
            workers_desired: if has_worker { valid.spec.worker.replicas } else { 0 },
            redis_ready: !servers_down.contains(&Component::Redis),
            servers_down,
            servers_outdated: sets.iter().filter_map(outdated_pod).collect(),
            stuck: mine.filter_map(|d| d.metadata.name.clone()).collect(),
        }
    }

    /// Of what runs while the spec cannot be carried out; `None` when nothing was started.
    fn running(seen: &Observed, old: &PokerClusterStatus) -> Option<Self> {
        let (gateway, shards) = (old.gateway.as_ref()?, old.shards.as_ref()?);
        let (live, names) = (&seen.live, seen.names());
        let ready = |name: &str| live.deployment(name).map_or(0, ready);
        let active = plan::active(&names, &plan::live_table(live, &names).unwrap_or_default());
        let serving = plan::serving(live, &names).map(|revision| names.gateway(revision));
        let servers_down = servers_down(&live.stateful_sets, &names);
        let shards_ready = count(active.iter().filter(|name| ready(name) > 0).count());
        Some(Self {
            gateways_ready: serving.map_or(0, |name| ready(&name)),
            gateways_desired: gateway.desired,
            gateways_updated: true,
            shards_ready,
            shards_active: count(active.len()),
            shards_updated: count(active.len()),
            updated_ready: shards_ready,
            shards_desired: shards.desired,
            workers_ready: ready(&names.component(Component::Worker)),
            workers_desired: old.worker.as_ref().map_or(0, |worker| worker.desired),
            redis_ready: !servers_down.contains(&Component::Redis),
            servers_down,
            servers_outdated: Vec::new(),
            stuck: Vec::new(),
        })
    }

    /// Everything runs on the wanted revision and in the wanted number.
    pub fn is_complete(&self) -> bool {
        self.gateways_updated
            && self.gateways_ready >= self.gateways_desired
            && self.shards_updated == self.shards_desired
            && self.shards_active == self.shards_desired
            && self.shards_ready >= self.shards_active
    }
}

fn fill(
    status: &mut PokerClusterStatus,
    old: &PokerClusterStatus,
    valid: &Validated,
    summary: &PlanSummary,
    health: &Health,
) {
    let revision = Some(summary.revision.clone());
    status.gateway = Some(ComponentStatus {
        desired: health.gateways_desired,
        ready: health.gateways_ready,
        revision: revision.clone(),
    });
    status.shards = Some(ShardsStatus {
        desired: health.shards_desired,
        replicas: health.shards_active,
        ready: health.shards_ready,
        revision,
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
        return; // the spec's version is not being rolled out
    }
    if health.is_complete() {
        status.version = Some(valid.spec.version.clone());
    }
    // Scaling also moves these numbers: the progress of a finished rollout stays full.
    let was_done = old
        .rollout
        .as_ref()
        .is_some_and(|r| r.revision == summary.revision && is_full(&r.progress));
    let (done, total) = if was_done {
        (health.shards_updated, health.shards_updated)
    } else {
        (health.updated_ready, health.shards_desired)
    };
    status.rollout = Some(RolloutStatus {
        version: valid.spec.version.clone(),
        revision: summary.revision.clone(),
        progress: format!("{done}/{total}"),
    });
}

/// When a write failed, only what is ready is news.
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

/// The old entry stays as long as the decision is the same: its inputs are those of that time.
fn scaling(decision: &ScaleDecision, spec_replicas: Option<i32>, old: &PokerClusterStatus) -> ScalingStatus {
    ScalingStatus {
        spec_replicas,
        ..decided(decision, old)
    }
}

fn spec_replicas(component: Component, valid: &Validated) -> Option<i32> {
    match component {
        Component::Gateway => Some(valid.spec.gateway.replicas),
        Component::Shard => Some(valid.spec.shards.replicas),
        _ => None,
    }
}

fn decided(decision: &ScaleDecision, old: &PokerClusterStatus) -> ScalingStatus {
    let component = decision.component.as_str();
    let before = old.scaling.iter().find(|s| s.component == component);
    let reason = decision.reason.as_str();
    match before {
        Some(before) if before.desired == decision.replicas && before.reason == reason => before.clone(),
        // A step that was just made is told longer than that nothing followed.
        Some(before)
            if before.desired == decision.replicas
                && before.current != before.desired
                && decision.current == decision.replicas
                && reason == "OnTarget" =>
        {
            before.clone()
        }
        _ => ScalingStatus {
            component: component.to_owned(),
            current: decision.current,
            spec_replicas: None,
            desired: decision.replicas,
            reason: reason.to_owned(),
            message: decision.message.clone(),
            time: Time(decision.at),
            proposals: decision
                .proposals
                .iter()
                .map(|p| ProposalStatus {
                    name: p.name.clone(),
                    value: p.value.clone().or_else(|| p.problem.clone()),
                    replicas: p.replicas,
                })
                .collect(),
        },
    }
}

/// Managed servers that do not serve.
fn servers_down(sets: &[StatefulSet], names: &ClusterNames) -> Vec<Component> {
    let is_down = |component: &Component| {
        let set = sets
            .iter()
            .find(|s| s.metadata.name.as_ref() == Some(&names.component(*component)));
        set.is_some_and(|s| !serves(s))
    };
    let servers = [Component::Redis, Component::Kafka, Component::Database];
    servers.into_iter().filter(is_down).collect()
}

/// Whether a managed server answers.
pub fn serves(set: &StatefulSet) -> bool {
    set.status.as_ref().and_then(|s| s.ready_replicas).unwrap_or(0) > 0
}

/// The pod of a server that was made before its set was changed: sets wait until somebody deletes it.
fn outdated_pod(set: &StatefulSet) -> Option<String> {
    let (status, name) = (set.status.as_ref()?, set.metadata.name.as_ref()?);
    let waits = status.replicas > status.updated_replicas.unwrap_or(0);
    waits.then(|| format!("{name}-0"))
}

fn is_stuck(deployment: &Deployment) -> bool {
    let conditions = deployment
        .status
        .iter()
        .flat_map(|s| s.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|c| c.type_ == "Progressing" && c.status == "False")
}

fn count(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
