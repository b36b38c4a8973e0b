//! `spec.prometheus`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::common::SecretKeyRef;
use crate::limits::PROMETHEUS_INTERVAL_SECONDS_DEFAULT;

/// The Prometheus that scrapes this cluster. Autoscaling reads its metrics from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prometheus {
    /// The address, for instance `http://prometheus.monitoring.svc:9090`.
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^https?://[^/?#]+(/[^?#]*)?$')")
        .message("url must start with http:// or https:// and must not contain a query, e.g. http://prometheus.monitoring.svc:9090"))]
    pub url: String,

    /// The bearer token for queries. While the Secret is missing, the operator does not scale by metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token_secret_ref: Option<SecretKeyRef>,

    /// The interval between two polls, in seconds.
    #[serde(default = "interval_default")]
    #[schemars(range(min = 1, max = 300))]
    pub interval_seconds: i32,
}

fn interval_default() -> i32 {
    PROMETHEUS_INTERVAL_SECONDS_DEFAULT
}
