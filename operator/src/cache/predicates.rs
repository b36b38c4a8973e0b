//! What the cache of a kind keeps of its objects, which clusters depend on an object, and which changes of it request
//! a reconcile.

use super::watches::Owners;
use crate::{cluster_key::ClusterKey, triggers::DecodedCluster};
use k8s_openapi::{
    api::{
        apps::v1::ControllerRevision,
        core::v1::{Pod, PodStatus, Secret},
    },
    apimachinery::pkg::runtime::RawExtension,
};
use kube::{ResourceExt, core::PartialObjectMeta, runtime::reflector::Store};
use poker_operator_api::{PokerCluster, names::LABEL_INSTANCE};
use poker_operator_core::{status::pod_failures, validate::secret_names};
use serde_json::Value;

/// The cluster of a child: by label, which also finds children whose owner reference was removed.
pub fn owner_by_label<K: ResourceExt>(child: &K) -> Vec<ClusterKey> {
    let name = child.labels().get(LABEL_INSTANCE);
    let owner = name.and_then(|name| Some(ClusterKey::new(child.namespace()?, name)));
    owner.into_iter().collect()
}

pub fn owner_self(cluster: &DecodedCluster) -> Vec<ClusterKey> {
    vec![ClusterKey::of(cluster)]
}

/// The clusters whose spec refers to a Secret.
pub fn readers(clusters: Store<DecodedCluster>) -> Owners<PartialObjectMeta<Secret>> {
    Box::new(move |secret| {
        let (name, namespace) = (secret.name_any(), secret.namespace());
        let reads = |cluster: &PokerCluster| {
            cluster.metadata.namespace == namespace && secret_names(&cluster.spec).any(|read| read == name)
        };
        let is_reader = |cluster: &DecodedCluster| cluster.0.as_ref().is_ok_and(reads);
        let readers = clusters.state_filter(is_reader);
        readers.iter().map(|cluster| ClusterKey::of(&**cluster)).collect()
    })
}

/// For children: any change, of the status too.
pub fn any_changed<K: ResourceExt>(before: &K, after: &K) -> bool {
    before.resource_version() != after.resource_version()
}

/// For pods: why they do not run. The workload's status covers the rest.
pub fn pod_failure_changed(before: &Pod, after: &Pod) -> bool {
    pod_failures::fingerprint(before) != pod_failures::fingerprint(after)
}

/// For clusters: not the status, which the operator writes itself.
pub fn metadata_or_spec_changed<K: ResourceExt>(before: &K, after: &K) -> bool {
    let relevant = |object: &K| {
        let meta = object.meta().clone();
        (
            meta.uid,
            meta.generation,
            meta.finalizers,
            meta.deletion_timestamp,
            meta.annotations,
            meta.labels,
        )
    };
    relevant(before) != relevant(after)
}

/// Keeps the whole object.
pub fn keep_all<K>(_: &mut K) {}

/// Keeps of a Secret only its name and version: a namespace may have many.
pub fn prune_secret(secret: &mut PartialObjectMeta<Secret>) {
    secret.metadata.annotations = None;
    secret.metadata.labels = None;
    secret.metadata.owner_references = None;
    secret.metadata.managed_fields = None;
}

/// Keeps the data of a ControllerRevision as text: parsed, it takes more than ten times the memory.
pub fn prune_revision(revision: &mut ControllerRevision) {
    if let Some(RawExtension(data)) = &mut revision.data {
        *data = Value::String(data.to_string());
    }
}

/// Keeps of a pod only what [`pod_failures`] and the drain status read: a cluster has many pods.
pub fn prune_pod(pod: &mut Pod) {
    pod.spec = None;
    pod.metadata.annotations = None;
    pod.metadata.owner_references = None;
    pod.metadata.managed_fields = None;
    pod.status = pod.status.take().map(|status| PodStatus {
        phase: status.phase,
        pod_ip: status.pod_ip,
        container_statuses: status.container_statuses,
        init_container_statuses: status.init_container_statuses,
        conditions: status.conditions.map(|mut conditions| {
            conditions.retain(|condition| pod_failures::POD_CONDITIONS.contains(&&*condition.type_));
            conditions
        }),
        ..PodStatus::default()
    });
}
