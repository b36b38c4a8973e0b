//! The connection to the Prometheus of a cluster, with the Secrets and the ConfigMap that `spec.prometheus` refers to.

use super::{context::Context, secrets::read_secret};
use crate::{
    error::Error,
    prometheus::connection::{Connection, Credentials},
};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use poker_operator_api::{
    common::{ConfigMapKeyRef, SecretKeyRef},
    prometheus::{
        Prometheus,
        fields::{CA, CA_CONFIG_MAP, CERT, KEY, PASSWORD, TOKEN},
    },
};
use poker_operator_core::validate::key_missing;
use std::collections::BTreeMap;

/// The texts that the spec refers to, by field. The message of one that is missing says what to do.
type Texts = BTreeMap<&'static str, Result<String, String>>;

/// Reads what `spec.prometheus` refers to.
///
/// # Errors
/// When a Secret or ConfigMap could not be read, with the field in the message.
pub async fn read(ctx: &Context, namespace: &str, prometheus: &Prometheus) -> Result<Texts, String> {
    let mut texts = Texts::new();
    // The certificates are often in one Secret.
    let mut secrets: BTreeMap<&str, Option<Secret>> = BTreeMap::new();
    for (field, reference) in prometheus.secret_refs() {
        let secret = match secrets.remove(&*reference.name) {
            Some(secret) => secret,
            None => read_secret(ctx, namespace, &reference.name)
                .await
                .map_err(|error| format!("{field}: {}", error.message()))?,
        };
        texts.insert(field, secret_text(secret.as_ref(), field, reference));
        secrets.insert(&reference.name, secret);
    }
    let tls = prometheus.tls.as_ref();
    if let Some(reference) = tls.and_then(|tls| tls.ca_config_map_ref.as_ref()) {
        let map = ctx.api::<ConfigMap>(namespace).get_opt(&reference.name).await;
        let map = map
            .map_err(Error::api(format!("read ConfigMap {}", reference.name)))
            .map_err(|error| format!("{CA_CONFIG_MAP}: {}", error.message()))?;
        texts.insert(CA_CONFIG_MAP, config_map_text(map, reference));
    }
    Ok(texts)
}

/// The connection, or what to do about a Secret or a key that is missing.
pub fn connection(prometheus: &Prometheus, texts: Texts) -> Result<Connection, String> {
    let texts = texts
        .into_iter()
        .map(|(field, text)| text.map(|text| (field, text)));
    let mut texts = texts.collect::<Result<BTreeMap<_, _>, String>>()?;
    let bearer = texts.remove(TOKEN).map(Credentials::Bearer);
    let basic = prometheus.basic_auth.as_ref().zip(texts.remove(PASSWORD));
    let basic = basic.map(|(basic, password)| Credentials::Basic {
        username: basic.username.clone(),
        password,
    });
    let headers = prometheus.headers.iter();
    let client_certificate = texts.remove(CERT).zip(texts.remove(KEY));
    Ok(Connection {
        url: prometheus.url.clone(),
        credentials: bearer.or(basic),
        headers: headers
            .map(|header| (header.name.clone(), header.value.clone()))
            .collect(),
        ca: texts.remove(CA).or_else(|| texts.remove(CA_CONFIG_MAP)),
        client_certificate: client_certificate.map(|(cert, key)| format!("{cert}\n{key}\n")),
        proxy: prometheus.proxy_url.clone(),
    })
}

fn secret_text(secret: Option<&Secret>, field: &str, reference: &SecretKeyRef) -> Result<String, String> {
    let SecretKeyRef { name, key } = reference;
    let exists = secret.is_some();
    let value = secret.and_then(|secret| secret.data.as_ref()?.get(key));
    let value = value.ok_or_else(|| key_missing(field, "Secret", name, key, exists))?;
    let text = str::from_utf8(&value.0)
        .map_err(|_| format!("{field}: key {key} of Secret {name} is not text: write the bare value"))?;
    // Files that Secrets are created from often end with a line end.
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn config_map_text(map: Option<ConfigMap>, reference: &ConfigMapKeyRef) -> Result<String, String> {
    let ConfigMapKeyRef { name, key } = reference;
    let exists = map.is_some();
    let text = map.and_then(|map| map.data?.remove(key));
    text.ok_or_else(|| key_missing(CA_CONFIG_MAP, "ConfigMap", name, key, exists))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn secret(data: Value) -> Secret {
        serde_json::from_value(json!({ "data": data })).unwrap()
    }

    #[test]
    fn a_missing_token_is_reported_with_what_to_do() {
        let reference = SecretKeyRef {
            name: "monitoring".to_owned(),
            key: "token".to_owned(),
        };
        let table = [
            (Some(secret(json!({"token": "czNjcjN0Cg=="}))), Ok("s3cr3t")),
            (
                None,
                Err(
                    "prometheus.bearerTokenSecretRef: Secret monitoring does not exist: create it with the key token",
                ),
            ),
            (
                Some(secret(json!({"password": "eA=="}))),
                Err("Secret monitoring has no key token"),
            ),
            (
                Some(secret(json!({"token": "/w=="}))),
                Err("key token of Secret monitoring is not text"),
            ),
        ];
        for (secret, expected) in table {
            match (secret_text(secret.as_ref(), TOKEN, &reference), expected) {
                (Ok(token), Ok(expected)) => assert_eq!(token, expected),
                (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
                (token, _) => panic!("{token:?} instead of {expected:?}"),
            }
        }
    }

    /// The connection of a spec to https://p, with a Secret and a ConfigMap `a` that have each key that is named.
    fn connect(mut spec: Value) -> Result<Connection, String> {
        spec["url"] = "https://p".into();
        let prometheus: Prometheus = serde_json::from_value(spec).unwrap();
        let secret =
            secret(json!({"token": "dA==", "password": "cA==", "ca": "Y2E=", "cert": "Yw==", "key": "aw=="}));
        let mut texts: Texts = prometheus
            .secret_refs()
            .map(|(field, reference)| (field, secret_text(Some(&secret), field, reference)))
            .collect();
        let map: ConfigMap = serde_json::from_value(json!({"data": {"ca": "map"}})).unwrap();
        if let Some(reference) = prometheus
            .tls
            .as_ref()
            .and_then(|tls| tls.ca_config_map_ref.as_ref())
        {
            texts.insert(CA_CONFIG_MAP, config_map_text(Some(map), reference));
        }
        connection(&prometheus, texts)
    }

    #[test]
    fn every_field_is_in_the_connection() {
        let reference = |key: &str| json!({"name": "a", "key": key});
        let all = json!({
            "basicAuth": {"username": "ada", "passwordSecretRef": reference("password")},
            "headers": [{"name": "X-Scope-OrgID", "value": "poker"}],
            "proxyUrl": "http://proxy:3128",
            "tls": {
                "caSecretRef": reference("ca"),
                "certSecretRef": reference("cert"),
                "keySecretRef": reference("key"),
            },
        });
        let connection = connect(all).unwrap();
        let expected = Connection {
            url: "https://p".to_owned(),
            credentials: Some(Credentials::Basic {
                username: "ada".to_owned(),
                password: "p".to_owned(),
            }),
            headers: vec![("X-Scope-OrgID".to_owned(), "poker".to_owned())],
            ca: Some("ca".to_owned()),
            client_certificate: Some("c\nk\n".to_owned()),
            proxy: Some("http://proxy:3128".to_owned()),
        };
        assert!(connection == expected);
        let token = connect(json!({"bearerTokenSecretRef": reference("token")})).unwrap();
        assert!(token.credentials == Some(Credentials::Bearer("t".to_owned())));
        let map = connect(json!({"tls": {"caConfigMapRef": reference("ca")}})).unwrap();
        assert_eq!(map.ca.as_deref(), Some("map"));
    }

    #[test]
    fn each_missing_key_is_reported_with_its_field() {
        let missing = json!({"name": "a", "key": "none"});
        let table = [
            (json!({"bearerTokenSecretRef": missing}), TOKEN, "Secret"),
            (
                json!({"basicAuth": {"username": "a", "passwordSecretRef": missing}}),
                PASSWORD,
                "Secret",
            ),
            (json!({"tls": {"caSecretRef": missing}}), CA, "Secret"),
            (
                json!({"tls": {"caConfigMapRef": missing}}),
                CA_CONFIG_MAP,
                "ConfigMap",
            ),
            (json!({"tls": {"certSecretRef": missing}}), CERT, "Secret"),
            (json!({"tls": {"keySecretRef": missing}}), KEY, "Secret"),
        ];
        for (spec, field, kind) in table {
            let why = connect(spec).err().unwrap();
            let expected = format!("{field}: {kind} a has no key none: create it with the key none");
            assert!(why.contains(&expected), "{why}");
        }
    }
}
