//! Causes that several conditions share.

use poker_operator_api::Component;
use poker_operator_api::common::SecretKeyRef;
use poker_operator_api::conditions::reasons;

use super::{ConditionDraft, ConditionInput, draft};
use crate::limits::{
    CORRECTION_WAIT_MAX, FAILURES_REPORTED_MAX, OVERRIDDEN_REPORTED_MAX, POD_FAILURES_REPORTED_MAX,
};
use crate::servers::{DatabaseServer, KafkaServer, RedisServer};
use crate::status::pod_failures::{Kind, PodFailure};
use crate::validate::Invalid;

impl ConditionInput<'_> {
    /// An invalid spec stops nothing that runs.
    pub(super) fn spec_rejected(&self, invalid: &Invalid) -> ConditionDraft {
        let consequence = if self.outcome.summary.is_some() {
            "the operator keeps operating the last valid spec"
        } else if self.health.is_some() {
            "running pods keep running with the last valid spec, and the operator changes nothing"
        } else {
            "nothing was started"
        };
        let mut message = format!("{}; {consequence}", invalid.message);
        if let Some(failure) = self.pod_failure(|_| true) {
            message = format!("{message}; {}", failure.message);
        }
        draft(true, invalid.reason, message)
    }

    pub(super) fn not_started(&self) -> ConditionDraft {
        draft(false, reasons::STARTING, "nothing has been started yet")
    }

    /// The writes that the API server rejected. Each costs only its own object.
    pub(super) fn rejected_writes(&self) -> Option<ConditionDraft> {
        let failures = &self.outcome.failures;
        let reported = failures.iter().take(FAILURES_REPORTED_MAX);
        let mut sentences: Vec<_> = reported.map(|failure| failure.message.clone()).collect();
        let others = failures.len() - sentences.len();
        if others > 0 {
            sentences.push(format!("and {others} more"));
        }
        Some(draft(true, failures.first()?.reason, sentences.join("; ")))
    }

    /// What another client or an admission webhook overrides.
    pub(super) fn overridden(&self) -> Option<String> {
        let objects = &self.outcome.overridden;
        if objects.is_empty() {
            return None;
        }
        let mut sentences: Vec<_> = objects.iter().take(OVERRIDDEN_REPORTED_MAX).cloned().collect();
        let others = objects.len() - sentences.len();
        if others > 0 {
            sentences.push(format!("and {others} more objects"));
        }
        Some(format!(
            "{}: an admission webhook or another client overrides what the operator applies; the operator applies it again within {} minutes",
            sentences.join("; "),
            CORRECTION_WAIT_MAX.as_mins(),
        ))
    }

    pub(super) fn stale_caches(&self) -> Option<ConditionDraft> {
        let why = self.observed.stale_caches.as_ref()?;
        let message = format!("{why}; until then the operator uses the last observed state");
        Some(draft(true, reasons::OBSERVE_FAILED, message))
    }

    pub(super) fn metrics_unavailable(&self) -> Option<ConditionDraft> {
        let why = self.observed.metrics_error.as_ref()?;
        let message = format!("{why}; until then the operator does not scale by metrics");
        Some(draft(true, reasons::METRICS_UNAVAILABLE, message))
    }

    /// Why containers of these components do not run.
    pub(super) fn pod_failure(&self, concerns: impl Fn(&Component) -> bool) -> Option<ConditionDraft> {
        // A pod that is not ready is no separate failure while a managed server is down: it may wait for that server.
        let servers_serve = self.health.is_none_or(|health| health.servers_down.is_empty());
        let failures = self.observed.pod_failures.iter();
        let found: Vec<_> = failures
            .filter(|failure| failure.kind != Kind::NotReady || servers_serve)
            .filter(|failure| failure.components.iter().any(&concerns))
            .take(POD_FAILURES_REPORTED_MAX)
            .collect();
        let sentence = |failure: &&PodFailure| failure.sentence() + &self.addresses(failure);
        let sentences: Vec<_> = found.iter().map(sentence).collect();
        let mut message = sentences.join("; ");
        if self.was_complete {
            message.push_str("; reverting the spec is safe");
        }
        Some(draft(true, found.first()?.kind.reason(), message))
    }

    /// The fields with the addresses of external servers that a component may wait for.
    fn addresses(&self, failure: &PodFailure) -> String {
        let (Kind::NotReady, Ok(valid)) = (failure.kind, self.valid) else {
            return String::new();
        };
        let key = |reference: &SecretKeyRef| {
            let SecretKeyRef { name, key } = reference;
            format!("key {key} of Secret {name}")
        };
        let (shards, workers) = (Component::Shard, Component::Worker);
        let waits = |component: Component| failure.components.contains(&component);
        let mut fields = Vec::new();
        if let (RedisServer::External(url), true) = (&valid.servers.redis, waits(shards)) {
            fields.push(key(url));
        }
        if let (DatabaseServer::External(url), true) = (&valid.servers.database, waits(workers)) {
            fields.push(key(url));
        }
        if let (KafkaServer::External(_), true) = (&valid.servers.kafka, waits(workers)) {
            fields.push("spec.kafka.external.bootstrapServers".to_owned());
        }
        match fields.is_empty() {
            true => String::new(),
            false => format!("; check the address in {}", fields.join(" and in ")),
        }
    }
}
