//! Orphans: objects of the cluster that are no longer needed.

use std::collections::BTreeSet;

use k8s_openapi::NamespaceResourceScope;
use kube::ResourceExt;

use crate::children::{Children, Planned};
use crate::for_each_kind;
use crate::observed::Observed;
use crate::plan_result::ObjectRef;

/// Existing objects that this cluster controls and that are neither planned, kept nor terminating. Workloads come first,
/// so that a Service exists longer than its pods.
pub fn find(observed: &Observed, planned: &Children<Planned>, kept: &BTreeSet<String>) -> Vec<ObjectRef> {
    let mut by_kind = Vec::new();
    macro_rules! collect {
        ($($kind:ident: $type:ident,)*) => {
            $(by_kind.push(find_kind(observed, &observed.live.$kind, &planned.$kind, kept));)*
        };
    }
    for_each_kind!(collect);
    by_kind.into_iter().rev().flatten().collect()
}

/// Whether the cluster controls the object, or the object has lost its owner reference and has a name that only the
/// operator uses.
fn is_child(observed: &Observed, object: &impl ResourceExt) -> bool {
    let (names, name) = (observed.names(), object.name_any());
    let has_own_name = || names.parse_shard(&name).is_some() || names.parse_gateway(&name).is_some();
    observed.controls(object.meta()) || observed.owns(object.meta()) && has_own_name()
}

fn find_kind<K>(observed: &Observed, live: &[K], planned: &[K], kept: &BTreeSet<String>) -> Vec<ObjectRef>
where
    K: ResourceExt + k8s_openapi::Resource<Scope = NamespaceResourceScope>,
{
    let planned: BTreeSet<String> = planned.iter().map(ResourceExt::name_any).collect();
    live.iter()
        .filter(|object| is_child(observed, *object) && object.meta().deletion_timestamp.is_none())
        .filter(|object| !planned.contains(&object.name_any()) && !kept.contains(&object.name_any()))
        .filter_map(|object| {
            Some(ObjectRef {
                api_version: K::API_VERSION,
                kind: K::KIND,
                name: object.name_any(),
                uid: object.uid()?,
                resource_version: object.resource_version()?,
            })
        })
        .collect()
}
