//! The child objects of the desired state.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use poker_operator_api::Component;
use poker_routing::ShardState;

use crate::build::{self, Context};
use crate::children::{Children, Planned};
use crate::membership::{gateways::GatewayStep, shards::MembershipStep};
use crate::observed::Observed;
use crate::plan_result::ReplicaTarget;
use crate::revision::Revision;
use crate::revisions::component_and_revision;
use crate::servers::DatabaseServer;
use crate::validate::Validated;

/// The inputs of the child objects.
pub struct Steps<'a> {
    pub shards: &'a MembershipStep,
    pub gateways: &'a GatewayStep,
    pub desired_gateways: i32,
}

/// The child objects to apply now, and the replicas of autoscaled gateway Deployments.
pub fn children(
    valid: &Validated,
    observed: &Observed,
    steps: &Steps,
) -> (Children<Planned>, Vec<ReplicaTarget>) {
    let context = &valid.context();
    let (mut deployments, targets) = gateways(valid, observed, context, steps);
    deployments.extend(shards(valid, context, steps));
    deployments.extend(worker(valid, observed, context, steps));
    let children = Children {
        controller_revisions: controller_revisions(valid, observed, context),
        service_accounts: build::service_accounts(context),
        roles: build::roles(context),
        role_bindings: build::role_bindings(context),
        secrets: secret(valid, observed, context).into_iter().collect(),
        config_maps: vec![build::routes(context, &steps.shards.table)],
        services: services(context, steps),
        network_policies: build::network_policies(context),
        pod_disruption_budgets: pod_disruption_budgets(valid, context, steps),
        ingresses: build::ingresses(context),
        stateful_sets: build::stateful_sets(context),
        deployments,
        state: std::marker::PhantomData,
    };
    (children, targets)
}

/// The revisions to store, and those to adopt. A stored revision is never changed.
fn controller_revisions(
    valid: &Validated,
    observed: &Observed,
    context: &Context,
) -> Vec<ControllerRevision> {
    let stored = observed.live.controller_revisions.iter();
    let lost = stored.filter(|object| !observed.controls(&object.metadata));
    let lost = lost.filter_map(|object| Revision::decode(object, &valid.names));
    let new = valid.revisions.new_ones().iter().cloned();
    new.chain(lost)
        .map(|revision| build::controller_revision(context, &revision))
        .collect()
}

/// The Secret of the managed database, if it does not exist yet or is to be adopted. With an invalid spec, its absence may
/// be the problem.
fn secret(valid: &Validated, observed: &Observed, context: &Context) -> Option<Secret> {
    let is_managed = matches!(valid.servers.database, DatabaseServer::Managed(_)) && !valid.is_last_valid;
    let name = valid.names.component(Component::Database);
    let mut live = observed.live.secrets.iter();
    let is_controlled = match live.find(|secret| secret.metadata.name.as_ref() == Some(&name)) {
        Some(secret) => observed.controls(&secret.metadata),
        None => observed.secrets.contains_key(&name),
    };
    (is_managed && !is_controlled).then(|| build::database_secret(context, &observed.random))
}

/// The public Service, the Services of the managed servers, and those of the shards that run.
fn services(context: &Context, steps: &Steps) -> Vec<Service> {
    let mut services = vec![build::public_service(context, &steps.gateways.serving)];
    services.extend(build::server_services(context));
    let shards = steps.shards.desired.union(&steps.shards.kept);
    services.extend(shards.map(|(id, revision)| build::shard_service(context, *id, revision)));
    services
}

/// The revisions of the gateways to apply: the desired one and the one that serves.
fn gateway_revisions<'a>(valid: &'a Validated, steps: &'a Steps) -> BTreeSet<&'a str> {
    BTreeSet::from([valid.revisions.of(Component::Gateway), &*steps.gateways.serving])
}

fn pod_disruption_budgets(valid: &Validated, context: &Context, steps: &Steps) -> Vec<PodDisruptionBudget> {
    let mut gateways = gateway_revisions(valid, steps);
    gateways.extend(steps.gateways.kept.iter().map(String::as_str));
    let shards = steps.shards.desired.union(&steps.shards.kept);
    let shards: BTreeSet<_> = shards.map(|(_, revision)| revision).collect();
    let gateways = gateways
        .into_iter()
        .map(|revision| build::gateway_budget(context, revision));
    let shards = shards
        .into_iter()
        .map(|revision| build::shard_budget(context, revision));
    gateways.chain(shards).collect()
}

fn gateways(
    valid: &Validated,
    observed: &Observed,
    context: &Context,
    steps: &Steps,
) -> (Vec<Deployment>, Vec<ReplicaTarget>) {
    let (mut deployments, mut targets) = (Vec::new(), Vec::new());
    let revisions = gateway_revisions(valid, steps).into_iter();
    for revision in revisions.filter_map(|id| valid.revisions.get(id)) {
        let name = valid.names.gateway(&revision.id);
        let exists = observed.live.deployment(&name).is_some();
        let is_scaled = valid.spec.gateway.autoscaling.is_some() && exists;
        // The first apply sets the count. Afterwards autoscaling owns it with a field manager of its own.
        let replicas = (!is_scaled).then_some(steps.desired_gateways);
        deployments.extend(build::gateway(context, revision, replicas));
        if is_scaled {
            targets.push(ReplicaTarget {
                deployment: name,
                replicas: steps.desired_gateways,
            });
        }
    }
    (deployments, targets)
}

fn shards(valid: &Validated, context: &Context, steps: &Steps) -> Vec<Deployment> {
    let desired = steps.shards.desired.iter();
    let deployment = |id: u32, revision: &str| build::shard(context, id, valid.revisions.get(revision)?);
    desired
        .filter_map(|(id, revision)| deployment(*id, revision))
        .collect()
}

fn worker(valid: &Validated, observed: &Observed, context: &Context, steps: &Steps) -> Option<Deployment> {
    if valid.servers.database == DatabaseServer::None {
        return None;
    }
    build::worker(
        context,
        valid.revisions.get(worker_revision(valid, observed, steps))?,
    )
}

/// The worker keeps its revision until all active shards run the desired one: a version that cannot run must not stop the
/// history.
fn worker_revision<'a>(valid: &'a Validated, observed: &Observed, steps: &Steps) -> &'a str {
    let revisions = &valid.revisions;
    let shards = revisions.of(Component::Shard);
    let mut entries = steps.shards.table.shards.iter();
    let Some(old) = entries.find(|e| e.state == ShardState::Active && e.revision != shards) else {
        return revisions.of(Component::Worker);
    };
    let worker = observed
        .live
        .deployment(&valid.names.component(Component::Worker));
    let running = worker.and_then(|worker| component_and_revision(&valid.names, worker));
    let id = running.map_or_else(|| old.revision.clone(), |(_, id)| id);
    let kept = revisions
        .get(&id)
        .filter(|r| r.template(Component::Worker).is_some());
    kept.map_or(revisions.of(Component::Worker), |revision| &revision.id)
}

/// The names of objects that stay although they are not applied.
pub fn kept_names(valid: &Validated, observed: &Observed, steps: &Steps) -> BTreeSet<String> {
    let (names, shards, gateways) = (&valid.names, steps.shards, steps.gateways);
    let mut kept: BTreeSet<String> = shards
        .kept
        .iter()
        .map(|(id, revision)| names.shard(*id, revision))
        .collect();
    // Gateways ask a draining shard if no other shard answers.
    kept.extend(shards.table.shards.iter().map(|e| names.shard(e.id, &e.revision)));
    kept.extend(gateways.kept.iter().map(|revision| names.gateway(revision)));
    if let DatabaseServer::Managed(_) = valid.servers.database {
        kept.insert(names.component(Component::Database));
    }
    kept.extend(kept_revisions(valid, observed, steps));
    kept
}

/// The names of stored revisions that stay: those in use, some others as history, and those of a newer operator, which
/// this one cannot decode.
fn kept_revisions(valid: &Validated, observed: &Observed, steps: &Steps) -> BTreeSet<String> {
    let names = &valid.names;
    let deployments = observed.live.deployments.iter();
    let revisions = deployments.filter_map(|d| component_and_revision(names, d));
    let mut in_use: BTreeSet<String> = revisions.map(|(_, id)| id).collect();
    in_use.insert(steps.gateways.serving.clone());
    in_use.extend(steps.shards.table.shards.iter().map(|e| e.revision.clone()));
    let limit = usize::try_from(valid.spec.revision_history_limit).unwrap_or_default();
    let kept = valid.revisions.kept(&in_use, limit);
    let mut kept: BTreeSet<String> = kept.iter().map(|id| names.revision(id)).collect();
    let stored = observed
        .live
        .controller_revisions
        .iter()
        .map(ResourceExt::name_any);
    let is_decoded = |name: &str| {
        let id = names.parse_revision(name);
        id.is_some_and(|id| valid.revisions.get(id).is_some())
    };
    kept.extend(stored.filter(|name| !is_decoded(name)));
    kept
}
