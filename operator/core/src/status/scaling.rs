//! The last scaling decision of each component, as the status shows it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use poker_operator_api::status::{ProposalStatus, ScalingStatus};
use poker_operator_api::{Component, PokerClusterStatus};

use crate::observed::Observed;
use crate::scale::{Cause, Reason, Sample, ScaleDecision};
use crate::validate::Validated;

/// The entry of a decision. The old entry stays as long as the decision and the metrics without a count are the same; its
/// other inputs are those of the time at which it was first made.
pub fn entry(
    decision: &ScaleDecision,
    valid: &Validated,
    observed: &Observed,
    old: &PokerClusterStatus,
) -> ScalingStatus {
    let component = decision.component.as_str();
    let before = old.scaling.iter().find(|s| s.component == component);
    let is_kept = |before: &&ScalingStatus| {
        before.desired == decision.replicas
            && (waits_for_samples(observed, decision.component)
                || before.reason == decision.reason.as_str() && has_same_problems(before, decision)
                || shows_last_step(before, decision))
    };
    let spec_replicas = spec_replicas(decision.component, valid);
    ScalingStatus {
        spec_replicas,
        replicas_ignored_at: replicas_ignored_at(before, spec_replicas, decision),
        ..before
            .filter(is_kept)
            .cloned()
            .unwrap_or_else(|| new_entry(decision))
    }
}

/// Whether the operator has just started to query a metric: the old entry says more.
fn waits_for_samples(observed: &Observed, component: Component) -> bool {
    let samples = observed.metrics.get(&component);
    let mut samples = samples.into_iter().flat_map(|samples| samples.values());
    samples.any(|sample| {
        matches!(
            sample,
            Sample::Missing {
                cause: Cause::Pending,
                ..
            }
        )
    })
}

/// Whether the same metrics propose no count, for the same causes.
fn has_same_problems(before: &ScalingStatus, decision: &ScaleDecision) -> bool {
    let new = decision.proposals.iter();
    let new: Vec<_> = new.filter_map(|p| Some((&p.name, p.problem.as_ref()?))).collect();
    let old = before.proposals.iter().filter(|p| p.replicas.is_none());
    let old: Vec<_> = old.filter_map(|p| Some((&p.name, p.value.as_ref()?))).collect();
    old == new
}

/// Keeps showing the last step instead of replacing it with "on target".
fn shows_last_step(before: &ScalingStatus, decision: &ScaleDecision) -> bool {
    before.current != before.desired
        && decision.current == decision.replicas
        && decision.reason == Reason::OnTarget
}

fn new_entry(decision: &ScaleDecision) -> ScalingStatus {
    let proposals = decision.proposals.iter().map(|p| ProposalStatus {
        name: p.name.clone(),
        value: p.problem.clone().or_else(|| p.value.clone()),
        replicas: p.replicas,
    });
    ScalingStatus {
        component: decision.component.as_str().to_owned(),
        current: decision.current,
        spec_replicas: None,
        replicas_ignored_at: None,
        desired: decision.replicas,
        reason: decision.reason.as_str().to_owned(),
        message: decision.message.clone(),
        time: Time(decision.at),
        proposals: proposals.collect(),
    }
}

/// When the replicas of the spec were last changed without effect.
fn replicas_ignored_at(
    before: Option<&ScalingStatus>,
    spec_replicas: Option<i32>,
    decision: &ScaleDecision,
) -> Option<Time> {
    let before = before?;
    let is_ignored = before.spec_replicas.is_some()
        && before.spec_replicas != spec_replicas
        && spec_replicas != Some(decision.replicas);
    match is_ignored {
        true => Some(Time(decision.at)),
        false => before.replicas_ignored_at.clone(),
    }
}

fn spec_replicas(component: Component, valid: &Validated) -> Option<i32> {
    match component {
        Component::Gateway => Some(valid.spec.gateway.replicas),
        Component::Shard => Some(valid.spec.shards.replicas),
        _ => None,
    }
}
