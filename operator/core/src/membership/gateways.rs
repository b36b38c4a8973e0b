//! Which revision of the gateways receives new sockets, and when an old one is deleted.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::limits::GATEWAY_SETTLE_SECONDS;

/// The observed Deployment of a gateway revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GatewayDeployment {
    pub desired: i32,
    pub ready: i32,
    /// All pods, ready or not.
    pub pods: i32,
    /// Whether all pods were ever ready.
    pub ever_ready: bool,
}

/// The inputs of a step.
#[derive(Clone, Debug)]
pub struct GatewayRollout<'a> {
    /// The revision that the Service selects. `None` before the Service exists.
    pub serving: Option<&'a str>,
    /// Whether a Deployment of the serving revision can be created again.
    pub is_restorable: bool,
    pub revision: &'a str,
    pub deployments: BTreeMap<String, GatewayDeployment>,
    /// Open sockets by revision.
    pub sockets: BTreeMap<String, u64>,
    pub draining: BTreeMap<String, Timestamp>,
    pub deadline: SignedDuration,
    pub now: Timestamp,
}

/// The next step of the rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayStep {
    /// The revision for the Service to select.
    pub serving: String,
    /// Old revisions that stay. All other old revisions are orphans.
    pub kept: BTreeSet<String>,
    /// Revisions that drain, with the time at which they started.
    pub draining: BTreeMap<String, Timestamp>,
}

/// Plans the next step of the rollout.
pub fn next(rollout: &GatewayRollout) -> GatewayStep {
    let serving = rollout.choose_serving();
    let mut next = GatewayStep {
        serving: serving.to_owned(),
        ..GatewayStep::default()
    };
    let old = rollout.deployments.iter();
    for (revision, deployment) in old.filter(|(revision, _)| *revision != rollout.revision) {
        if revision == serving {
            next.kept.insert(revision.clone());
            continue;
        }
        let since = rollout.draining.get(revision).copied().unwrap_or(rollout.now);
        // The Service still selects it until this step is applied.
        let is_losing_service = rollout.serving == Some(revision);
        if is_losing_service || !rollout.is_drained(revision, deployment, since) {
            let since = if is_losing_service { rollout.now } else { since };
            next.kept.insert(revision.clone());
            next.draining.insert(revision.clone(), since);
        }
    }
    next
}

impl GatewayRollout<'_> {
    /// Whether an old revision has no sockets left, or its deadline passed.
    fn is_drained(&self, revision: &str, deployment: &GatewayDeployment, since: Timestamp) -> bool {
        let age = self.now.duration_since(since);
        let is_settled = age >= SignedDuration::from_secs(GATEWAY_SETTLE_SECONDS);
        let sockets = self.sockets.get(revision);
        let never_served = sockets.is_none() && deployment.ready == 0 && !deployment.ever_ready;
        let is_empty = sockets == Some(&0) || deployment.pods == 0 || never_served;
        is_settled && is_empty || age >= self.deadline
    }

    /// The revision to serve if no Service shows which one did: the desired one, unless only others are ready.
    fn most_ready(&self) -> &str {
        let ready = |revision: &str| self.deployments.get(revision).map_or(0, |d| d.ready);
        let others = self.deployments.iter().filter(|(_, d)| d.ready > 0);
        let most = others
            .max_by_key(|(_, d)| d.ready)
            .map(|(revision, _)| &**revision);
        most.filter(|_| ready(self.revision) == 0)
            .unwrap_or(self.revision)
    }

    fn choose_serving(&self) -> &str {
        let Some(serving) = self.serving else {
            return self.most_ready();
        };
        let ready = |revision: &str| self.deployments.get(revision).copied().unwrap_or_default();
        let (old, new) = (ready(serving), ready(self.revision));
        let is_complete = new.ready >= 1 && new.ready >= new.desired;
        let is_better = new.ready >= 1 && old.ready == 0;
        let is_lost = !self.is_restorable && !self.deployments.contains_key(serving);
        if is_complete || is_better || is_lost {
            self.revision
        } else {
            serving
        }
    }
}

#[cfg(test)]
mod tests;
