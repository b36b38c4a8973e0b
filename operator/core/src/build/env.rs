//! Environment variables with the settings of the app.

use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, SecretKeySelector};
use poker_operator_api::Component;

use super::meta::Context;
use super::secrets::URL_KEY;
use crate::limits::{GATEWAY_CLOSE_WINDOW_SECONDS, PORT_ADMIN, PORT_HTTP, PORT_KAFKA, PORT_LINK, PORT_REDIS};
use crate::servers::{DatabaseServer, KafkaServer, RedisServer};

pub fn plain(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(value.into()),
        ..EnvVar::default()
    }
}

pub fn secret(name: &str, secret: &str, key: &str) -> EnvVar {
    let selector = SecretKeySelector {
        name: secret.to_owned(),
        key: key.to_owned(),
        optional: None,
    };
    from(
        name,
        EnvVarSource {
            secret_key_ref: Some(selector),
            ..EnvVarSource::default()
        },
    )
}

/// A field of the pod (downward API).
fn field(name: &str, path: &str) -> EnvVar {
    let field = ObjectFieldSelector {
        field_path: path.to_owned(),
        ..ObjectFieldSelector::default()
    };
    from(
        name,
        EnvVarSource {
            field_ref: Some(field),
            ..EnvVarSource::default()
        },
    )
}

fn from(name: &str, source: EnvVarSource) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value_from: Some(source),
        ..EnvVar::default()
    }
}

/// The variables of all roles of the app.
fn common(context: &Context, revision: &str) -> Vec<EnvVar> {
    vec![
        plain("POKER_NAMESPACE", &context.names.namespace),
        plain("POKER_CLUSTER", &context.names.cluster),
        plain("POKER_REVISION", revision),
        field("POKER_POD", "metadata.name"),
        plain("POKER_LOG", "json"),
        plain("POKER_ADMIN_LISTEN", format!("0.0.0.0:{PORT_ADMIN}")),
    ]
}

fn routes(context: &Context) -> EnvVar {
    plain("POKER_ROUTES", format!("configmap:{}", context.names.routes()))
}

fn database(context: &Context) -> Option<EnvVar> {
    match &context.servers.database {
        DatabaseServer::Managed(_) => {
            let name = context.names.component(Component::Database);
            Some(secret("POKER_DATABASE_URL", &name, URL_KEY))
        }
        DatabaseServer::External(key) => Some(secret("POKER_DATABASE_URL", &key.name, &key.key)),
        DatabaseServer::None => None,
    }
}

fn redis(context: &Context) -> EnvVar {
    match &context.servers.redis {
        RedisServer::Managed(_) => {
            let host = context.names.host(&context.names.component(Component::Redis));
            plain("POKER_REDIS_URL", format!("redis://{host}:{PORT_REDIS}"))
        }
        RedisServer::External(key) => secret("POKER_REDIS_URL", &key.name, &key.key),
    }
}

fn kafka(context: &Context) -> [EnvVar; 2] {
    let brokers = match &context.servers.kafka {
        KafkaServer::Managed(_) => {
            let host = context.names.host(&context.names.component(Component::Kafka));
            format!("{host}:{PORT_KAFKA}")
        }
        KafkaServer::External(servers) => servers.join(","),
    };
    [
        plain("POKER_KAFKA_BROKERS", brokers),
        plain("POKER_KAFKA_TOPIC", &context.servers.topic),
    ]
}

pub fn gateway(context: &Context, revision: &str) -> Vec<EnvVar> {
    let mut env = common(context, revision);
    env.push(plain("POKER_LISTEN", format!("0.0.0.0:{PORT_HTTP}")));
    env.push(routes(context));
    env.push(plain(
        "POKER_DRAIN_WINDOW_SECONDS",
        GATEWAY_CLOSE_WINDOW_SECONDS.to_string(),
    ));
    env.extend(database(context));
    env
}

pub fn shard(context: &Context, id: u32, revision: &str) -> Vec<EnvVar> {
    let mut env = common(context, revision);
    env.push(plain("POKER_LISTEN", format!("0.0.0.0:{PORT_LINK}")));
    env.extend(of_shard(context, id, revision));
    env.push(routes(context));
    env.push(redis(context));
    env.push(plain("POKER_REDIS_PREFIX", context.names.redis_prefix()));
    env.extend(kafka(context));
    env
}

/// The variables that differ between the shards of a revision.
pub fn of_shard(context: &Context, id: u32, revision: &str) -> [EnvVar; 2] {
    let address = crate::membership::shards::address(context.names, id, revision);
    [
        plain("POKER_SHARD", id.to_string()),
        plain("POKER_ADVERTISE", address),
    ]
}

pub fn worker(context: &Context, revision: &str) -> Vec<EnvVar> {
    let mut env = common(context, revision);
    env.extend(kafka(context));
    env.push(plain("POKER_KAFKA_GROUP", context.names.kafka_group()));
    env.extend(database(context));
    env
}
