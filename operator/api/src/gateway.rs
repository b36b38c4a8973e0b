//! `spec.gateway` and `spec.worker`.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::autoscaling::Autoscaling;
use crate::common::Resources;
use crate::limits::{
    DRAIN_DEADLINE_SECONDS_DEFAULT, DRAIN_DEADLINE_SECONDS_MAX, GATEWAYS_DEFAULT, GATEWAYS_MAX,
    WORKERS_DEFAULT, WORKERS_MAX,
};

/// Gateways serve the page, hold the sockets of the browsers and pass messages to the shards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    /// The number of gateways. With `autoscaling` it is only the initial count.
    #[serde(default = "gateways_default")]
    #[schemars(range(min = 1, max = GATEWAYS_MAX))]
    pub replicas: i32,

    /// Compute resources of one gateway.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub resources: Resources,

    /// How users reach the gateways.
    #[serde(default)]
    pub expose: Expose,

    /// How long gateways of an old version keep their sockets once new gateways receive the new ones, in
    /// seconds. Afterwards the old gateways close the remaining sockets, spread over time, and the browsers
    /// reconnect.
    #[serde(default = "drain_deadline_default")]
    #[schemars(range(min = 0, max = DRAIN_DEADLINE_SECONDS_MAX))]
    pub drain_deadline_seconds: i32,

    /// Scales the gateways by metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            replicas: gateways_default(),
            resources: Resources::default(),
            expose: Expose::default(),
            drain_deadline_seconds: drain_deadline_default(),
            autoscaling: None,
        }
    }
}

/// How users reach the gateways.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Expose {
    /// The Service in front of the gateways. Its name is the name of the cluster.
    #[serde(default)]
    pub service: ExposeService,

    /// An Ingress to that Service. Absent: no Ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<ExposeIngress>,
}

/// The Service in front of the gateways.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.nodePort) || self.type != 'ClusterIP'")
    .message("nodePort requires type NodePort or LoadBalancer: set type, or remove nodePort"))]
pub struct ExposeService {
    /// The Service's type.
    #[serde(default, rename = "type")]
    pub type_: ServiceType,

    /// The port on every node. Absent: Kubernetes chooses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub node_port: Option<i32>,

    /// Annotations of the Service, for instance for the load balancer of a cloud provider.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub annotations: BTreeMap<String, String>,
}

/// Types of the public Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// Reachable inside the Kubernetes cluster.
    #[default]
    #[serde(rename = "ClusterIP")]
    ClusterIp,
    /// Reachable on a port of every node.
    NodePort,
    /// Reachable through a load balancer of the cloud provider.
    LoadBalancer,
}

impl ServiceType {
    /// The value of a Service's `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIp => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}

/// An Ingress to the gateways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExposeIngress {
    /// The IngressClass. Absent: the default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,

    /// The host name of the service.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub host: String,

    /// The Secret with the TLS certificate. Absent: no TLS at the Ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub tls_secret_name: Option<String>,

    /// Annotations of the Ingress, for instance the timeout for idle sockets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub annotations: BTreeMap<String, String>,
}

/// Workers write the history of finished rounds from Kafka into the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Worker {
    /// The number of workers.
    #[serde(default = "workers_default")]
    #[schemars(range(min = 0, max = WORKERS_MAX))]
    pub replicas: i32,

    /// Compute resources of one worker.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub resources: Resources,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            replicas: workers_default(),
            resources: Resources::default(),
        }
    }
}

fn gateways_default() -> i32 {
    GATEWAYS_DEFAULT
}

fn workers_default() -> i32 {
    WORKERS_DEFAULT
}

fn drain_deadline_default() -> i32 {
    DRAIN_DEADLINE_SECONDS_DEFAULT
}
