//! The child objects of the desired state.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Secret, Service};
use poker_operator_api::Component;

use crate::build::{self, Context};
use crate::children::{Children, Planned};
use crate::membership::{gateways::GatewayStep, shards::MembershipStep};
use crate::observed::Observed;
use crate::plan_result::ReplicaTarget;
use crate::servers::DatabaseServer;
use crate::validate::Validated;

/// The child objects to apply now, and the replicas of an autoscaled gateway Deployment.
pub fn children(
    valid: &Validated,
    observed: &Observed,
    shards: &MembershipStep,
    gateways: &GatewayStep,
    desired_gateways: i32,
) -> (Children<Planned>, Option<ReplicaTarget>) {
    let context = &valid.context();
    let gateway = valid.names.gateway(&valid.revision);
    let exists = observed.live.deployment(&gateway).is_some();
    let is_scaled = valid.spec.gateway.autoscaling.is_some() && exists;
    // The first apply sets the count. Afterwards autoscaling owns it with a field manager of its own.
    let replicas = (!is_scaled).then_some(desired_gateways);
    let target = is_scaled.then_some(ReplicaTarget {
        deployment: gateway,
        replicas: desired_gateways,
    });
    let children = Children {
        service_accounts: build::service_accounts(context),
        roles: build::roles(context),
        role_bindings: build::role_bindings(context),
        secrets: secret(valid, observed, context).into_iter().collect(),
        config_maps: vec![build::routes(context, &shards.table)],
        services: services(valid, context, shards, gateways),
        network_policies: build::network_policies(context),
        pod_disruption_budgets: build::pod_disruption_budgets(context),
        ingresses: build::ingresses(context),
        stateful_sets: build::stateful_sets(context),
        deployments: deployments(valid, context, shards, replicas),
        state: std::marker::PhantomData,
    };
    (children, target)
}

/// The Secret of the managed database, if it does not exist yet or is to be adopted.
fn secret(valid: &Validated, observed: &Observed, context: &Context) -> Option<Secret> {
    let is_managed = matches!(valid.servers.database, DatabaseServer::Managed(_));
    let name = valid.names.component(Component::Database);
    let mut live = observed.live.secrets.iter();
    let is_controlled = match live.find(|secret| secret.metadata.name.as_ref() == Some(&name)) {
        Some(secret) => observed.controls(&secret.metadata),
        None => observed.secrets.contains_key(&name),
    };
    (is_managed && !is_controlled).then(|| build::database_secret(context, &observed.random))
}

fn services(
    valid: &Validated,
    context: &Context,
    shards: &MembershipStep,
    gateways: &GatewayStep,
) -> Vec<Service> {
    let mut services = vec![build::public_service(context, &gateways.serving)];
    services.extend(build::server_services(context));
    let ids = shards.desired.iter();
    services.extend(ids.map(|id| build::shard_service(context, *id, &valid.revision)));
    services
}

fn deployments(
    valid: &Validated,
    context: &Context,
    shards: &MembershipStep,
    replicas: Option<i32>,
) -> Vec<Deployment> {
    let revision = &valid.revision;
    let mut deployments = vec![build::gateway(context, revision, replicas)];
    let ids = shards.desired.iter();
    deployments.extend(ids.map(|id| build::shard(context, *id, revision)));
    if valid.servers.database != DatabaseServer::None {
        deployments.push(build::worker(context, revision));
    }
    deployments
}

/// The names of objects that stay although they are not applied.
pub fn kept_names(valid: &Validated, shards: &MembershipStep, gateways: &GatewayStep) -> BTreeSet<String> {
    let names = &valid.names;
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
    kept
}
