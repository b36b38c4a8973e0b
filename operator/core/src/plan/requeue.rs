//! When to reconcile again.

use std::time::Duration;

use crate::limits::{
    PARTICIPANTS_SECONDS, REQUEUE_DRAINING, REQUEUE_JOINING, REQUEUE_STARTING, RESYNC_INTERVAL,
};
use crate::observed::{Observed, TopicObserved};
use crate::plan_result::PlanSummary;
use crate::scale::ScaleDecision;
use crate::validate::Validated;

/// The time until the next reconcile, unless a change triggers one earlier.
pub fn requeue_after(
    valid: &Validated,
    observed: &Observed,
    joining: bool,
    summary: &PlanSummary,
    scale: &[ScaleDecision],
) -> Duration {
    let mut wait = RESYNC_INTERVAL;
    if valid.spec.prometheus.is_some() {
        wait = wait.min(Duration::from_secs(PARTICIPANTS_SECONDS.unsigned_abs()));
    }
    let is_starting = summary.shards.updated < summary.shards.desired
        || summary.gateway.serving != summary.gateway.revision;
    let has_error = observed.metrics_error.is_some() || observed.stale_caches.is_some();
    let is_topic_unknown = matches!(observed.topic, TopicObserved::Unknown { .. });
    if is_starting || is_waiting(observed) || has_error || is_topic_unknown {
        wait = wait.min(REQUEUE_STARTING);
    }
    if !summary.draining.is_empty() {
        wait = wait.min(REQUEUE_DRAINING);
    }
    if joining {
        wait = wait.min(REQUEUE_JOINING);
    }
    scale.iter().map(|d| d.requeue_after).fold(wait, Duration::min)
}

/// Whether a pod is not ready. After some time this becomes a pod failure, without a change that triggers a reconcile.
fn is_waiting(observed: &Observed) -> bool {
    let live = &observed.live;
    let deployments = live.deployments.iter().filter_map(|d| d.status.as_ref());
    let stateful_sets = live.stateful_sets.iter().filter_map(|s| s.status.as_ref());
    deployments
        .map(|status| (status.ready_replicas, status.replicas.unwrap_or(0)))
        .chain(stateful_sets.map(|status| (status.ready_replicas, status.replicas)))
        .any(|(ready, replicas)| ready.unwrap_or(0) < replicas)
}
