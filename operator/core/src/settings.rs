//! Hashes of the settings that the pods of each component read. They are hashes of inputs, not of rendered objects: an
//! operator that renders a pod differently replaces no pods.

use std::collections::BTreeMap;

use poker_operator_api::Component;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::build::Context;
use crate::hash::hex;
use crate::servers::{DatabaseServer, KafkaServer, RedisServer};

/// A named input, as JSON. An absent input is left out, so that a new kind of input does not change existing hashes.
type Input = (&'static str, Option<String>);

/// The hash of each component's settings: 8 hex digits. `restarted_at` is the annotation of the cluster.
pub fn settings(context: &Context, restarted_at: Option<&String>) -> BTreeMap<Component, String> {
    let spec = context.spec;
    let hash = |component: Component, inputs: &[Input]| hash(component, context, inputs, restarted_at);
    let gateway = [resources(&spec.gateway.resources), database(context)];
    let shard = [resources(&spec.shards.resources), redis(context), kafka(context)];
    let worker = [
        resources(&spec.worker.resources),
        kafka(context),
        database(context),
    ];
    let mut hashes = BTreeMap::from([
        (Component::Gateway, hash(Component::Gateway, &gateway)),
        (Component::Shard, hash(Component::Shard, &shard)),
    ]);
    if context.servers.database != DatabaseServer::None {
        hashes.insert(Component::Worker, hash(Component::Worker, &worker));
    }
    hashes
}

/// An id for a revision with these settings. `attempt`: how many ids of them are taken.
pub fn revision_id(settings: &BTreeMap<Component, String>, attempt: u32) -> String {
    match attempt {
        0 => short_hash(&json(settings)),
        attempt => short_hash(&json(&(settings, attempt))),
    }
}

fn hash(component: Component, context: &Context, inputs: &[Input], restarted_at: Option<&String>) -> String {
    let image = &context.spec.image;
    let pull_secrets = (!image.pull_secrets.is_empty()).then(|| json(&image.pull_secrets));
    let common = [
        ("component", Some(component.as_str().to_owned())),
        ("repository", Some(image.repository.clone())),
        ("version", Some(context.spec.version.clone())),
        ("pullPolicy", Some(image.pull_policy.as_str().to_owned())),
        ("pullSecrets", pull_secrets),
    ];
    let restart = [("restartedAt", restarted_at.cloned())];
    let inputs = common.iter().chain(inputs).chain(&restart);
    let present: Vec<_> = inputs
        .filter_map(|(name, value)| Some((name, value.as_ref()?)))
        .collect();
    short_hash(&json(&present))
}

fn resources(resources: &impl Serialize) -> Input {
    ("resources", Some(json(resources)))
}

fn redis(context: &Context) -> Input {
    let external = match &context.servers.redis {
        RedisServer::Managed(_) => None,
        RedisServer::External(key) => Some(json(&(key, &context.credentials.redis))),
    };
    ("redis", external)
}

fn kafka(context: &Context) -> Input {
    let external = match &context.servers.kafka {
        KafkaServer::Managed(_) => None,
        KafkaServer::External(servers) => Some(servers),
    };
    ("kafka", Some(json(&(external, &context.servers.topic))))
}

fn database(context: &Context) -> Input {
    let external = match &context.servers.database {
        DatabaseServer::Managed(_) => None,
        DatabaseServer::External(key) => Some(json(&(key, &context.credentials.database))),
        DatabaseServer::None => Some("none".to_owned()),
    };
    ("database", external)
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default() // plain values: cannot fail
}

fn short_hash(text: &str) -> String {
    hex(&Sha256::digest(text)[..4])
}
