//! What the cache of a kind keeps of its objects, which cluster an object belongs to, and which changes of it request
//! a reconcile.

use crate::{cluster_key::ClusterKey, triggers::DecodedCluster};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::ResourceExt;
use poker_operator_api::names::LABEL_INSTANCE;
use poker_operator_core::status::pod_failures;

/// The cluster of a child: by label, which also finds children whose owner reference was removed.
pub fn owner_by_label<K: ResourceExt>(child: &K) -> Option<ClusterKey> {
    let name = child.labels().get(LABEL_INSTANCE)?;
    Some(ClusterKey::new(child.namespace()?, name))
}

pub fn owner_self(cluster: &DecodedCluster) -> Option<ClusterKey> {
    Some(ClusterKey::of(cluster))
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
