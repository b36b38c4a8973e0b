//! From a valid spec and what is there to what to do.

mod live;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use poker_operator_api::{Autoscaling, Component};
use poker_routing::{RoutingTable, ShardState};

pub use live::drains;
pub(crate) use live::{active, live_table, ready, serving};
use live::{available_since, draining, ever_ready, shard_key};

use crate::build;
use crate::children::{Children, Planned};
use crate::limits::{PARTICIPANTS_SECONDS, REQUEUE_DRAINING, REQUEUE_JOINING, REQUEUE_STARTING, RESYNC};
use crate::membership::{gateways, shards};
use crate::observed::{Observed, TopicObserved};
use crate::orphans;
use crate::plan_result::{Drained, GatewayFacts, Plan, PlanSummary, ReplicaTarget, ShardFacts};
use crate::scale::{self, Forecasts, ScaleDecision, ScaleInput, ScaleMemory};
use crate::topic;
use crate::validate::{DatabaseServer, Validated};

/// What to do. Pure: the same arguments give the same plan.
pub fn plan(valid: &Validated, seen: &Observed) -> Plan {
    if valid.spec.paused {
        return paused(valid, seen);
    }
    let scale = decisions(valid, seen);
    let decided = |component| {
        scale
            .iter()
            .find(|d| d.component == component)
            .map(|d| d.replicas)
    };
    let desired_shards = decided(Component::Shard).unwrap_or(valid.spec.shards.replicas);
    let desired_gateways = decided(Component::Gateway).unwrap_or(valid.spec.gateway.replicas);
    let table = live_table(&seen.live, &valid.names);
    let shards = shards::next(&membership(valid, seen, table.as_ref(), desired_shards));
    let gateways = gateways::next(&handover(valid, seen));
    let (children, replicas) = children(valid, seen, &shards, &gateways, desired_gateways);
    let mut summary = summary(valid, &shards, &gateways, desired_shards, desired_gateways);
    summary.drained = drained(valid, seen, &children, &summary);
    let orphans = orphans::of(
        &seen.live,
        seen,
        &children,
        &kept_names(valid, &shards, &gateways),
    );
    Plan {
        requeue_after: requeue_after(valid, seen, !shards.table.joining.is_empty(), &summary, &scale),
        topic: topic::wish(&valid.servers.topic, &valid.spec.kafka.topic, &seen.topic),
        children,
        replicas,
        orphans,
        scale,
        summary,
    }
}

/// Nothing is done; the summary are those of what runs.
fn paused(valid: &Validated, seen: &Observed) -> Plan {
    let table = live_table(&seen.live, &valid.names).unwrap_or_default();
    let status = seen.cluster.status.clone().unwrap_or_default();
    let active = active(&valid.names, &table);
    let on_revision =
        |e: &&poker_routing::ShardRoute| e.state == ShardState::Active && e.revision == valid.revision;
    let updated = count(table.shards.iter().filter(on_revision).count());
    let summary = PlanSummary {
        paused: true,
        revision: valid.revision.clone(),
        gateway: GatewayFacts {
            desired: status.gateway.map_or(valid.spec.gateway.replicas, |g| g.desired),
            serving: serving(&seen.live, &valid.names).unwrap_or_default().to_owned(),
        },
        shards: ShardFacts {
            desired: status.shards.map_or(valid.spec.shards.replicas, |s| s.desired),
            active,
            updated,
            routes_version: table.version,
        },
        draining: status
            .draining
            .iter()
            .map(|d| (d.deployment.clone(), d.since.0))
            .collect(),
        drained: BTreeMap::new(),
    };
    Plan {
        children: Children::default(),
        replicas: Vec::new(),
        topic: None,
        orphans: Vec::new(),
        scale: Vec::new(),
        summary,
        requeue_after: RESYNC,
    }
}

/// The scaling decisions of the components with autoscaling.
fn decisions(valid: &Validated, seen: &Observed) -> Vec<ScaleDecision> {
    let spec = &valid.spec;
    let status = seen.cluster.status.as_ref();
    let mut decisions = Vec::new();
    if let Some(block) = &spec.gateway.autoscaling {
        let live = seen.live.deployment(&valid.names.gateway(&valid.revision));
        // What was written last is the truth; status may be a step behind after a crash.
        let written = live.and_then(|d| d.spec.as_ref()).and_then(|s| s.replicas);
        let current = written.or_else(|| Some(status?.gateway.as_ref()?.desired));
        let serving = serving(&seen.live, &valid.names).unwrap_or(&valid.revision);
        let ready = seen
            .live
            .deployment(&valid.names.gateway(serving))
            .map_or(0, ready);
        let current = current.unwrap_or(spec.gateway.replicas);
        decisions.push(decide(seen, Component::Gateway, block, current, ready));
    }
    if let Some(block) = &spec.shards.autoscaling {
        let table = live_table(&seen.live, &valid.names).unwrap_or_default();
        let active = active(&valid.names, &table);
        let ready = active
            .iter()
            .filter_map(|name| seen.live.deployment(name))
            .map(ready)
            .sum();
        let decided = || Some(status?.shards.as_ref()?.desired);
        let running = (!active.is_empty()).then(|| count(active.len()));
        let current = decided().or(running).unwrap_or(spec.shards.replicas);
        decisions.push(decide(seen, Component::Shard, block, current, ready));
    }
    decisions
}

fn decide(
    seen: &Observed,
    component: Component,
    block: &Autoscaling,
    current: i32,
    ready: i32,
) -> ScaleDecision {
    let (no_samples, no_forecasts, no_memory) = (BTreeMap::new(), Forecasts::new(), ScaleMemory::default());
    scale::decide(&ScaleInput {
        component,
        current,
        ready,
        block,
        samples: seen.metrics.get(&component).unwrap_or(&no_samples),
        forecasts: seen.forecasts.get(&component).unwrap_or(&no_forecasts),
        memory: seen.memory.get(&component).unwrap_or(&no_memory),
        now: seen.now,
    })
}

fn membership<'a>(
    valid: &'a Validated,
    seen: &Observed,
    table: Option<&'a RoutingTable>,
    desired: i32,
) -> shards::MembershipInput<'a> {
    let status = seen.cluster.status.as_ref();
    let owned = seen.live.deployments.iter().filter(|d| seen.owns(&d.metadata));
    let deployments = owned.filter_map(|d| {
        let key = shard_key(&valid.names, d.metadata.name.as_deref()?)?;
        Some((
            key,
            shards::Seen {
                ready: ready(d) > 0,
                ready_since: available_since(d),
                ever_ready: ever_ready(d),
            },
        ))
    });
    let held = seen
        .drains
        .iter()
        .filter_map(|(name, held)| Some((shard_key(&valid.names, name)?, *held)));
    let pins = &valid.spec.shards.placement.pins;
    shards::MembershipInput {
        names: &valid.names,
        table,
        version_floor: status
            .and_then(|s| s.routes.as_ref())
            .map_or(0, |r| r.version.unsigned_abs()),
        desired: desired.unsigned_abs(),
        revision: &valid.revision,
        pins: pins
            .iter()
            .map(|p| (p.team.clone(), p.shard.unsigned_abs()))
            .collect(),
        deployments: deployments.collect(),
        held: held.collect(),
        gateways: ready_gateways(valid, seen),
        draining: draining(seen)
            .filter_map(|(name, at)| Some((shard_key(&valid.names, name)?, at)))
            .collect(),
        deadline: SignedDuration::from_secs(valid.spec.shards.drain_deadline_seconds.into()),
        now: seen.now,
    }
}

/// Ready gateways of all revisions.
fn ready_gateways(valid: &Validated, seen: &Observed) -> u64 {
    let owned = seen.live.deployments.iter().filter(|d| seen.owns(&d.metadata));
    let is_gateway = |d: &&Deployment| {
        let name = d.metadata.name.as_deref();
        name.is_some_and(|name| valid.names.parse_gateway(name).is_some())
    };
    owned
        .filter(is_gateway)
        .map(|d| u64::from(ready(d).unsigned_abs()))
        .sum()
}

fn handover<'a>(valid: &'a Validated, seen: &'a Observed) -> gateways::GatewayRollout<'a> {
    let revision = |name: &str| valid.names.parse_gateway(name).map(str::to_owned);
    let owned = seen.live.deployments.iter().filter(|d| seen.owns(&d.metadata));
    let deployments = owned.filter_map(|d| {
        let state = gateways::Seen {
            desired: d.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1),
            ready: ready(d),
            pods: d.status.as_ref().and_then(|s| s.replicas).unwrap_or(0),
            ever_ready: ever_ready(d),
        };
        Some((revision(d.metadata.name.as_deref()?)?, state))
    });
    gateways::GatewayRollout {
        serving: serving(&seen.live, &valid.names),
        revision: &valid.revision,
        deployments: deployments.collect(),
        held: seen
            .drains
            .iter()
            .filter_map(|(name, held)| Some((revision(name)?, held.held)))
            .collect(),
        draining: draining(seen)
            .filter_map(|(name, at)| Some((revision(name)?, at)))
            .collect(),
        deadline: SignedDuration::from_secs(valid.spec.gateway.drain_deadline_seconds.into()),
        now: seen.now,
    }
}

/// All children of the wanted state that the operator writes now.
fn children(
    valid: &Validated,
    seen: &Observed,
    shards: &shards::MembershipStep,
    gateways: &gateways::GatewayStep,
    desired_gateways: i32,
) -> (Children<Planned>, Vec<ReplicaTarget>) {
    let context = &valid.context();
    let revision = &valid.revision;
    let gateway = valid.names.gateway(revision);
    let exists = seen.live.deployment(&gateway).is_some();
    let is_scaled = valid.spec.gateway.autoscaling.is_some() && exists;
    // Seeded when it is made; from then on autoscaling owns the count under its own manager.
    let mut deployments = vec![build::gateway(
        context,
        revision,
        (!is_scaled).then_some(desired_gateways),
    )];
    let replicas = is_scaled.then_some(ReplicaTarget {
        deployment: gateway,
        replicas: desired_gateways,
    });
    deployments.extend(
        shards
            .wanted
            .iter()
            .map(|id| build::shard(context, *id, revision)),
    );
    if valid.servers.database != DatabaseServer::None {
        deployments.push(build::worker(context, revision));
    }
    let mut services = vec![build::public_service(context, &gateways.serving)];
    services.extend(build::server_services(context));
    services.extend(
        shards
            .wanted
            .iter()
            .map(|id| build::shard_service(context, *id, revision)),
    );
    let database = valid.names.component(Component::Database);
    let is_missing =
        matches!(valid.servers.database, DatabaseServer::Managed(_)) && !seen.secrets.contains_key(&database);
    let children = Children {
        service_accounts: build::service_accounts(context),
        roles: build::roles(context),
        role_bindings: build::role_bindings(context),
        secrets: is_missing
            .then(|| build::database_secret(context, &seen.random))
            .into_iter()
            .collect(),
        config_maps: vec![build::routes(context, &shards.table)],
        services,
        network_policies: build::network_policies(context),
        pod_disruption_budgets: build::pod_disruption_budgets(context),
        ingresses: build::ingresses(context),
        stateful_sets: build::stateful_sets(context),
        deployments,
        state: std::marker::PhantomData,
    };
    (children, replicas.into_iter().collect())
}

/// Names of objects that are not written but stay.
fn kept_names(
    valid: &Validated,
    shards: &shards::MembershipStep,
    gateways: &gateways::GatewayStep,
) -> BTreeSet<String> {
    let names = &valid.names;
    let mut kept: BTreeSet<String> = shards
        .kept
        .iter()
        .map(|(id, revision)| names.shard(*id, revision))
        .collect();
    // A Draining entry is still asked when no other shard answers.
    kept.extend(shards.table.shards.iter().map(|e| names.shard(e.id, &e.revision)));
    kept.extend(gateways.kept.iter().map(|revision| names.gateway(revision)));
    if let DatabaseServer::Managed(_) = valid.servers.database {
        kept.insert(names.component(Component::Database));
    }
    kept
}

fn summary(
    valid: &Validated,
    shards: &shards::MembershipStep,
    gateways: &gateways::GatewayStep,
    desired_shards: i32,
    desired_gateways: i32,
) -> PlanSummary {
    let names = &valid.names;
    let on_revision =
        |e: &&poker_routing::ShardRoute| e.state == ShardState::Active && e.revision == valid.revision;
    let mut draining: BTreeMap<String, Timestamp> = shards
        .draining
        .iter()
        .map(|((id, revision), at)| (names.shard(*id, revision), *at))
        .collect();
    draining.extend(
        gateways
            .draining
            .iter()
            .map(|(revision, at)| (names.gateway(revision), *at)),
    );
    PlanSummary {
        paused: false,
        revision: valid.revision.clone(),
        gateway: GatewayFacts {
            desired: desired_gateways,
            serving: gateways.serving.clone(),
        },
        shards: ShardFacts {
            desired: desired_shards,
            active: active(names, &shards.table),
            updated: count(shards.table.shards.iter().filter(on_revision).count()),
            routes_version: shards.table.version,
        },
        draining,
        drained: BTreeMap::new(),
    }
}

/// How the draining of Deployments that drained until now has ended.
fn drained(
    valid: &Validated,
    seen: &Observed,
    children: &Children<Planned>,
    summary: &PlanSummary,
) -> BTreeMap<String, Drained> {
    let names = &valid.names;
    let ended = draining(seen).filter(|(name, _)| !summary.draining.contains_key(*name));
    let how = |name: &str, since: Timestamp| {
        let is_wanted = children.deployment(name).is_some()
            || summary.shards.active.iter().any(|active| active == name)
            || name == names.gateway(&summary.gateway.serving);
        let deadline = if names.parse_shard(name).is_some() {
            valid.spec.shards.drain_deadline_seconds
        } else {
            valid.spec.gateway.drain_deadline_seconds
        };
        let held = seen.drains.get(name).map(|held| held.held);
        if is_wanted {
            Drained::Wanted
        } else if seen.live.deployment(name).is_none() {
            Drained::Gone
        } else if held == Some(0) || seen.now.duration_since(since).as_secs() < deadline.into() {
            Drained::Empty
        } else {
            Drained::Deadline { held }
        }
    };
    ended
        .map(|(name, since)| (name.to_owned(), how(name, since)))
        .collect()
}

/// When to look again if nothing wakes the cluster before.
fn requeue_after(
    valid: &Validated,
    seen: &Observed,
    joining: bool,
    summary: &PlanSummary,
    scale: &[ScaleDecision],
) -> Duration {
    let mut wait = RESYNC;
    if valid.spec.prometheus.is_some() {
        wait = wait.min(Duration::from_secs(PARTICIPANTS_SECONDS.unsigned_abs()));
    }
    let is_starting =
        summary.shards.updated < summary.shards.desired || summary.gateway.serving != summary.revision;
    // What is not ready in time becomes a trouble without a change that would wake the cluster.
    let deployments = seen.live.deployments.iter().filter_map(|d| d.status.as_ref());
    let stateful_sets = seen.live.stateful_sets.iter().filter_map(|s| s.status.as_ref());
    let is_waiting = deployments
        .map(|status| (status.ready_replicas, status.replicas.unwrap_or(0)))
        .chain(stateful_sets.map(|status| (status.ready_replicas, status.replicas)))
        .any(|(ready, replicas)| ready.unwrap_or(0) < replicas);
    let is_hampered = seen.metrics_error.is_some() || seen.stale_caches.is_some();
    if is_starting || is_waiting || is_hampered || matches!(seen.topic, TopicObserved::Unknown { .. }) {
        wait = wait.min(REQUEUE_STARTING);
    }
    if !summary.draining.is_empty() {
        wait = wait.min(REQUEUE_DRAINING);
    }
    if joining {
        wait = wait.min(REQUEUE_JOINING);
    }
    scale.iter().map(|d| d.look_again_after).fold(wait, Duration::min)
}

fn count(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
