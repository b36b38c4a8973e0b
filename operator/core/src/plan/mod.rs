//! Plans what to do from a valid spec and the observed state.

mod children;
mod drained;
mod live;
mod membership;
mod requeue;
mod scaling;

use std::collections::BTreeMap;

use jiff::Timestamp;
use poker_operator_api::Component;
use poker_routing::{RoutingTable, ShardRoute, ShardState};

use live::count;
pub(crate) use live::{active, live_table, ready, serving};
pub use live::{active_shard_pods, drains, gateway_pods};

use crate::children::Children;
use crate::limits::RESYNC_INTERVAL;
use crate::membership::{gateways, shards};
use crate::observed::Observed;
use crate::orphans;
use crate::plan_result::{GatewaySummary, Plan, PlanSummary, ShardSummary};
use crate::topic;
use crate::validate::{Invalid, Validated, last_valid, validate};

/// Validates the spec and plans it. If it is not valid, the plan operates the last valid spec.
pub fn validate_and_plan(observed: &Observed) -> (Result<Validated, Invalid>, Option<Plan>) {
    let valid = validate(observed);
    let plan = match &valid {
        Ok(valid) => Some(plan(valid, observed)),
        Err(_) => last_valid(observed).map(|last| plan(&last, observed)),
    };
    (valid, plan)
}

/// The plan. A pure function: the same arguments give the same plan.
pub fn plan(valid: &Validated, observed: &Observed) -> Plan {
    if valid.spec.paused {
        return paused(valid, observed);
    }
    let scale = scaling::decisions(valid, observed);
    let decided = |component| {
        let decision = scale.iter().find(|d| d.component == component);
        decision.map(|d| d.replicas)
    };
    let desired_shards = decided(Component::Shard).unwrap_or(valid.spec.shards.replicas);
    let desired_gateways = decided(Component::Gateway).unwrap_or(valid.spec.gateway.replicas);
    let table = live_table(&observed.live, &valid.names);
    let shards = shards::next(&membership::shards(
        valid,
        observed,
        table.as_ref(),
        desired_shards,
    ));
    let gateways = gateways::next(&membership::gateways(valid, observed));
    let steps = children::Steps {
        shards: &shards,
        gateways: &gateways,
        desired_gateways,
    };
    let (planned, replicas) = children::children(valid, observed, &steps);
    let mut summary = summary(valid, &shards, &gateways, desired_shards, desired_gateways);
    summary.drained = drained::drained(valid, observed, &planned, &summary);
    let kept = children::kept_names(valid, observed, &steps);
    let joining = !shards.table.joining.is_empty();
    Plan {
        requeue_after: requeue::requeue_after(valid, observed, joining, &summary, &scale),
        // With an invalid spec, the topic may be the problem.
        topic: topic::desired(&valid.servers.topic, &valid.spec.kafka.topic, &observed.topic)
            .filter(|_| !valid.is_last_valid),
        orphans: orphans::find(observed, &planned, &kept),
        children: planned,
        replicas,
        scale,
        summary,
    }
}

/// The plan of a paused cluster: it does nothing, and its summary describes what runs.
fn paused(valid: &Validated, observed: &Observed) -> Plan {
    let table = live_table(&observed.live, &valid.names).unwrap_or_default();
    let status = observed.cluster.status.clone().unwrap_or_default();
    let draining = status.draining.iter();
    let summary = PlanSummary {
        paused: true,
        revision: valid.revisions.current.clone(),
        gateway: GatewaySummary {
            revision: valid.revisions.of(Component::Gateway).to_owned(),
            desired: status.gateway.map_or(valid.spec.gateway.replicas, |g| g.desired),
            serving: serving(&observed.live, &valid.names)
                .unwrap_or_default()
                .to_owned(),
        },
        shards: ShardSummary {
            revision: valid.revisions.of(Component::Shard).to_owned(),
            desired: status.shards.map_or(valid.spec.shards.replicas, |s| s.desired),
            active: active(&valid.names, &table),
            updated: updated(valid, &table),
            routes_version: table.version,
        },
        draining: draining.map(|d| (d.deployment.clone(), d.since.0)).collect(),
        drained: BTreeMap::new(),
    };
    Plan {
        children: Children::default(),
        replicas: Vec::new(),
        topic: None,
        orphans: Vec::new(),
        scale: Vec::new(),
        summary,
        requeue_after: RESYNC_INTERVAL,
    }
}

fn summary(
    valid: &Validated,
    shards: &shards::MembershipStep,
    gateways: &gateways::GatewayStep,
    desired_shards: i32,
    desired_gateways: i32,
) -> PlanSummary {
    let names = &valid.names;
    let draining_shards = shards.draining.iter();
    let mut draining: BTreeMap<String, Timestamp> = draining_shards
        .map(|((id, revision), at)| (names.shard(*id, revision), *at))
        .collect();
    let draining_gateways = gateways.draining.iter();
    draining.extend(draining_gateways.map(|(revision, at)| (names.gateway(revision), *at)));
    PlanSummary {
        paused: false,
        revision: valid.revisions.current.clone(),
        gateway: GatewaySummary {
            revision: valid.revisions.of(Component::Gateway).to_owned(),
            desired: desired_gateways,
            serving: gateways.serving.clone(),
        },
        shards: ShardSummary {
            revision: valid.revisions.of(Component::Shard).to_owned(),
            desired: desired_shards,
            active: active(names, &shards.table),
            updated: updated(valid, &shards.table),
            routes_version: shards.table.version,
        },
        draining,
        drained: BTreeMap::new(),
    }
}

/// The number of active shards on the desired revision.
fn updated(valid: &Validated, table: &RoutingTable) -> i32 {
    let revision = valid.revisions.of(Component::Shard);
    let is_updated = |e: &&ShardRoute| e.state == ShardState::Active && e.revision == revision;
    count(table.shards.iter().filter(is_updated).count())
}

#[cfg(test)]
mod tests;
