//! Counts what serves.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use poker_operator_api::{ClusterNames, Component, PokerClusterStatus};

use crate::children::{Applied, Children};
use crate::observed::Observed;
use crate::plan::{self, ready};
use crate::plan_result::PlanSummary;
use crate::servers::DatabaseServer;
use crate::validate::Validated;

/// What serves, in numbers.
#[derive(Clone, Debug, Default)]
pub struct Health {
    pub gateways_ready: i32,
    pub gateways_desired: i32,
    /// Gateways of the desired revision receive the new sockets.
    pub gateways_updated: bool,
    pub shards_ready: i32,
    pub shards_active: i32,
    pub shards_updated: i32,
    pub shards_desired: i32,
    pub workers_ready: i32,
    pub workers_desired: i32,
    /// Managed servers that are not ready.
    pub servers_down: Vec<Component>,
    /// Pods of managed servers that still run with their old settings.
    pub servers_outdated: Vec<String>,
    pub redis_ready: bool,
    /// Active shards of the desired revision that are ready.
    pub updated_ready: i32,
    /// Deployments that made no progress within their deadline.
    pub stuck: Vec<String>,
}

impl Health {
    /// From the plan and the applied objects.
    pub fn planned(
        valid: &Validated,
        observed: &Observed,
        summary: &PlanSummary,
        applied: &Children<Applied>,
    ) -> Self {
        let names = &valid.names;
        // Applied objects are newer than observed ones. Those of old revisions are only observed.
        let find = |name: &str| {
            let written = applied.deployment(name);
            written.or_else(|| observed.live.deployment(name))
        };
        let is_ready = |name: &String| find(name).is_some_and(|d| ready(d) > 0);
        let is_updated = |name: &String| {
            let shard = names.parse_shard(name);
            shard.is_some_and(|(_, revision)| revision == summary.shards.revision)
        };
        let active = &summary.shards.active;
        let worker = find(&names.component(Component::Worker));
        let has_worker = valid.servers.database != DatabaseServer::None;
        let sets = if summary.paused {
            &observed.live.stateful_sets
        } else {
            &applied.stateful_sets
        };
        let servers_down = servers_down(sets, names);
        let stuck = applied.deployments.iter().filter(|d| is_stuck(d));
        Self {
            gateways_ready: find(&names.gateway(&summary.gateway.serving)).map_or(0, ready),
            gateways_desired: summary.gateway.desired,
            gateways_updated: summary.gateway.serving == summary.gateway.revision,
            shards_ready: count(active, is_ready),
            shards_active: count(active, |_| true),
            shards_updated: summary.shards.updated,
            updated_ready: count(active, |name| is_updated(name) && is_ready(name)),
            shards_desired: summary.shards.desired,
            workers_ready: worker.map_or(0, ready),
            workers_desired: if has_worker { valid.spec.worker.replicas } else { 0 },
            redis_ready: !servers_down.contains(&Component::Redis),
            servers_down,
            servers_outdated: sets.iter().filter_map(outdated_pod).collect(),
            stuck: stuck.filter_map(|d| d.metadata.name.clone()).collect(),
        }
    }

    /// From what runs while the spec is invalid. `None` if nothing was started.
    pub fn running(observed: &Observed, old: &PokerClusterStatus) -> Option<Self> {
        let (gateway, shards) = (old.gateway.as_ref()?, old.shards.as_ref()?);
        let (live, names) = (&observed.live, observed.names());
        let ready = |name: &str| live.deployment(name).map_or(0, ready);
        let active = plan::active(&names, &plan::live_table(live, &names).unwrap_or_default());
        let serving = plan::serving(live, &names).map(|revision| names.gateway(revision));
        let servers_down = servers_down(&live.stateful_sets, &names);
        let shards_active = count(&active, |_| true);
        let shards_ready = count(&active, |name| ready(name) > 0);
        Some(Self {
            gateways_ready: serving.map_or(0, |name| ready(&name)),
            gateways_desired: gateway.desired,
            gateways_updated: true,
            shards_ready,
            shards_active,
            shards_updated: shards_active,
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

    /// Everything runs on the desired revision and with the desired count.
    pub fn is_complete(&self) -> bool {
        self.gateways_updated
            && self.gateways_ready >= self.gateways_desired
            && self.shards_updated == self.shards_desired
            && self.shards_active == self.shards_desired
            && self.shards_ready >= self.shards_active
    }
}

/// Managed servers that are not ready.
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

/// Whether a managed server is ready.
pub fn serves(set: &StatefulSet) -> bool {
    set.status.as_ref().and_then(|s| s.ready_replicas).unwrap_or(0) > 0
}

/// The pod of a server that is older than the last change of its StatefulSet. Such a pod runs until it is deleted.
fn outdated_pod(set: &StatefulSet) -> Option<String> {
    let (status, name) = (set.status.as_ref()?, set.metadata.name.as_ref()?);
    let is_outdated = status.replicas > status.updated_replicas.unwrap_or(0);
    is_outdated.then(|| format!("{name}-0"))
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

fn count(names: &[String], counts: impl Fn(&String) -> bool) -> i32 {
    let count = names.iter().filter(|name| counts(name)).count();
    i32::try_from(count).unwrap_or(i32::MAX)
}
