//! One store per kind, kept up to date by a watch each.

use super::{
    expectations::Kind,
    predicates,
    watches::{self, Watch, WatchDeps},
};
use crate::{cluster_key::ClusterKey, triggers::DecodedCluster};
use k8s_openapi::api::{
    apps::v1::{ControllerRevision, Deployment, StatefulSet},
    core::v1::{ConfigMap, Pod, Secret, Service, ServiceAccount},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{NamespaceResourceScope, PartialObjectMeta},
    runtime::reflector::{Store, store, store::WriterDropped},
};
use poker_operator_api::names::LABEL_INSTANCE;
use poker_operator_core::{
    children::{Children, Live},
    for_each_kind,
};
use serde::de::DeserializeOwned;
use std::{fmt::Debug, marker::PhantomData};
use tokio::task::JoinSet;

/// Selects the pods of clusters.
const PODS: &str =
    "app.kubernetes.io/name=planning-poker,app.kubernetes.io/instance,app.kubernetes.io/component";
/// Selects the children of clusters.
const CHILDREN: &str = "app.kubernetes.io/managed-by=poker-operator";

const CRD_ABSENT: &str = "CRD pokerclusters.planningpoker.dev is not installed: install the poker-operator-crds chart, or run `poker-operator crds | kubectl apply --server-side -f -`";
const KIND_ABSENT: &str =
    "this Kubernetes does not serve a kind that the operator needs: see the log of the operator";

pub struct Stores {
    pub clusters: Store<DecodedCluster>,
    controller_revisions: Store<ControllerRevision>,
    service_accounts: Store<ServiceAccount>,
    roles: Store<Role>,
    role_bindings: Store<RoleBinding>,
    /// Metadata only: values of Secrets stay in the API server.
    secrets: Store<PartialObjectMeta<Secret>>,
    config_maps: Store<ConfigMap>,
    services: Store<Service>,
    network_policies: Store<NetworkPolicy>,
    pod_disruption_budgets: Store<PodDisruptionBudget>,
    ingresses: Store<Ingress>,
    stateful_sets: Store<StatefulSet>,
    deployments: Store<Deployment>,
    /// Pruned to the fields that explain why containers do not run.
    pods: Store<Pod>,
}

/// Starts the watches of one namespace or of all.
struct CacheBuilder<'a> {
    client: Client,
    namespace: Option<&'a str>,
    deps: WatchDeps,
    tasks: JoinSet<Kind>,
}

impl CacheBuilder<'_> {
    fn start(&mut self) -> Stores {
        let clusters = Watch {
            kind: "PokerCluster",
            labels: None,
            when_absent: CRD_ABSENT,
            owners: Box::new(predicates::owner_self),
            prune: predicates::keep_all,
            predicate: predicates::metadata_or_spec_changed,
        };
        let pods = Watch {
            kind: "Pod",
            labels: Some(PODS),
            when_absent: KIND_ABSENT,
            owners: Box::new(predicates::owner_by_label),
            prune: predicates::prune_pod,
            predicate: predicates::pod_failure_changed,
        };
        let clusters = self.watch(clusters);
        self.watch(Watch {
            kind: "ReferencedSecret",
            labels: None,
            when_absent: KIND_ABSENT,
            owners: predicates::readers(clusters.clone()),
            prune: predicates::prune_secret,
            predicate: predicates::any_changed,
        });
        Stores {
            clusters,
            controller_revisions: self.watch(Watch {
                prune: predicates::prune_revision,
                ..child("ControllerRevision")
            }),
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

    fn children<K>(&mut self, kind: Kind) -> Store<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned,
        K: Debug + Send + Sync + 'static,
    {
        self.watch(child(kind))
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
        let running = watches::run(self.api(), watch, writer, self.deps.clone());
        self.tasks.spawn(async move {
            running.await;
            kind
        });
        reader
    }
}

fn child<K: ResourceExt + 'static>(kind: Kind) -> Watch<K> {
    Watch {
        kind,
        labels: Some(CHILDREN),
        when_absent: KIND_ABSENT,
        owners: Box::new(predicates::owner_by_label),
        prune: predicates::keep_all,
        predicate: predicates::any_changed,
    }
}

impl Stores {
    /// Starts the watches of one namespace or of all. A task ends, with its kind, when its watch does.
    pub fn watch(client: Client, namespace: Option<&str>, deps: WatchDeps) -> (Self, JoinSet<Kind>) {
        let mut builder = CacheBuilder {
            client,
            namespace,
            deps,
            tasks: JoinSet::new(),
        };
        (builder.start(), builder.tasks)
    }

    /// Returns when every store holds its first list.
    ///
    /// # Errors
    /// When a watch has ended.
    pub async fn ready(&self) -> Result<(), WriterDropped> {
        self.clusters.wait_until_ready().await?;
        macro_rules! wait {
            ($($kind:ident: $type:ident,)*) => {
                $(self.$kind.wait_until_ready().await?;)*
            };
        }
        for_each_kind!(wait);
        self.pods.wait_until_ready().await
    }

    /// All children with the instance label of a cluster. Secrets are without their values.
    pub fn children(&self, cluster: &ClusterKey) -> Children<Live> {
        Children {
            controller_revisions: find(cluster, &self.controller_revisions),
            service_accounts: find(cluster, &self.service_accounts),
            roles: find(cluster, &self.roles),
            role_bindings: find(cluster, &self.role_bindings),
            secrets: find(cluster, &self.secrets)
                .into_iter()
                .map(without_values)
                .collect(),
            config_maps: find(cluster, &self.config_maps),
            services: find(cluster, &self.services),
            network_policies: find(cluster, &self.network_policies),
            pod_disruption_budgets: find(cluster, &self.pod_disruption_budgets),
            ingresses: find(cluster, &self.ingresses),
            stateful_sets: find(cluster, &self.stateful_sets),
            deployments: find(cluster, &self.deployments),
            state: PhantomData,
        }
    }

    /// The pods of a cluster, pruned to the fields that are read.
    pub fn pods(&self, cluster: &ClusterKey) -> Vec<Pod> {
        find(cluster, &self.pods)
    }

    pub fn cluster_keys(&self) -> Vec<ClusterKey> {
        let clusters = self.clusters.state();
        clusters
            .iter()
            .map(|cluster| ClusterKey::of(cluster.as_ref()))
            .collect()
    }
}

fn find<K>(cluster: &ClusterKey, store: &Store<K>) -> Vec<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let owned = store.state_filter(|object: &K| {
        object.meta().namespace.as_ref() == Some(&cluster.namespace)
            && object.labels().get(LABEL_INSTANCE) == Some(&cluster.name)
    });
    owned.iter().map(|object| object.as_ref().clone()).collect()
}

fn without_values(secret: PartialObjectMeta<Secret>) -> Secret {
    Secret {
        metadata: secret.metadata,
        ..Secret::default()
    }
}
