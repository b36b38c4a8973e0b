//! Ready: the cluster serves users with the current spec.

use poker_operator_api::Component;
use poker_operator_api::conditions::{reasons, types};

use super::{ConditionDraft, ConditionInput, Health, draft};

impl ConditionInput<'_> {
    /// `None` keeps the old condition.
    pub(super) fn ready(&self) -> Option<ConditionDraft> {
        if let Err(invalid) = self.valid {
            // Ready is about the current spec, also while the last valid one serves.
            return Some(ConditionDraft {
                status: "False",
                ..self.spec_rejected(invalid)
            });
        }
        let Some(health) = self.health else {
            let is_known = self.status.conditions.iter().any(|c| c.type_ == types::READY);
            return (!is_known).then(|| self.not_started());
        };
        if self.is_enough(health) && health.redis_ready {
            return Some(draft(true, reasons::READY, "the cluster serves users"));
        }
        Some(self.not_ready(health))
    }

    /// Until the cluster is complete for the first time, all of it must be ready. Afterwards it is enough that users
    /// can vote.
    fn is_enough(&self, health: &Health) -> bool {
        if self.was_complete {
            return health.gateways_ready > 0 && health.shards_ready > 0;
        }
        health.gateways_ready >= health.gateways_desired
            && health.shards_ready >= health.shards_active
            && health.shards_active >= health.shards_desired
    }

    fn not_ready(&self, health: &Health) -> ConditionDraft {
        let Health {
            gateways_ready,
            gateways_desired,
            shards_ready,
            shards_active,
            redis_ready,
            ..
        } = health;
        let counts = format!(
            "{gateways_ready} of {gateways_desired} gateways and {shards_ready} of {shards_active} shards are ready"
        );
        if let Some(rejected) = self.rejected_writes() {
            return draft(false, &rejected.reason, format!("{}; {counts}", rejected.message));
        }
        let failure = self.pod_failure(|component| match component {
            Component::Redis => !redis_ready,
            Component::Gateway => gateways_ready < gateways_desired,
            Component::Shard => shards_ready < shards_active,
            _ => false,
        });
        if let Some(failure) = failure {
            return draft(false, &failure.reason, format!("{}; {counts}", failure.message));
        }
        let gateways_missing = *gateways_ready < 1 || !self.was_complete && gateways_ready < gateways_desired;
        let (reason, message) = if !redis_ready && self.was_complete {
            let message =
                "Redis is not ready, and votes wait for it: see the events and logs of its pod".to_owned();
            (reasons::SERVERS_UNAVAILABLE, message)
        } else if !redis_ready {
            let message = format!("Redis has not started yet; {counts}");
            (reasons::SERVERS_UNAVAILABLE, message)
        } else if gateways_missing {
            (reasons::GATEWAYS_UNAVAILABLE, counts)
        } else {
            (reasons::SHARDS_UNAVAILABLE, counts)
        };
        draft(false, reason, message)
    }
}
