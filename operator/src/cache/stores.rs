//! One store per kind, kept up to date by a watch each.

use crate::cache::watches::{self, CHILDREN, DecodedCluster, PODS, Watch, WatchDeps};
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, Pod, Secret, Service, ServiceAccount},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{NamespaceResourceScope, PartialObjectMeta},
    runtime::reflector::{Lookup, ObjectRef, Store, store, store::WriterDropped},
};
use poker_operator_api::names::LABEL_INSTANCE;
use poker_operator_core::children::{Children, Live};
use serde::de::DeserializeOwned;
use std::{fmt::Debug, marker::PhantomData};
use tokio::task::JoinSet;

/// Name of the definition that must be installed first.
pub const DEFINITION_ABSENT: &str = "CRD pokerclusters.planningpoker.dev is not installed: install the poker-operator-crds chart, or run `poker-operator crds | kubectl apply --server-side -f -`";
const KIND_ABSENT: &str = "this Kubernetes lacks a kind that the operator needs: see its log";

pub struct Stores {
    pub clusters: Store<DecodedCluster>,
    service_accounts: Store<ServiceAccount>,
    roles: Store<Role>,
    role_bindings: Store<RoleBinding>,
    /// Names and labels only: values of Secrets stay in the API server.
    secrets: Store<PartialObjectMeta<Secret>>,
    config_maps: Store<ConfigMap>,
    services: Store<Service>,
    network_policies: Store<NetworkPolicy>,
    pod_disruption_budgets: Store<PodDisruptionBudget>,
    ingresses: Store<Ingress>,
    stateful_sets: Store<StatefulSet>,
    deployments: Store<Deployment>,
    /// What their containers wait for, and little else.
    pods: Store<Pod>,
}

/// Starts the watches, of one namespace or of all.
pub struct CacheBuilder<'a> {
    pub client: Client,
    pub namespace: Option<&'a str>,
    pub deps: WatchDeps,
    pub tasks: &'a mut JoinSet<&'static str>,
}

impl CacheBuilder<'_> {
    pub fn start(&mut self) -> Stores {
        let clusters = Watch {
            kind: "PokerCluster",
            api: self.api(),
            labels: None,
            when_absent: DEFINITION_ABSENT,
            owner: watches::owner_self,
            prune: watches::keep_all,
            predicate: watches::metadata_or_spec_changed,
        };
        let pods = Watch {
            kind: "Pod",
            api: self.api(),
            labels: Some(PODS.to_owned()),
            when_absent: KIND_ABSENT,
            owner: watches::owner_by_label,
            prune: watches::prune_pod,
            predicate: watches::pod_failure_changed,
        };
        Stores {
            clusters: self.watch(clusters),
            service_accounts: self.children("ServiceAccount"),
            roles: self.children("Role"),
            role_bindings: self.children("RoleBinding"),
            secrets: self.children("Secret"),
            config_maps: self.children("ConfigMap"),
            services: self.children("Service"),
            network_policies: self.children("NetworkPolicy"),
            pod_disruption_budgets: self.children("PodDisruptionBudget"),
            ingresses: self.children("Ingress"),
            stateful_sets: self.children("StatefulSet"),
            deployments: self.children("Deployment"),
            pods: self.watch(pods),
        }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        match self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    fn children<K>(&mut self, kind: &'static str) -> Store<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned,
        K: Debug + Send + Sync + 'static,
    {
        self.watch(Watch {
            kind,
            api: self.api(),
            labels: Some(CHILDREN.to_owned()),
            when_absent: KIND_ABSENT,
            owner: watches::owner_by_label,
            prune: watches::keep_all,
            predicate: watches::any_changed,
        })
    }

    fn watch<K>(&mut self, watch: Watch<K>) -> Store<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned,
        K: Debug + Send + Sync + 'static,
    {
        let (reader, writer) = store();
        let kind = watch.kind;
        self.deps
            .readiness
            .wait_for(kind, &format!("the first list of kind {kind} is not complete"));
        let running = watches::run(watch, writer, self.deps.clone());
        self.tasks.spawn(async move {
            running.await;
            kind
        });
        reader
    }
}

impl Stores {
    /// Returns when every store holds its first list.
    ///
    /// # Errors
    /// When a watch has ended.
    pub async fn ready(&self) -> Result<(), WriterDropped> {
        self.clusters.wait_until_ready().await?;
        self.service_accounts.wait_until_ready().await?;
        self.roles.wait_until_ready().await?;
        self.role_bindings.wait_until_ready().await?;
        self.secrets.wait_until_ready().await?;
        self.config_maps.wait_until_ready().await?;
        self.services.wait_until_ready().await?;
        self.network_policies.wait_until_ready().await?;
        self.pod_disruption_budgets.wait_until_ready().await?;
        self.ingresses.wait_until_ready().await?;
        self.stateful_sets.wait_until_ready().await?;
        self.deployments.wait_until_ready().await?;
        self.pods.wait_until_ready().await
    }

    /// Everything with the instance label of a cluster. Secrets are without their values.
    pub fn children(&self, namespace: &str, cluster: &str) -> Children<Live> {
        let of = ClusterSelector { namespace, cluster };
        Children {
            service_accounts: of.find(&self.service_accounts),
            roles: of.find(&self.roles),
            role_bindings: of.find(&self.role_bindings),
            secrets: of.find(&self.secrets).into_iter().map(without_values).collect(),
            config_maps: of.find(&self.config_maps),
            services: of.find(&self.services),
            network_policies: of.find(&self.network_policies),
            pod_disruption_budgets: of.find(&self.pod_disruption_budgets),
            ingresses: of.find(&self.ingresses),
            stateful_sets: of.find(&self.stateful_sets),
            deployments: of.find(&self.deployments),
            state: PhantomData,
        }
    }

    /// The pods of a cluster, without what is never looked at.
    pub fn pods(&self, namespace: &str, cluster: &str) -> Vec<Pod> {
        ClusterSelector { namespace, cluster }.find(&self.pods)
    }

    pub fn cluster_refs(&self) -> Vec<ObjectRef<DecodedCluster>> {
        self.clusters
            .state()
            .iter()
            .map(|cluster| cluster.to_object_ref(()))
            .collect()
    }
}

struct ClusterSelector<'a> {
    namespace: &'a str,
    cluster: &'a str,
}

impl ClusterSelector<'_> {
    fn find<K>(&self, store: &Store<K>) -> Vec<K>
    where
        K: Resource<DynamicType = ()> + Clone + 'static,
    {
        let mine = store.state_filter(|object: &K| {
            object.meta().namespace.as_deref() == Some(self.namespace)
                && object
                    .labels()
                    .get(LABEL_INSTANCE)
                    .is_some_and(|name| name == self.cluster)
        });
        mine.iter().map(|object| object.as_ref().clone()).collect()
    }
}

fn without_values(secret: PartialObjectMeta<Secret>) -> Secret {
    Secret {
        metadata: secret.metadata,
        ..Secret::default()
    }
}
