//! How draining ended.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::live::draining;
use crate::children::{Children, Planned};
use crate::observed::Observed;
use crate::plan_result::{Drained, PlanSummary};
use crate::validate::Validated;

/// How draining ended for the Deployments that no longer drain.
pub fn drained(
    valid: &Validated,
    observed: &Observed,
    children: &Children<Planned>,
    summary: &PlanSummary,
) -> BTreeMap<String, Drained> {
    let names = &valid.names;
    let is_kept = |name: &str| {
        children.deployment(name).is_some()
            || summary.shards.active.iter().any(|active| active == name)
            || name == names.gateway(&summary.gateway.serving)
    };
    let end = |name: &str, since: Timestamp| {
        let deadline = if names.parse_shard(name).is_some() {
            valid.spec.shards.drain_deadline_seconds
        } else {
            valid.spec.gateway.drain_deadline_seconds
        };
        let active = observed.drains.get(name).map(|status| status.active);
        if is_kept(name) {
            Drained::Kept
        } else if observed.live.deployment(name).is_none() {
            Drained::Deleted
        } else if active == Some(0) || observed.now.duration_since(since).as_secs() < deadline.into() {
            Drained::Empty
        } else {
            Drained::Deadline { active }
        }
    };
    draining(observed)
        .filter(|(name, _)| !summary.draining.contains_key(*name))
        .map(|(name, since)| (name.to_owned(), end(name, since)))
        .collect()
}
