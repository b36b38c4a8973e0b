//! Reads the state from existing objects.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use poker_operator_api::ClusterNames;
use poker_operator_api::names::LABEL_REVISION;
use poker_routing::{RoutingTable, ShardState};

use crate::build::ROUTES_KEY;
use crate::membership::shards::ShardKey;
use crate::observed::{LiveChildren, Observed};
use crate::scale::pod_sum::ReadyPods;

/// The Deployments whose drain status the operator needs.
pub fn drains(live: &LiveChildren, names: &ClusterNames) -> Vec<String> {
    let named = live.deployments.iter().filter_map(|d| d.metadata.name.clone());
    let table = live_table(live, names).unwrap_or_default();
    let active = active(names, &table);
    let serving = serving(live, names).map(|revision| names.gateway(revision));
    named
        .filter(|name| names.parse_shard(name).is_some() || names.parse_gateway(name).is_some())
        .filter(|name| !active.contains(name) && Some(name) != serving.as_ref())
        .collect()
}

/// The current routing table, if it exists and can be parsed.
pub(crate) fn live_table(live: &LiveChildren, names: &ClusterNames) -> Option<RoutingTable> {
    let name = names.routes();
    let map = live
        .config_maps
        .iter()
        .find(|m| m.metadata.name.as_ref() == Some(&name))?;
    RoutingTable::parse(map.data.as_ref()?.get(ROUTES_KEY)?).ok()
}

/// The revision that the public Service selects.
pub(crate) fn serving<'a>(live: &'a LiveChildren, names: &ClusterNames) -> Option<&'a str> {
    let name = names.public();
    let service = live
        .services
        .iter()
        .find(|s| s.metadata.name.as_ref() == Some(&name))?;
    let selector = service.spec.as_ref()?.selector.as_ref()?;
    selector.get(LABEL_REVISION).map(String::as_str)
}

pub(crate) fn active(names: &ClusterNames, table: &RoutingTable) -> Vec<String> {
    let active = table.shards.iter().filter(|e| e.state == ShardState::Active);
    active.map(|e| names.shard(e.id, &e.revision)).collect()
}

/// The shards whose people count: those that the routing table has as Active, of the revision in the table.
pub fn active_shard_pods(live: &LiveChildren, names: &ClusterNames) -> ReadyPods {
    let table = live_table(live, names).unwrap_or_default();
    let active = active(names, &table).into_iter();
    active
        .map(|name| {
            let ready = live.deployment(&name).map_or(0, ready);
            (name, u64::try_from(ready).unwrap_or(0))
        })
        .collect()
}

/// The gateways whose connections count: all, because a connection stays on a gateway that drains.
pub fn gateway_pods(live: &LiveChildren, names: &ClusterNames) -> ReadyPods {
    let gateways = live.deployments.iter().filter_map(|deployment| {
        let name = deployment.metadata.name.clone()?;
        names.parse_gateway(&name)?;
        Some((name, u64::try_from(ready(deployment)).unwrap_or(0)))
    });
    gateways.collect()
}

pub(super) fn shard_key(names: &ClusterNames, name: &str) -> Option<ShardKey> {
    names
        .parse_shard(name)
        .map(|(id, revision)| (id, revision.to_owned()))
}

pub(super) fn draining(observed: &Observed) -> impl Iterator<Item = (&str, Timestamp)> {
    let draining = observed.cluster.status.iter().flat_map(|s| &s.draining);
    draining.map(|d| (d.deployment.as_str(), d.since.0))
}

pub(crate) fn ready(deployment: &Deployment) -> i32 {
    deployment
        .status
        .as_ref()
        .and_then(|s| s.ready_replicas)
        .unwrap_or(0)
}

/// When the Deployment became available.
pub(super) fn available_since(deployment: &Deployment) -> Option<Timestamp> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    let available = conditions
        .iter()
        .find(|c| c.type_ == "Available" && c.status == "True")?;
    Some(available.last_transition_time.as_ref()?.0)
}

/// Whether all pods were ever ready. The Deployment controller never resets this reason.
pub(super) fn ever_ready(deployment: &Deployment) -> bool {
    let conditions = deployment
        .status
        .iter()
        .flat_map(|s| s.conditions.iter().flatten());
    ready(deployment) > 0
        || conditions
            .into_iter()
            .any(|c| c.type_ == "Progressing" && c.reason.as_deref() == Some("NewReplicaSetAvailable"))
}

pub(super) fn count(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}
