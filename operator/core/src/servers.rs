//! The servers of a cluster: managed by the operator or external.

use poker_operator_api::common::SecretKeyRef;
use poker_operator_api::servers::{ManagedDatabase, ManagedKafka, ManagedRedis};
use poker_operator_api::{ClusterNames, PokerClusterSpec};

use crate::topic;

/// The servers of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    pub redis: RedisServer,
    pub kafka: KafkaServer,
    pub database: DatabaseServer,
    /// The name of the topic.
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
    /// Bootstrap servers as `host:port`.
    External(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseServer {
    Managed(ManagedDatabase),
    External(SecretKeyRef),
    None,
}

impl Servers {
    pub(crate) fn of(spec: &PokerClusterSpec, names: &ClusterNames) -> Self {
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
        Self {
            redis,
            kafka,
            database,
            topic: topic::name(names, &spec.kafka.topic),
        }
    }
}
