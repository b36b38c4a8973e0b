//! All objects of one cluster, kind by kind.

use std::marker::PhantomData;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};

/// As they stand in Kubernetes, found by label or by name; some may belong to somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live {}
/// As they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planned {}
/// As the API server answered when they were applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {}

/// The objects, in the order in which they are applied. Destructure it without `..`, so that a
/// kind nobody applies does not compile.
#[derive(Clone, Debug, PartialEq)]
pub struct Children<S> {
    pub service_accounts: Vec<ServiceAccount>,
    pub roles: Vec<Role>,
    pub role_bindings: Vec<RoleBinding>,
    pub secrets: Vec<Secret>,
    /// The routing table alone; applied as `managers::ROUTES`, all others as `WORKLOADS`.
    pub config_maps: Vec<ConfigMap>,
    pub services: Vec<Service>,
    pub network_policies: Vec<NetworkPolicy>,
    pub pod_disruption_budgets: Vec<PodDisruptionBudget>,
    pub ingresses: Vec<Ingress>,
    pub stateful_sets: Vec<StatefulSet>,
    pub deployments: Vec<Deployment>,
    pub state: PhantomData<S>,
}

impl<S> Default for Children<S> {
    fn default() -> Self {
        Self {
            service_accounts: Vec::new(),
            roles: Vec::new(),
            role_bindings: Vec::new(),
            secrets: Vec::new(),
            config_maps: Vec::new(),
            services: Vec::new(),
            network_policies: Vec::new(),
            pod_disruption_budgets: Vec::new(),
            ingresses: Vec::new(),
            stateful_sets: Vec::new(),
            deployments: Vec::new(),
            state: PhantomData,
        }
    }
}

impl<S> Children<S> {
    /// The deployment of that name.
    pub fn deployment(&self, name: &str) -> Option<&Deployment> {
        self.deployments
            .iter()
            .find(|d| d.metadata.name.as_deref() == Some(name))
    }
}
