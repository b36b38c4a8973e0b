//! Hashes of the credentials that pods read from referenced Secrets.

use poker_operator_api::common::SecretKeyRef;

use crate::hash::fingerprint;
use crate::observed::Observed;

/// Hashes of 8 hex digits. The Secret that the operator creates never changes. The salt is the namespace and name of the
/// cluster, so that equal credentials of two clusters have different hashes, and a cluster that is created again has those
/// of the former one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    pub redis: Option<String>,
    pub database: Option<String>,
}

impl Credentials {
    pub fn of(observed: &Observed) -> Self {
        let (redis, database) = values(observed);
        let cluster = &observed.cluster.metadata;
        let salt = format!(
            "{}/{}",
            cluster.namespace.as_deref().unwrap_or_default(),
            cluster.name.as_deref().unwrap_or_default()
        );
        Self {
            redis: redis.map(|value| hash(&salt, value)),
            database: database.map(|value| hash(&salt, value)),
        }
    }
}

/// One hash of all credentials, which the annotation of every pod contained before each component had its own. Its salt is
/// the UID of the cluster.
pub fn combined(observed: &Observed) -> Option<String> {
    let (redis, database) = values(observed);
    let redis = redis.map(|value| ("redis.external.urlSecretRef", value));
    let database = database.map(|value| ("database.external.urlSecretRef", value));
    let read: Vec<_> = redis.into_iter().chain(database).collect();
    (!read.is_empty()).then(|| hash(observed.uid(), &format!("{read:?}")))
}

fn values(observed: &Observed) -> (Option<&String>, Option<&String>) {
    let spec = &observed.cluster.spec;
    let value = |key: &SecretKeyRef| observed.secrets.get(&key.name)?.get(&key.key);
    let redis = spec.redis.external.as_ref();
    let database = spec.database.external.as_ref();
    (
        redis.and_then(|server| value(&server.url_secret_ref)),
        database.and_then(|server| value(&server.url_secret_ref)),
    )
}

fn hash(salt: &str, value: &str) -> String {
    let salted = format!("{salt} {value}");
    fingerprint(salted.as_bytes())[..8].to_owned()
}
