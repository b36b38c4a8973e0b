//! The conditions. Messages say what is and, where somebody must act, what to do.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use poker_operator_api::common::SecretKeyRef;
use poker_operator_api::conditions::{reasons, types};
use poker_operator_api::{Component, PokerCluster, PokerClusterStatus};

use super::Health;
use crate::limits::TROUBLES_TOLD_MAX;
use crate::observed::{Observed, TopicObserved};
use crate::plan_result::Outcome;
use crate::status::pod_failures::{Kind, PodFailure};
use crate::validate::{DatabaseServer, Invalid, KafkaServer, RedisServer, Validated};

/// What the conditions are made from.
pub struct Evidence<'a> {
    pub valid: &'a Result<Validated, Invalid>,
    pub seen: &'a Observed,
    pub outcome: &'a Outcome,
    /// Absent when nothing was planned.
    pub health: Option<&'a Health>,
    /// The cluster was complete at some time.
    pub was_complete: bool,
    pub status: &'a PokerClusterStatus,
}

/// What a condition says, without type and times.
struct Say {
    status: &'static str,
    reason: String,
    message: String,
}

fn say(status: bool, reason: &str, message: impl Into<String>) -> Say {
    Say {
        status: if status { "True" } else { "False" },
        reason: reason.to_owned(),
        message: message.into(),
    }
}

/// What Degraded and Stalled say while they are false.
const NOTHING_WRONG: &str = "nothing is wrong";

fn as_expected(message: &str) -> Say {
    say(false, reasons::AS_EXPECTED, message)
}

/// All conditions, in a fixed order.
pub fn all(evidence: &Evidence) -> Vec<Condition> {
    let mut conditions: Vec<Condition> = evidence.status.conditions.clone();
    let progressing = evidence.progressing();
    let reconciling = Say {
        status: progressing.status,
        reason: progressing.reason.clone(),
        message: progressing.message.clone(),
    };
    let says = [
        (types::READY, evidence.ready()),
        (types::PROGRESSING, Some(progressing)),
        (types::DEGRADED, Some(evidence.degraded())),
        (types::RECONCILING, Some(evidence.reconciling(reconciling))),
        (types::STALLED, Some(evidence.stalled())),
    ];
    for (type_, say) in says {
        if let Some(say) = say {
            set(
                &mut conditions,
                type_,
                say,
                &evidence.seen.cluster,
                evidence.seen.now,
            );
        }
    }
    conditions
}

/// The conditions of a cluster that could not be observed: as they were, and that.
pub fn observe_failed(cluster: &PokerCluster, why: &str, now: Timestamp) -> Vec<Condition> {
    let mut conditions = cluster.status.clone().unwrap_or_default().conditions;
    let message = format!("{why}; until then nothing is changed, what runs goes on running");
    if !conditions.iter().any(|c| c.type_ == types::READY) {
        let say = say(false, reasons::CANNOT_OBSERVE, message.clone());
        set(&mut conditions, types::READY, say, cluster, now);
    }
    let say = say(true, reasons::CANNOT_OBSERVE, message);
    set(&mut conditions, types::DEGRADED, say, cluster, now);
    conditions
}

/// Sets a condition; its transition time changes only with its status.
fn set(conditions: &mut Vec<Condition>, type_: &str, say: Say, cluster: &PokerCluster, now: Timestamp) {
    let now = Time(now);
    let old = conditions.iter().position(|c| c.type_ == type_);
    let unchanged = old.map(|i| &conditions[i]).filter(|c| c.status == say.status);
    let condition = Condition {
        type_: type_.to_owned(),
        status: say.status.to_owned(),
        reason: say.reason,
        message: say.message,
        observed_generation: cluster.metadata.generation,
        last_transition_time: unchanged.map_or(now, |c| c.last_transition_time.clone()),
    };
    match old {
        Some(i) => conditions[i] = condition,
        None => conditions.push(condition),
    }
}

impl Evidence<'_> {
    /// `None` keeps what was said.
    fn ready(&self) -> Option<Say> {
        if let Err(invalid) = self.valid {
            // Who waits for Ready waits for the spec as it stands.
            return Some(Say {
                status: "False",
                ..self.not_followed(invalid)
            });
        }
        let Some(health) = self.health else {
            let known = self.status.conditions.iter().any(|c| c.type_ == types::READY);
            return (!known).then(|| self.not_started());
        };
        if self.outcome.applied.is_err() && !self.was_complete {
            return Some(self.not_started());
        }
        let Health {
            gateways_ready,
            gateways_desired,
            shards_ready,
            shards_active,
            ..
        } = health;
        let counts = format!(
            "{gateways_ready} of {gateways_desired} gateways and {shards_ready} of {shards_active} shards are ready"
        );
        // Until it was complete once, "ready" means all of it; later, that people can estimate.
        let enough = if self.was_complete {
            *gateways_ready > 0 && *shards_ready > 0
        } else {
            gateways_ready >= gateways_desired
                && shards_ready >= shards_active
                && health.shards_active >= health.shards_desired
        };
        if enough && health.redis_ready {
            return Some(say(true, reasons::READY, "people can estimate"));
        }
        if let Some(trouble) = self.trouble(|component| match component {
            Component::Redis => !health.redis_ready,
            Component::Gateway => gateways_ready < gateways_desired,
            Component::Shard => shards_ready < shards_active,
            _ => false,
        }) {
            let message = format!("{}; {counts}", trouble.message);
            return Some(Say {
                status: "False",
                message,
                ..trouble
            });
        }
        Some(if !health.redis_ready && self.was_complete {
            say(
                false,
                reasons::SERVERS_UNAVAILABLE,
                "Redis does not answer: votes wait until it does; see its pod's events and logs",
            )
        } else if !health.redis_ready {
            say(
                false,
                reasons::SERVERS_UNAVAILABLE,
                format!("Redis has not started yet; {counts}"),
            )
        } else if *gateways_ready < 1 || !self.was_complete && gateways_ready < gateways_desired {
            say(false, reasons::GATEWAYS_UNAVAILABLE, counts)
        } else {
            say(false, reasons::SHARDS_UNAVAILABLE, counts)
        })
    }

    /// What keeps containers of these components from running.
    fn trouble(&self, concerned: impl Fn(&Component) -> bool) -> Option<Say> {
        // Whoever waits for a server of ours that does not serve yet says nothing new.
        let servers_serve = self.health.is_none_or(|health| health.servers_down.is_empty());
        let troubles = self.seen.pod_failures.iter();
        let found: Vec<_> = troubles
            .filter(|trouble| trouble.kind != Kind::NotReady || servers_serve)
            .filter(|trouble| trouble.components.iter().any(&concerned))
            .take(TROUBLES_TOLD_MAX)
            .collect();
        let sentence = |trouble: &&PodFailure| trouble.sentence() + &self.addresses(trouble);
        let sentences: Vec<_> = found.iter().map(sentence).collect();
        let mut message = sentences.join("; ");
        if self.was_complete {
            message.push_str("; reverting the spec is safe");
        }
        Some(say(true, found.first()?.kind.reason(), message))
    }

    /// Where the addresses of your own servers stand that a component may wait for.
    fn addresses(&self, trouble: &PodFailure) -> String {
        let (Kind::NotReady, Ok(valid)) = (trouble.kind, self.valid) else {
            return String::new();
        };
        let key = |reference: &SecretKeyRef| {
            let SecretKeyRef { name, key } = reference;
            format!("key {key} of Secret {name}")
        };
        let (shards, workers) = (Component::Shard, Component::Worker);
        let waits = |component: Component| trouble.components.contains(&component);
        let mut places = Vec::new();
        if let (RedisServer::External(url), true) = (&valid.servers.redis, waits(shards)) {
            places.push(key(url));
        }
        if let (DatabaseServer::External(url), true) = (&valid.servers.database, waits(workers)) {
            places.push(key(url));
        }
        if let (KafkaServer::External(_), true) = (&valid.servers.kafka, waits(workers)) {
            places.push("spec.kafka.external.bootstrapServers".to_owned());
        }
        match places.is_empty() {
            true => String::new(),
            false => format!("; check the address in {}", places.join(" and in ")),
        }
    }

    fn not_started(&self) -> Say {
        match &self.outcome.applied {
            Err(failure) => say(false, failure.reason, failure.message.clone()),
            Ok(_) => say(false, reasons::STARTING, "nothing was started yet"),
        }
    }

    fn progressing(&self) -> Say {
        if self.valid.is_err() {
            return as_expected("waiting for a change of the spec, or of what it refers to");
        }
        if let Err(failure) = &self.outcome.applied {
            return say(true, failure.reason, format!("{}; trying again", failure.message));
        }
        let Some(health) = self.health else {
            return as_expected("nothing to do");
        };
        if self.outcome.summary.as_ref().is_some_and(|f| f.paused) {
            return say(
                false,
                reasons::PAUSED,
                "spec.paused is true: nothing is changed until it is false",
            );
        }
        let Health {
            shards_updated,
            shards_active,
            shards_desired,
            ..
        } = health;
        let is_old = *shards_updated < *shards_active || !health.gateways_updated;
        if is_old {
            let gateways = if health.gateways_updated {
                "gateways are replaced"
            } else {
                "gateways are being replaced"
            };
            return say(
                true,
                reasons::ROLLING_OUT,
                format!("{shards_updated} of {shards_desired} shards are replaced, {gateways}"),
            );
        }
        if shards_active != shards_desired {
            return say(
                true,
                reasons::SCALING,
                format!("{shards_active} of {shards_desired} shards have teams"),
            );
        }
        if let Some(first) = self.status.draining.first() {
            let more = self.status.draining.len() - 1;
            let others = if more > 0 {
                format!(" and {more} more hand")
            } else {
                " hands".to_owned()
            };
            return say(
                true,
                reasons::DRAINING,
                format!("{}{others} over before being deleted", first.deployment),
            );
        }
        if !self.was_complete && !health.is_complete() {
            return say(true, reasons::STARTING, "gateways and shards are starting");
        }
        let outdated = &health.servers_outdated;
        if outdated.is_empty() {
            return as_expected("everything is as the spec says");
        }
        let pods = outdated.join(" and ");
        say(
            false,
            reasons::AS_EXPECTED,
            format!(
                "everything is as the spec says but {pods}: deleting the pod gives it its new settings, and an empty server"
            ),
        )
    }

    fn reconciling(&self, progressing: Say) -> Say {
        let waits = self.valid.is_ok() && self.health.is_some_and(|h| !h.is_complete());
        match progressing.status {
            "False" if waits && progressing.reason == reasons::AS_EXPECTED => {
                say(true, reasons::STARTING, "waiting for pods to become ready")
            }
            _ => progressing,
        }
    }

    fn degraded(&self) -> Say {
        if let Err(failure) = &self.outcome.applied {
            return say(true, failure.reason, failure.message.clone());
        }
        if let Err(invalid) = self.valid {
            return self.not_followed(invalid);
        }
        let Some(health) = self.health else {
            return self.stale_caches().unwrap_or_else(|| as_expected(NOTHING_WRONG));
        };
        if let Some(trouble) = self.trouble(|_| true) {
            return trouble;
        }
        if let Some(stuck) = health.stuck.first() {
            let text = format!(
                "Deployment {stuck} makes no progress: see its pods' events; correcting or reverting the spec is safe"
            );
            return say(true, reasons::ROLLING_OUT, text);
        }
        if !self.was_complete {
            let hampered = self.stale_caches().or_else(|| self.metrics_error());
            return hampered.unwrap_or_else(|| as_expected(NOTHING_WRONG));
        }
        let mut missing = Vec::new();
        let mut note = |ready: i32, desired: i32, before: Option<i32>, what: &str, reason: &'static str| {
            if ready < desired && self.is_less(ready, before) {
                missing.push((reason, format!("{ready} of {desired} {what} are ready")));
            }
        };
        let before = self.seen.cluster.status.as_ref();
        let gateways = before.and_then(|status| Some(status.gateway.as_ref()?.ready));
        let shards = before.and_then(|status| Some(status.shards.as_ref()?.ready));
        let workers = before.and_then(|status| Some(status.worker.as_ref()?.ready));
        let Health {
            gateways_ready,
            gateways_desired,
            shards_ready,
            shards_active,
            workers_ready,
            workers_desired,
            ..
        } = *health;
        let of_gateways = reasons::GATEWAYS_UNAVAILABLE;
        note(
            gateways_ready,
            gateways_desired,
            gateways,
            "gateways",
            of_gateways,
        );
        note(
            shards_ready,
            shards_active,
            shards,
            "shards",
            reasons::SHARDS_UNAVAILABLE,
        );
        note(
            workers_ready,
            workers_desired,
            workers,
            "workers",
            reasons::SERVERS_UNAVAILABLE,
        );
        let silent = |server| (reasons::SERVERS_UNAVAILABLE, format!("{server} does not answer"));
        missing.extend(health.servers_down.iter().map(silent));
        if let Some((reason, _)) = missing.first() {
            let sentences: Vec<_> = missing.iter().map(|(_, sentence)| &**sentence).collect();
            say(true, reason, sentences.join(", "))
        } else if let Some(hampered) = self.stale_caches().or_else(|| self.metrics_error()) {
            hampered
        } else if let TopicObserved::Unknown { why: Some(why) } = &self.seen.topic {
            say(
                true,
                reasons::TOPIC_UNAVAILABLE,
                format!("Kafka cannot be asked for the topic ({why}): history waits, estimation goes on"),
            )
        } else if let Some(differs) = self.replication_differs() {
            differs
        } else {
            as_expected(NOTHING_WRONG)
        }
    }

    /// Whether some that were ready are not. Those that are added start: who keeps them from it is told elsewhere.
    fn is_less(&self, ready: i32, before: Option<i32>) -> bool {
        let mut conditions = self.status.conditions.iter();
        let told = conditions.any(|c| c.type_ == types::DEGRADED && c.status == "True");
        told || before.is_none_or(|before| ready < before)
    }

    /// Where replicas lie is for whoever runs the brokers to say.
    fn replication_differs(&self) -> Option<Say> {
        let TopicObserved::Present {
            replication_factor, ..
        } = self.seen.topic
        else {
            return None;
        };
        let wanted = self.seen.cluster.spec.kafka.topic.replication_factor;
        let message = format!(
            "the topic has {replication_factor} replicas of each partition, kafka.topic.replicationFactor says {wanted}: reassign its replicas in Kafka, or correct the spec"
        );
        (replication_factor < wanted).then(|| say(true, reasons::TOPIC_REPLICATION_DIFFERS, message))
    }

    /// A spec that cannot be carried out stops nothing that runs.
    fn not_followed(&self, invalid: &Invalid) -> Say {
        let consequence = if self.health.is_some() {
            "what ran before goes on running, and nothing else is changed"
        } else {
            "nothing was started"
        };
        say(
            true,
            invalid.reason,
            format!("{}; {consequence}", invalid.message),
        )
    }

    fn stale_caches(&self) -> Option<Say> {
        let why = self.seen.stale_caches.as_ref()?;
        Some(say(
            true,
            reasons::CANNOT_OBSERVE,
            format!("{why}; until then the operator goes by what it last saw"),
        ))
    }

    fn metrics_error(&self) -> Option<Say> {
        let why = self.seen.metrics_error.as_ref()?;
        Some(say(
            true,
            reasons::METRICS_UNAVAILABLE,
            format!("{why}; until then no metric scales anything, all else goes on"),
        ))
    }

    fn stalled(&self) -> Say {
        if let Err(invalid) = self.valid {
            return say(true, invalid.reason, invalid.message.clone());
        }
        let Some(stuck) = self.health.and_then(|h| h.stuck.first()) else {
            return as_expected(NOTHING_WRONG);
        };
        self.trouble(|_| true).unwrap_or_else(|| {
            let advice = "see its pods' events, then correct or revert the spec";
            say(
                true,
                reasons::ROLLING_OUT,
                format!("Deployment {stuck} makes no progress: {advice}"),
            )
        })
    }
}
