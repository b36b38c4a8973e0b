//! What only the operator can know about a spec: the schema has checked all else.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use poker_operator_api::common::SecretKeyRef;
use poker_operator_api::conditions::reasons;
use poker_operator_api::servers::{ManagedDatabase, ManagedKafka, ManagedRedis};
use poker_operator_api::{Autoscaling, ClusterNames, Component, PokerClusterSpec, Quantity};

use crate::build::{Context, PASSWORD_KEY, URL_KEY};
use crate::children::Children;
use crate::observed::{Observed, TopicObserved, fingerprint};
use crate::revision::revision;
use crate::{scale, topic};

/// The least memory a managed Redis can do with.
const REDIS_MEMORY_BYTES_MIN: i128 = 8 << 20;

/// A spec that can be carried out.
#[derive(Clone, Debug)]
pub struct Validated {
    pub names: ClusterNames,
    pub uid: String,
    pub generation: i64,
    pub spec: PokerClusterSpec,
    pub servers: Servers,
    /// Changes with what the pods read from Secrets of others.
    pub credentials: Option<String>,
    /// Of the pods the spec asks for.
    pub revision: String,
}

/// Where the servers are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    pub redis: RedisServer,
    pub kafka: KafkaServer,
    pub database: DatabaseServer,
    /// The topic's name.
    pub topic: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisServer {
    Managed(ManagedRedis),
    External(SecretKeyRef),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KafkaServer {
    Managed(ManagedKafka),
    /// Brokers as `host:port`.
    External(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseServer {
    Managed(ManagedDatabase),
    External(SecretKeyRef),
    None,
}

/// Why a spec cannot be carried out. It waits for a change of the spec or of what it refers to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    pub reason: &'static str,
    /// What is wrong and what to write instead.
    pub message: String,
}

fn invalid(message: impl Into<String>) -> Invalid {
    Invalid {
        reason: reasons::INVALID,
        message: message.into(),
    }
}

/// Checks a spec against what is there.
///
/// # Errors
/// The first thing that is wrong, most fundamental first.
pub fn validate(seen: &Observed) -> Result<Validated, Invalid> {
    let spec = &seen.cluster.spec;
    let names = seen.names();
    let servers = servers(spec, &names);
    quantities(spec)?;
    autoscaling(spec)?;
    servers_reachable(&servers)?;
    foreign_names(seen, &names)?;
    secrets(seen, &servers)?;
    topic_fits(seen)?;
    let credentials = credentials(seen);
    let revision = revision(&Context {
        credentials: credentials.as_deref(),
        names: &names,
        uid: seen.uid(),
        spec,
        servers: &servers,
    });
    Ok(Validated {
        uid: seen.uid().to_owned(),
        generation: seen.cluster.metadata.generation.unwrap_or_default(),
        spec: spec.clone(),
        names,
        servers,
        credentials,
        revision,
    })
}

impl Validated {
    /// What all builders know.
    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            credentials: self.credentials.as_deref(),
            names: &self.names,
            uid: &self.uid,
            spec: &self.spec,
            servers: &self.servers,
        }
    }
}

fn servers(spec: &PokerClusterSpec, names: &ClusterNames) -> Servers {
    let redis = match &spec.redis.external {
        Some(external) => RedisServer::External(external.url_secret_ref.clone()),
        None => RedisServer::Managed(spec.redis.managed.clone().unwrap_or_default()),
    };
    let kafka = match &spec.kafka.external {
        Some(external) => KafkaServer::External(external.bootstrap_servers.clone()),
        None => KafkaServer::Managed(spec.kafka.managed.clone().unwrap_or_default()),
    };
    let database = match (&spec.database.none, &spec.database.external) {
        (Some(_), _) => DatabaseServer::None,
        (None, Some(external)) => DatabaseServer::External(external.url_secret_ref.clone()),
        (None, None) => DatabaseServer::Managed(spec.database.managed.clone().unwrap_or_default()),
    };
    Servers {
        redis,
        kafka,
        database,
        topic: topic::name(names, &spec.kafka.topic),
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
                    "{part}.resources: {name} is {quantity}, which is no quantity: write for instance 500m or 256Mi"
                )));
            }
        }
        for (name, request) in &resources.requests {
            let limit = resources.limits.get(name);
            if limit.is_some_and(|l| l.milli() < request.milli()) {
                return Err(invalid(format!(
                    "{part}.resources: the limit of {name} is below its request of {request}: raise the limit or lower the request"
                )));
            }
        }
    }
    let memory: &Quantity = &managed.memory;
    if memory.ceil().is_none_or(|bytes| bytes < REDIS_MEMORY_BYTES_MIN) {
        return Err(invalid(format!(
            "redis.managed.memory is {memory}: write at least 8Mi"
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
                "{part}.autoscaling needs metrics: set prometheus.url or remove {part}.autoscaling"
            )));
        }
        autoscaling_block(block).map_err(|message| invalid(format!("{part}.autoscaling.{message}")))?;
    }
    Ok(())
}

/// What no schema says of an `autoscaling` block.
///
/// # Errors
/// The field, what is wrong with it and what to write instead.
pub fn autoscaling_block(block: &Autoscaling) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for metric in &block.metrics {
        let name = metric.name();
        if !names.insert(name) {
            return Err(format!("metrics has {name} twice: give each its own name"));
        }
        let targets = [&metric.target.average_value, &metric.target.value];
        let mut given = targets.into_iter().flatten();
        if !given.clone().any(|t| t.milli().is_some_and(|milli| milli > 0))
            || given.any(|t| t.milli().is_none())
        {
            return Err(format!(
                "metrics: the target of {name} must be above 0, e.g. \"50\""
            ));
        }
    }
    for schedule in &block.schedules {
        scale::check_schedule(schedule).map_err(|error| format!("schedules: {}: {error}", schedule.name))?;
    }
    Ok(())
}

fn servers_reachable(servers: &Servers) -> Result<(), Invalid> {
    match &servers.kafka {
        KafkaServer::External(brokers) if brokers.is_empty() => Err(invalid(
            "kafka.external.bootstrapServers is empty: write at least one host:port, or use kafka.managed",
        )),
        _ => Ok(()),
    }
}

/// Names the operator would use must be free or already ours: nobody else's object is taken over.
fn foreign_names(seen: &Observed, names: &ClusterNames) -> Result<(), Invalid> {
    let Children {
        service_accounts,
        roles,
        role_bindings,
        secrets,
        config_maps,
        services,
        network_policies,
        pod_disruption_budgets,
        ingresses,
        stateful_sets,
        deployments,
        state: _,
    } = &seen.live;
    let component = |c: Component| names.component(c);
    let (app, public) = ([names.app()], [names.public()]);
    let (shard, gateway) = (component(Component::Shard), component(Component::Gateway));
    let servers = [Component::Redis, Component::Kafka, Component::Database].map(component);
    let worker = component(Component::Worker);
    let mut service_names = servers.to_vec();
    service_names.push(names.public());
    let mut policies = servers.to_vec();
    policies.extend([shard.clone(), gateway.clone(), worker.clone()]);
    let checks = [
        foreign(seen, "ServiceAccount", service_accounts, &app),
        foreign(seen, "Role", roles, &app),
        foreign(seen, "RoleBinding", role_bindings, &app),
        foreign(seen, "Secret", secrets, &[component(Component::Database)]),
        foreign(seen, "ConfigMap", config_maps, &[names.routes()]),
        foreign(seen, "Service", services, &service_names),
        foreign(seen, "NetworkPolicy", network_policies, &policies),
        foreign(
            seen,
            "PodDisruptionBudget",
            pod_disruption_budgets,
            &[gateway, shard],
        ),
        foreign(seen, "Ingress", ingresses, &public),
        foreign(seen, "StatefulSet", stateful_sets, &servers),
        foreign(seen, "Deployment", deployments, &[worker]),
    ];
    match checks.into_iter().flatten().next() {
        None => Ok(()),
        Some((kind, name)) => Err(Invalid {
            reason: reasons::FOREIGN_OWNED,
            message: format!(
                "{kind} {name} exists and belongs to somebody else: rename or delete it, or give this PokerCluster another name"
            ),
        }),
    }
}

/// The first object of a kind that has a name of ours, or a revision's, but is not ours.
fn foreign<K: ResourceExt>(
    seen: &Observed,
    kind: &'static str,
    live: &[K],
    names: &[String],
) -> Option<(&'static str, String)> {
    let cluster = seen.names();
    let revised = |name: &str| cluster.parse_shard(name).is_some() || cluster.parse_gateway(name).is_some();
    let has_revisions = matches!(kind, "Deployment" | "Service");
    live.iter()
        .map(|object| object.meta())
        .filter(|meta: &&ObjectMeta| !seen.owns(meta))
        .filter_map(|meta| meta.name.as_deref())
        .find(|name| names.iter().any(|n| n == name) || has_revisions && revised(name))
        .map(|name| (kind, name.to_owned()))
}

/// The Secrets of others that pods read, each with its field.
pub fn referenced(spec: &PokerClusterSpec) -> impl Iterator<Item = (&'static str, &SecretKeyRef)> {
    let redis = spec.redis.external.as_ref();
    let database = spec.database.external.as_ref();
    let redis = redis.map(|server| ("redis.external.urlSecretRef", &server.url_secret_ref));
    let database = database.map(|server| ("database.external.urlSecretRef", &server.url_secret_ref));
    redis.into_iter().chain(database)
}

fn secrets(seen: &Observed, servers: &Servers) -> Result<(), Invalid> {
    for (field, reference) in referenced(&seen.cluster.spec) {
        let keys = seen.secrets.get(&reference.name);
        if !keys.is_some_and(|keys| keys.contains_key(&reference.key)) {
            return Err(Invalid {
                reason: reasons::SECRET_MISSING,
                message: secret_missing(field, reference, keys.is_some()),
            });
        }
    }
    made_secret(seen, servers)
}

/// 8 hex digits that change with what the pods read from Secrets of others. The made one never
/// changes. Salted with the cluster's uid: equal credentials of two clusters do not show.
fn credentials(seen: &Observed) -> Option<String> {
    let read = referenced(&seen.cluster.spec)
        .filter_map(|(field, SecretKeyRef { name, key })| Some((field, seen.secrets.get(name)?.get(key)?)));
    let read: Vec<_> = read.collect();
    let salted = format!("{} {read:?}", seen.uid());
    (!read.is_empty()).then(|| fingerprint(salted.as_bytes())[..8].to_owned())
}

/// What to say when a Secret, or the key in it, that `field` refers to is not there.
pub fn secret_missing(field: &str, SecretKeyRef { name, key }: &SecretKeyRef, exists: bool) -> String {
    let what = if exists {
        format!("has no key {key}")
    } else {
        "does not exist".to_owned()
    };
    format!("{field}: Secret {name} {what}: create it with the key {key}, or correct the reference")
}

/// The database's Secret is never written again, so it must be whole, and there while a database has its password.
fn made_secret(seen: &Observed, servers: &Servers) -> Result<(), Invalid> {
    if !matches!(servers.database, DatabaseServer::Managed(_)) {
        return Ok(());
    }
    let name = seen.names().component(Component::Database);
    let runs = || {
        let mut sets = seen.live.stateful_sets.iter();
        sets.any(|set| set.metadata.name.as_ref() == Some(&name))
    };
    let lost = match seen.secrets.get(&name) {
        Some(keys) => [URL_KEY, PASSWORD_KEY]
            .into_iter()
            .find(|key| !keys.contains_key(*key))
            .map(|key| format!("lost its key {key}")),
        None => runs().then(|| "is gone, and with it the password of the database".to_owned()),
    };
    match lost {
        None => Ok(()),
        Some(what) => Err(Invalid {
            reason: reasons::SECRET_MISSING,
            message: format!(
                "Secret {name} {what}: restore it, or delete the StatefulSet {name} and what is left of the Secret to begin with an empty database, and then restart gateways and worker (kubectl rollout restart)"
            ),
        }),
    }
}

fn topic_fits(seen: &Observed) -> Result<(), Invalid> {
    let wanted = seen.cluster.spec.kafka.topic.partitions;
    match seen.topic {
        TopicObserved::Present { partitions, .. } if partitions > wanted => Err(Invalid {
            reason: reasons::TOPIC_CANNOT_SHRINK,
            message: format!(
                "the topic has {partitions} partitions and cannot lose any: set kafka.topic.partitions to {partitions} or more, or name another topic"
            ),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
