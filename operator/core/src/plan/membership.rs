//! Builds the inputs of shard membership and of the gateway rollout.

use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::Deployment;
use poker_operator_api::Component;
use poker_routing::RoutingTable;

use super::live::{available_since, draining, ever_ready, ready, serving, shard_key};
use crate::membership::{gateways, shards};
use crate::observed::Observed;
use crate::validate::Validated;

pub fn shards<'a>(
    valid: &'a Validated,
    observed: &Observed,
    table: Option<&'a RoutingTable>,
    desired: i32,
) -> shards::MembershipInput<'a> {
    let names = &valid.names;
    let deployments = owned(observed).filter_map(|d| {
        let key = shard_key(names, d.metadata.name.as_deref()?)?;
        let state = shards::ShardDeployment {
            ready: ready(d) > 0,
            ready_since: available_since(d),
            ever_ready: ever_ready(d),
        };
        Some((key, state))
    });
    let statuses = observed.drains.iter();
    let statuses = statuses.filter_map(|(name, status)| Some((shard_key(names, name)?, *status)));
    let draining = draining(observed).filter_map(|(name, at)| Some((shard_key(names, name)?, at)));
    let pins = valid.spec.shards.placement.pins.iter();
    let routes = observed.cluster.status.as_ref().and_then(|s| s.routes.as_ref());
    shards::MembershipInput {
        names,
        table,
        version_floor: routes.map_or(0, |r| r.version.unsigned_abs()),
        desired: desired.unsigned_abs(),
        revision: valid.revisions.of(Component::Shard),
        pins: pins.map(|p| (p.team.clone(), p.shard.unsigned_abs())).collect(),
        deployments: deployments.collect(),
        drain_statuses: statuses.collect(),
        gateways: ready_gateways(valid, observed),
        draining: draining.collect(),
        deadline: SignedDuration::from_secs(valid.spec.shards.drain_deadline_seconds.into()),
        now: observed.now,
    }
}

/// The number of ready gateways of all revisions.
fn ready_gateways(valid: &Validated, observed: &Observed) -> u64 {
    let is_gateway = |d: &&Deployment| {
        let name = d.metadata.name.as_deref();
        name.is_some_and(|name| valid.names.parse_gateway(name).is_some())
    };
    owned(observed)
        .filter(is_gateway)
        .map(|d| u64::from(ready(d).unsigned_abs()))
        .sum()
}

pub fn gateways<'a>(valid: &'a Validated, observed: &'a Observed) -> gateways::GatewayRollout<'a> {
    let revision = |name: &str| valid.names.parse_gateway(name).map(str::to_owned);
    let deployments = owned(observed).filter_map(|d| {
        let state = gateways::GatewayDeployment {
            desired: d.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1),
            ready: ready(d),
            pods: d.status.as_ref().and_then(|s| s.replicas).unwrap_or(0),
            ever_ready: ever_ready(d),
        };
        Some((revision(d.metadata.name.as_deref()?)?, state))
    });
    let statuses = observed.drains.iter();
    let sockets = statuses.filter_map(|(name, status)| Some((revision(name)?, status.active)));
    let draining = draining(observed).filter_map(|(name, at)| Some((revision(name)?, at)));
    let serving = serving(&observed.live, &valid.names);
    gateways::GatewayRollout {
        serving,
        is_restorable: serving.is_some_and(|id| valid.revisions.has_pods(id, Component::Gateway)),
        revision: valid.revisions.of(Component::Gateway),
        deployments: deployments.collect(),
        sockets: sockets.collect(),
        draining: draining.collect(),
        deadline: SignedDuration::from_secs(valid.spec.gateway.drain_deadline_seconds.into()),
        now: observed.now,
    }
}

fn owned(observed: &Observed) -> impl Iterator<Item = &Deployment> {
    let deployments = observed.live.deployments.iter();
    deployments.filter(|d| observed.owns(&d.metadata))
}
