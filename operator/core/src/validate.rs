//! Validates what the schema cannot: quantities, references, names and the topic.

use std::collections::BTreeSet;

use poker_operator_api::common::SecretKeyRef;
use poker_operator_api::conditions::reasons;
use poker_operator_api::prometheus::Prometheus;
use poker_operator_api::{Autoscaling, ClusterNames, Component, PokerClusterSpec, Quantity};

use crate::build::{Context, PASSWORD_KEY, URL_KEY};
use crate::credentials::Credentials;
use crate::limits::REDIS_MEMORY_BYTES_MIN;
use crate::observed::{Observed, TopicObserved};
use crate::revisions::Revisions;
use crate::scale;
use crate::servers::{DatabaseServer, KafkaServer, Servers};

/// A valid spec.
#[derive(Clone, Debug)]
pub struct Validated {
    pub names: ClusterNames,
    pub uid: String,
    pub generation: i64,
    pub spec: PokerClusterSpec,
    pub servers: Servers,
    pub credentials: Credentials,
    pub revisions: Revisions,
    /// Whether the spec is the last valid one, because the current one is not valid.
    pub is_last_valid: bool,
}

/// Why a spec is invalid. The operator waits for a change of the spec or of an object it refers to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    pub reason: &'static str,
    /// The field, the cause and the remedy.
    pub message: String,
}

fn invalid(message: impl Into<String>) -> Invalid {
    Invalid {
        reason: reasons::INVALID_SPEC,
        message: message.into(),
    }
}

/// Validates a spec against the observed state.
///
/// # Errors
/// The first problem, the most fundamental ones first.
pub fn validate(observed: &Observed) -> Result<Validated, Invalid> {
    let spec = &observed.cluster.spec;
    let names = observed.names();
    let servers = Servers::of(spec, &names);
    quantities(spec)?;
    autoscaling(spec)?;
    bootstrap_servers(&servers)?;
    secrets(observed, &servers)?;
    topic_fits(observed)?;
    let credentials = Credentials::of(observed);
    let context = Context {
        credentials: &credentials,
        names: &names,
        uid: observed.uid(),
        spec,
        servers: &servers,
    };
    let revisions = Revisions::resolve(observed, &context);
    Ok(Validated {
        uid: observed.uid().to_owned(),
        generation: observed.cluster.metadata.generation.unwrap_or_default(),
        spec: spec.clone(),
        names,
        servers,
        credentials,
        revisions,
        is_last_valid: false,
    })
}

/// The last valid spec with its stored revision, to operate while the current spec is not valid. `None` if nothing was
/// started, or if the revision is not stored.
pub fn last_valid(observed: &Observed) -> Option<Validated> {
    let status = observed.cluster.status.as_ref()?;
    let mut spec: PokerClusterSpec = serde_json::from_value(status.last_valid_spec.clone()?).ok()?;
    spec.paused = observed.cluster.spec.paused;
    let names = observed.names();
    let revision = &status.rollout.as_ref()?.revision;
    Some(Validated {
        uid: observed.uid().to_owned(),
        generation: observed.cluster.metadata.generation.unwrap_or_default(),
        servers: Servers::of(&spec, &names),
        credentials: Credentials::default(),
        revisions: Revisions::stored(observed, &names, revision)?,
        names,
        spec,
        is_last_valid: true,
    })
}

impl Validated {
    /// The inputs of the builders.
    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            credentials: &self.credentials,
            names: &self.names,
            uid: &self.uid,
            spec: &self.spec,
            servers: &self.servers,
        }
    }
}

fn quantities(spec: &PokerClusterSpec) -> Result<(), Invalid> {
    let managed = spec.redis.managed.clone().unwrap_or_default();
    let sets = [
        ("gateway", &spec.gateway.resources),
        ("shards", &spec.shards.resources),
        ("worker", &spec.worker.resources),
        ("redis.managed", &managed.resources),
    ];
    for (part, resources) in sets {
        for (name, quantity) in resources.requests.iter().chain(&resources.limits) {
            if quantity.milli().is_none() {
                return Err(invalid(format!(
                    "{part}.resources: {name} is {quantity}, which is not a quantity: use a value such as 500m or 256Mi"
                )));
            }
        }
        for (name, request) in &resources.requests {
            let limit = resources.limits.get(name);
            if limit.is_some_and(|l| l.milli() < request.milli()) {
                return Err(invalid(format!(
                    "{part}.resources: the limit of {name} is less than its request of {request}: raise the limit or lower the request"
                )));
            }
        }
    }
    let memory: &Quantity = &managed.memory;
    if memory.ceil().is_none_or(|bytes| bytes < REDIS_MEMORY_BYTES_MIN) {
        return Err(invalid(format!(
            "redis.managed.memory is {memory}: set it to at least 8Mi"
        )));
    }
    Ok(())
}

fn autoscaling(spec: &PokerClusterSpec) -> Result<(), Invalid> {
    let blocks = [
        ("gateway", &spec.gateway.autoscaling),
        ("shards", &spec.shards.autoscaling),
    ];
    for (part, block) in blocks {
        let Some(block) = block else { continue };
        if spec.prometheus.is_none() {
            return Err(invalid(format!(
                "{part}.autoscaling requires metrics: set prometheus.url or remove {part}.autoscaling"
            )));
        }
        autoscaling_block(block).map_err(|message| invalid(format!("{part}.autoscaling.{message}")))?;
    }
    Ok(())
}

/// Validates what the schema cannot in an `autoscaling` block.
///
/// # Errors
/// The field, the cause and the remedy.
pub fn autoscaling_block(block: &Autoscaling) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for metric in &block.metrics {
        let name = metric.name();
        if !names.insert(name) {
            return Err(format!(
                "metrics: {name} is used twice: give each metric its own name"
            ));
        }
        let targets = [&metric.target.average_value, &metric.target.value];
        let mut given = targets.into_iter().flatten();
        if !given.clone().any(|t| t.milli().is_some_and(|milli| milli > 0))
            || given.any(|t| t.milli().is_none())
        {
            return Err(format!(
                "metrics: the target of {name} must be greater than 0, e.g. \"50\""
            ));
        }
    }
    for schedule in &block.schedules {
        scale::check_schedule(schedule).map_err(|error| format!("schedules: {}: {error}", schedule.name))?;
    }
    Ok(())
}

fn bootstrap_servers(servers: &Servers) -> Result<(), Invalid> {
    match &servers.kafka {
        KafkaServer::External(brokers) if brokers.is_empty() => Err(invalid(
            "kafka.external.bootstrapServers is empty: add at least one host:port, or use kafka.managed",
        )),
        _ => Ok(()),
    }
}

/// The Secrets that the spec refers to, each with its field.
pub fn referenced(spec: &PokerClusterSpec) -> impl Iterator<Item = (&'static str, &SecretKeyRef)> {
    let redis = spec.redis.external.as_ref();
    let database = spec.database.external.as_ref();
    let redis = redis.map(|server| ("redis.external.urlSecretRef", &server.url_secret_ref));
    let database = database.map(|server| ("database.external.urlSecretRef", &server.url_secret_ref));
    redis.into_iter().chain(database)
}

/// The names of the Secrets that the operator reads for a spec.
pub fn secret_names(spec: &PokerClusterSpec) -> impl Iterator<Item = &str> {
    let prometheus = spec.prometheus.iter();
    let references = referenced(spec).chain(prometheus.flat_map(Prometheus::secret_refs));
    references.map(|(_, reference)| &*reference.name)
}

fn secrets(observed: &Observed, servers: &Servers) -> Result<(), Invalid> {
    for (field, reference) in referenced(&observed.cluster.spec) {
        let SecretKeyRef { name, key } = reference;
        let keys = observed.secrets.get(name);
        if !keys.is_some_and(|keys| keys.contains_key(key)) {
            return Err(Invalid {
                reason: reasons::SECRET_MISSING,
                message: key_missing(field, "Secret", name, key, keys.is_some()),
            });
        }
    }
    database_secret(observed, servers)
}

/// The message for a missing object of `kind`, or a missing key in it, that `field` refers to.
pub fn key_missing(field: &str, kind: &str, name: &str, key: &str, exists: bool) -> String {
    let problem = if exists {
        format!("has no key {key}")
    } else {
        "does not exist".to_owned()
    };
    format!("{field}: {kind} {name} {problem}: create it with the key {key}, or correct the reference")
}

/// The operator writes the Secret of the managed database only once. So it must be complete, and it must exist as long as
/// the database does.
fn database_secret(observed: &Observed, servers: &Servers) -> Result<(), Invalid> {
    if !matches!(servers.database, DatabaseServer::Managed(_)) {
        return Ok(());
    }
    let name = observed.names().component(Component::Database);
    let runs = || {
        let mut sets = observed.live.stateful_sets.iter();
        sets.any(|set| set.metadata.name.as_ref() == Some(&name))
    };
    let problem = match observed.secrets.get(&name) {
        Some(keys) => [URL_KEY, PASSWORD_KEY]
            .into_iter()
            .find(|key| !keys.contains_key(*key))
            .map(|key| format!("no longer has the key {key}")),
        None => runs().then(|| "was deleted, and with it the password of the database".to_owned()),
    };
    match problem {
        None => Ok(()),
        Some(problem) => Err(Invalid {
            reason: reasons::SECRET_MISSING,
            message: format!(
                "Secret {name} {problem}: restore it. To start with an empty database instead, delete the StatefulSet {name} and the Secret, then restart gateways and workers (kubectl rollout restart)"
            ),
        }),
    }
}

fn topic_fits(observed: &Observed) -> Result<(), Invalid> {
    let desired = observed.cluster.spec.kafka.topic.partitions;
    match observed.topic {
        TopicObserved::Present { partitions, .. } if partitions > desired => Err(Invalid {
            reason: reasons::TOPIC_SHRINK_UNSUPPORTED,
            message: format!(
                "the topic has {partitions} partitions, and Kafka cannot remove any: set kafka.topic.partitions to {partitions} or more, or set another kafka.topic.name"
            ),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
