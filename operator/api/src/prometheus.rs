//! `spec.prometheus`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::common::SecretKeyRef;
use crate::limits::PROMETHEUS_INTERVAL_SECONDS_DEFAULT;

/// The Prometheus that scrapes this cluster; autoscaling reads from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prometheus {
    /// Its address, for instance `http://prometheus.monitoring.svc:9090`.
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^https?://[^/?#]+(/[^?#]*)?$')")
        .message("url must start with http:// or https:// and hold no query, e.g. http://prometheus.monitoring.svc:9090"))]
    pub url: String,

    /// A bearer token sent with each query. While its Secret is missing, only scaling by metrics stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token_secret_ref: Option<SecretKeyRef>,

    /// How often the metrics are asked for, in seconds.
    #[serde(default = "interval_default")]
    #[schemars(range(min = 1, max = 300))]
    pub interval_seconds: i32,
}

fn interval_default() -> i32 {
    PROMETHEUS_INTERVAL_SECONDS_DEFAULT
}
