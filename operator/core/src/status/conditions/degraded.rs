//! Degraded: a part that should run does not. Stalled: only the user can change that.

use poker_operator_api::conditions::{reasons, types};

use super::{ConditionDraft, ConditionInput, Health, NO_PROBLEMS, as_expected, draft};
use crate::observed::TopicObserved;

impl ConditionInput<'_> {
    pub(super) fn degraded(&self) -> ConditionDraft {
        if let Some(rejected) = self.rejected_writes() {
            return rejected;
        }
        if let Err(invalid) = self.valid {
            return self.spec_rejected(invalid);
        }
        let Some(health) = self.health else {
            return self.stale_caches().unwrap_or_else(|| as_expected(NO_PROBLEMS));
        };
        let problem = self.pod_failure(|_| true).or_else(|| stuck(health));
        let cannot_observe = || self.stale_caches().or_else(|| self.metrics_unavailable());
        let problem = if self.was_complete {
            problem
                .or_else(|| self.unavailable(health))
                .or_else(cannot_observe)
                .or_else(|| self.topic_unavailable())
                .or_else(|| self.replication_mismatch())
        } else {
            // Until the cluster is complete for the first time, missing replicas are starting.
            problem.or_else(cannot_observe)
        };
        problem.unwrap_or_else(|| as_expected(NO_PROBLEMS))
    }

    /// Replicas that were ready and no longer are, and managed servers that are not ready.
    fn unavailable(&self, health: &Health) -> Option<ConditionDraft> {
        let before = self.observed.cluster.status.as_ref();
        let gateways = before.and_then(|status| Some(status.gateway.as_ref()?.ready));
        let shards = before.and_then(|status| Some(status.shards.as_ref()?.ready));
        let workers = before.and_then(|status| Some(status.worker.as_ref()?.ready));
        let replicas = [
            (
                reasons::GATEWAYS_UNAVAILABLE,
                "gateways",
                health.gateways_ready,
                health.gateways_desired,
                gateways,
            ),
            (
                reasons::SHARDS_UNAVAILABLE,
                "shards",
                health.shards_ready,
                health.shards_active,
                shards,
            ),
            (
                reasons::SERVERS_UNAVAILABLE,
                "workers",
                health.workers_ready,
                health.workers_desired,
                workers,
            ),
        ];
        let missing = replicas
            .into_iter()
            .filter(|(_, _, ready, desired, before)| ready < desired && self.is_less(*ready, *before))
            .map(|(reason, name, ready, desired, _)| {
                (reason, format!("{ready} of {desired} {name} are ready"))
            });
        let servers = health
            .servers_down
            .iter()
            .map(|server| (reasons::SERVERS_UNAVAILABLE, format!("{server} is not ready")));
        let problems: Vec<_> = missing.chain(servers).collect();
        let (reason, _) = problems.first()?;
        let sentences: Vec<_> = problems.iter().map(|(_, sentence)| &**sentence).collect();
        Some(draft(true, reason, sentences.join(", ")))
    }

    /// Whether fewer replicas are ready than before. New replicas that start do not degrade the cluster.
    fn is_less(&self, ready: i32, before: Option<i32>) -> bool {
        let mut conditions = self.status.conditions.iter();
        let is_degraded = conditions.any(|c| c.type_ == types::DEGRADED && c.status == "True");
        is_degraded || before.is_none_or(|before| ready < before)
    }

    fn topic_unavailable(&self) -> Option<ConditionDraft> {
        let TopicObserved::Unknown { why: Some(why) } = &self.observed.topic else {
            return None;
        };
        let message =
            format!("the operator cannot describe the topic ({why}): history is delayed, voting continues");
        Some(draft(true, reasons::TOPIC_UNAVAILABLE, message))
    }

    /// The operator does not reassign replicas: their placement is up to the administrator of Kafka.
    fn replication_mismatch(&self) -> Option<ConditionDraft> {
        let TopicObserved::Present {
            replication_factor, ..
        } = self.observed.topic
        else {
            return None;
        };
        let desired = self.observed.cluster.spec.kafka.topic.replication_factor;
        let message = format!(
            "the topic has {replication_factor} replicas of each partition, but kafka.topic.replicationFactor is {desired}: reassign its replicas in Kafka, or correct the spec"
        );
        let is_less = replication_factor < desired;
        is_less.then(|| draft(true, reasons::TOPIC_REPLICATION_MISMATCH, message))
    }

    pub(super) fn stalled(&self) -> ConditionDraft {
        if let Err(invalid) = self.valid {
            return draft(true, invalid.reason, invalid.message.clone());
        }
        let mut failures = self.outcome.failures.iter();
        if let Some(conflict) = failures.find(|failure| failure.reason == reasons::NAME_CONFLICT) {
            return draft(true, conflict.reason, conflict.message.clone());
        }
        let stuck = self.health.and_then(stuck);
        stuck.map_or_else(
            || as_expected(NO_PROBLEMS),
            |stuck| self.pod_failure(|_| true).unwrap_or(stuck),
        )
    }
}

/// A Deployment that made no progress within its deadline.
fn stuck(health: &Health) -> Option<ConditionDraft> {
    let stuck = health.stuck.first()?;
    let message = format!(
        "Deployment {stuck} makes no progress: see the events of its pods, then correct or revert the spec; reverting is safe"
    );
    Some(draft(true, reasons::ROLLING_OUT, message))
}
