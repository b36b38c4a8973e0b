//! All objects of one cluster, kind by kind.

use std::marker::PhantomData;

use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};

/// As they are in Kubernetes, found by label or by name; some may belong to another owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live {}
/// As they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planned {}
/// As the API server answered when they were applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {}

/// Calls a macro once with all kinds of children, as `field: Type,`, in the order of application. [`Children`] is
/// defined by this list, so no user of it can forget a kind.
///
/// A ControllerRevision comes before the Deployments of its revision. The Ingress comes last: an admission webhook of an ingress controller may refuse it.
#[macro_export]
macro_rules! for_each_kind {
    ($callback:ident) => {
        $callback! {
            controller_revisions: ControllerRevision,
            service_accounts: ServiceAccount,
            roles: Role,
            role_bindings: RoleBinding,
            secrets: Secret,
            config_maps: ConfigMap,
            services: Service,
            network_policies: NetworkPolicy,
            pod_disruption_budgets: PodDisruptionBudget,
            stateful_sets: StatefulSet,
            deployments: Deployment,
            ingresses: Ingress,
        }
    };
}

macro_rules! define_children {
    ($($kind:ident: $type:ident,)*) => {
        /// The objects, by kind. The only ConfigMap is the routing table; it is applied as `managers::ROUTES`, all
        /// other kinds as `managers::WORKLOADS`.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Children<S> {
            $(pub $kind: Vec<$type>,)*
            pub state: PhantomData<S>,
        }

        impl<S> Default for Children<S> {
            fn default() -> Self {
                Self {
                    $($kind: Vec::new(),)*
                    state: PhantomData,
                }
            }
        }
    };
}
for_each_kind!(define_children);

impl<S> Children<S> {
    /// The deployment of that name.
    pub fn deployment(&self, name: &str) -> Option<&Deployment> {
        self.deployments
            .iter()
            .find(|d| d.metadata.name.as_deref() == Some(name))
    }
}
