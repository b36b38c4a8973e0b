//! Which revision of the gateways gets new sockets, and when an old one may go.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::limits::GATEWAY_SETTLE_SECONDS;

/// A gateway Deployment as it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub desired: i32,
    pub ready: i32,
    /// Pods that exist, ready or not.
    pub pods: i32,
    /// All were ready once.
    pub ever_ready: bool,
}

/// Everything the choice depends on.
#[derive(Clone, Debug)]
pub struct GatewayRollout<'a> {
    /// The revision the Service selects; `None` before there is a Service.
    pub serving: Option<&'a str>,
    pub revision: &'a str,
    pub deployments: BTreeMap<String, Seen>,
    /// Sockets held, by revision.
    pub held: BTreeMap<String, u64>,
    pub draining: BTreeMap<String, Timestamp>,
    pub deadline: SignedDuration,
    pub now: Timestamp,
}

/// What should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayStep {
    /// The revision the Service should select.
    pub serving: String,
    /// Old revisions to leave as they are.
    pub kept: BTreeSet<String>,
    pub deleted: BTreeSet<String>,
    pub draining: BTreeMap<String, Timestamp>,
}

/// The next step of the handover.
pub fn next(handover: &GatewayRollout) -> GatewayStep {
    let serving = handover.choose();
    let mut next = GatewayStep {
        serving: serving.to_owned(),
        ..GatewayStep::default()
    };
    for (revision, seen) in &handover.deployments {
        if revision == handover.revision {
            continue; // applied anyway
        }
        if revision == serving || handover.serving == Some(revision) {
            // One that is just losing the Service drains from the next pass on.
            next.kept.insert(revision.clone());
            if revision != serving {
                next.draining.insert(revision.clone(), handover.now);
            }
            continue;
        }
        let since = handover.draining.get(revision).copied().unwrap_or(handover.now);
        let age = handover.now.duration_since(since);
        let held = handover.held.get(revision);
        let settled = age >= SignedDuration::from_secs(GATEWAY_SETTLE_SECONDS);
        let is_empty = held == Some(&0) && settled;
        // One that never served, or has no pod, holds no socket.
        let is_gone = settled && (seen.pods == 0 || held.is_none() && seen.ready == 0 && !seen.ever_ready);
        if is_empty || is_gone || age >= handover.deadline {
            next.deleted.insert(revision.clone());
        } else {
            next.kept.insert(revision.clone());
            next.draining.insert(revision.clone(), since);
        }
    }
    next
}

impl GatewayRollout<'_> {
    fn choose(&self) -> &str {
        let Some(serving) = self.serving else {
            return self.revision;
        };
        let ready = |revision: &str| self.deployments.get(revision).copied().unwrap_or_default();
        let (old, new) = (ready(serving), ready(self.revision));
        let is_complete = new.ready >= 1 && new.ready >= new.desired;
        let is_better = new.ready >= 1 && old.ready == 0;
        let is_lost = !self.deployments.contains_key(serving);
        if is_complete || is_better || is_lost {
            self.revision
        } else {
            serving
        }
    }
}

#[cfg(test)]
mod tests;
