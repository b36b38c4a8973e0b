//! Builds the inputs of the scaling decisions.

use std::collections::BTreeMap;

use poker_operator_api::{Autoscaling, Component};

use super::live::{active, count, live_table, ready, serving};
use crate::observed::Observed;
use crate::scale::{self, Forecasts, ScaleDecision, ScaleInput, ScaleMemory};
use crate::validate::Validated;

/// The scaling decisions of the components with autoscaling.
pub fn decisions(valid: &Validated, observed: &Observed) -> Vec<ScaleDecision> {
    let gateways = valid.spec.gateway.autoscaling.as_ref();
    let shards = valid.spec.shards.autoscaling.as_ref();
    let gateways = gateways.map(|block| gateways_decision(valid, observed, block));
    let shards = shards.map(|block| shards_decision(valid, observed, block));
    gateways.into_iter().chain(shards).collect()
}

fn gateways_decision(valid: &Validated, observed: &Observed, block: &Autoscaling) -> ScaleDecision {
    let (live, names) = (&observed.live, &valid.names);
    let revision = valid.revisions.of(Component::Gateway);
    // The last written count, because after a crash the status may be one step behind.
    let written = || {
        let deployment = live.deployment(&names.gateway(revision))?;
        deployment.spec.as_ref()?.replicas
    };
    let reported = || Some(observed.cluster.status.as_ref()?.gateway.as_ref()?.desired);
    let current = written().or_else(reported).unwrap_or(valid.spec.gateway.replicas);
    let serving = serving(live, names).unwrap_or(revision);
    let ready = live.deployment(&names.gateway(serving)).map_or(0, ready);
    decide(observed, Component::Gateway, block, current, ready)
}

fn shards_decision(valid: &Validated, observed: &Observed, block: &Autoscaling) -> ScaleDecision {
    let (live, names) = (&observed.live, &valid.names);
    let active = active(names, &live_table(live, names).unwrap_or_default());
    let ready = active
        .iter()
        .filter_map(|name| live.deployment(name))
        .map(ready)
        .sum();
    let reported = || Some(observed.cluster.status.as_ref()?.shards.as_ref()?.desired);
    let running = (!active.is_empty()).then(|| count(active.len()));
    let current = reported().or(running).unwrap_or(valid.spec.shards.replicas);
    decide(observed, Component::Shard, block, current, ready)
}

fn decide(
    observed: &Observed,
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
        samples: observed.metrics.get(&component).unwrap_or(&no_samples),
        forecasts: observed.forecasts.get(&component).unwrap_or(&no_forecasts),
        memory: observed.memory.get(&component).unwrap_or(&no_memory),
        now: observed.now,
    })
}
