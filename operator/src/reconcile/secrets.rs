//! Reads Secrets one by one. Their values are never cached, and decisions use only fingerprints of them.

use super::{context::Context, memory::ClusterMemory};
use crate::{cluster_key::ClusterKey, error::Error};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use poker_operator_api::{PokerCluster, common::SecretKeyRef};
use poker_operator_core::{
    hash::fingerprint,
    observed::{LiveChildren, SecretKeys},
    validate::referenced,
};
use std::collections::BTreeMap;

/// Keys of the Secrets that the spec refers to and of those the operator made. The latter are read again only when they
/// changed.
///
/// # Errors
/// When a Secret could not be read.
pub async fn secret_keys(
    ctx: &Context,
    memory: &mut ClusterMemory,
    cluster: &PokerCluster,
    key: &ClusterKey,
    live: &LiveChildren,
) -> Result<BTreeMap<String, SecretKeys>, Error> {
    let mut keys = BTreeMap::new();
    for secret in &live.secrets {
        let (name, version) = (secret.name_any(), secret.resource_version().unwrap_or_default());
        if let Some(known) = memory.secret_keys(&name, &version) {
            keys.insert(name, known.clone());
        } else if let Some(secret) = read_secret(ctx, &key.namespace, &name).await? {
            let found = keys_of(&secret);
            let version = secret.resource_version().unwrap_or_default();
            memory.record_secret_keys(&name, version, found.clone());
            keys.insert(name, found);
        }
    }
    for (_, SecretKeyRef { name, .. }) in referenced(&cluster.spec) {
        if !keys.contains_key(name)
            && let Some(secret) = read_secret(ctx, &key.namespace, name).await?
        {
            keys.insert(name.clone(), keys_of(&secret));
        }
    }
    Ok(keys)
}

pub async fn read_secret(ctx: &Context, namespace: &str, name: &str) -> Result<Option<Secret>, Error> {
    ctx.api::<Secret>(namespace)
        .get_opt(name)
        .await
        .map_err(Error::api(format!("read Secret {name}")))
}

/// The keys of a Secret with fingerprints of their values.
pub fn keys_of(secret: &Secret) -> SecretKeys {
    let data = secret.data.iter().flatten();
    data.map(|(key, value)| (key.clone(), fingerprint(&value.0)))
        .collect()
}
