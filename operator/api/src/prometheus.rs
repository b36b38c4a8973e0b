//! `spec.prometheus`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{ConfigMapKeyRef, SecretKeyRef};
use crate::limits::{PROMETHEUS_HEADERS_MAX, PROMETHEUS_INTERVAL_SECONDS_DEFAULT, PROMETHEUS_MATCHERS_MAX};

/// The Prometheus that scrapes this cluster, or a store with its API, such as Thanos or Mimir. Autoscaling reads its
/// metrics from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.bearerTokenSecretRef) && has(self.basicAuth))")
    .message("set bearerTokenSecretRef or basicAuth, not both: a query has one Authorization header"))]
#[x_kube(validation = Rule::new("!has(self.tls) || self.url.startsWith('https://')")
    .message("tls requires https: change url to https:// or remove tls"))]
pub struct Prometheus {
    /// The address, for instance `http://prometheus.monitoring.svc:9090`.
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new(r"self.matches('^https?://[^/?#@\\s]+(/[^?#\\s]*)?$')")
        .message("url must start with http:// or https:// and must not contain a query, credentials (use basicAuth) or blanks, e.g. http://prometheus.monitoring.svc:9090"))]
    pub url: String,

    /// The bearer token for queries. While the Secret is missing, the operator does not scale by metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token_secret_ref: Option<SecretKeyRef>,

    /// User name and password for queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,

    /// More headers for queries, for instance `X-Scope-OrgID`, which names a tenant of Mimir. They are not secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = PROMETHEUS_HEADERS_MAX))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub headers: Vec<Header>,

    /// The certificates of https.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,

    /// The HTTP proxy for queries. Absent: that of the environment variables of the operator, if they name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = Rule::new(r"self.matches('^https?://[^/?#@\\s]+/?$')")
        .message("proxyUrl must be http:// or https:// with a host and a port and without credentials, e.g. http://proxy.example.com:3128"))]
    pub proxy_url: Option<String>,

    /// Labels that the series of this Kubernetes cluster have. Needed if Prometheus also holds other Kubernetes
    /// clusters that run a PokerCluster of the same namespace and name. Applies to the built-in metrics; custom queries
    /// have their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = PROMETHEUS_MATCHERS_MAX))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub matchers: Vec<Matcher>,

    /// The interval between two polls, in seconds.
    #[serde(default = "interval_default")]
    #[schemars(range(min = 1, max = 300))]
    pub interval_seconds: i32,
}

fn interval_default() -> i32 {
    PROMETHEUS_INTERVAL_SECONDS_DEFAULT
}

/// The paths of the fields that refer to Secrets and ConfigMaps, for messages.
pub mod fields {
    pub const TOKEN: &str = "prometheus.bearerTokenSecretRef";
    pub const PASSWORD: &str = "prometheus.basicAuth.passwordSecretRef";
    pub const CA: &str = "prometheus.tls.caSecretRef";
    pub const CA_CONFIG_MAP: &str = "prometheus.tls.caConfigMapRef";
    pub const CERT: &str = "prometheus.tls.certSecretRef";
    pub const KEY: &str = "prometheus.tls.keySecretRef";
}

impl Prometheus {
    /// The keys of Secrets that the spec refers to, each with its field.
    pub fn secret_refs(&self) -> impl Iterator<Item = (&'static str, &SecretKeyRef)> {
        let password = self.basic_auth.as_ref().map(|basic| &basic.password_secret_ref);
        let tls = |of: fn(&Tls) -> Option<&SecretKeyRef>| self.tls.as_ref().and_then(of);
        let fields = [
            (fields::TOKEN, self.bearer_token_secret_ref.as_ref()),
            (fields::PASSWORD, password),
            (fields::CA, tls(|tls| tls.ca_secret_ref.as_ref())),
            (fields::CERT, tls(|tls| tls.cert_secret_ref.as_ref())),
            (fields::KEY, tls(|tls| tls.key_secret_ref.as_ref())),
        ];
        let with_reference = |(field, reference)| Some((field, reference?));
        fields.into_iter().filter_map(with_reference)
    }
}

/// User name and password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuth {
    /// The user name. It cannot contain a colon.
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[^:]+$"))]
    pub username: String,

    /// The password. While the Secret is missing, the operator does not scale by metrics.
    pub password_secret_ref: SecretKeyRef,
}

/// A header of HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(r"!self.name.matches('(?i)^((proxy-)?authorization|cookie)$')")
    .message("headers are not secret: use bearerTokenSecretRef or basicAuth for credentials"))]
#[x_kube(validation = Rule::new(r"!self.name.matches('(?i)^(host|connection|content-.*|transfer-encoding|te|trailer|upgrade)$')")
    .message("the operator sets this header itself: remove it from headers"))]
pub struct Header {
    /// The name of the header.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"))]
    pub name: String,

    /// Its value.
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^[!-~]([ -~]*[!-~])?$"))]
    pub value: String,
}

/// The certificates of https, in PEM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.caSecretRef) && has(self.caConfigMapRef))")
    .message("set caSecretRef or caConfigMapRef, not both"))]
#[x_kube(validation = Rule::new("has(self.certSecretRef) == has(self.keySecretRef)")
    .message("a client certificate needs certSecretRef and keySecretRef: set both or none"))]
pub struct Tls {
    /// The certificates of the authorities that may sign the certificate of Prometheus. Absent: those of the operator's
    /// image. Alternatively `caConfigMapRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKeyRef>,

    /// The same from a ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_config_map_ref: Option<ConfigMapKeyRef>,

    /// The client certificate, with its intermediate certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<SecretKeyRef>,

    /// The key of the client certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_secret_ref: Option<SecretKeyRef>,
}

/// A label with its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(self.name in ['__name__', 'namespace', 'cluster', 'revision', 'shard', 'pod'])")
    .message("the app sets this label itself, cluster to the name of the PokerCluster: name a label by which Prometheus tells Kubernetes clusters apart, e.g. k8s_cluster"))]
pub struct Matcher {
    /// The name of the label.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[a-zA-Z_][a-zA-Z0-9_]*$"))]
    pub name: String,

    /// Its exact value.
    #[schemars(length(min = 1, max = 256))]
    pub value: String,
}
