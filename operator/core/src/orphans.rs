//! Objects of the cluster that nothing asks for any more.

use std::collections::BTreeSet;

use k8s_openapi::NamespaceResourceScope;
use kube::ResourceExt;

use crate::children::{Children, Planned};
use crate::for_each_kind;
use crate::observed::{LiveChildren, Observed};
use crate::plan_result::ObjectRef;

/// Live objects that belong to this very cluster, are neither planned nor kept, and are not
/// already being deleted. In reverse order of application, so that a Service outlives its pods.
pub fn of(
    live: &LiveChildren,
    seen: &Observed,
    planned: &Children<Planned>,
    kept: &BTreeSet<String>,
) -> Vec<ObjectRef> {
    let mut by_kind = Vec::new();
    macro_rules! collect {
        ($($kind:ident: $type:ident,)*) => {
            $(by_kind.push(of_kind(seen, &live.$kind, &planned.$kind, kept));)*
        };
    }
    for_each_kind!(collect);
    by_kind.into_iter().rev().flatten().collect()
}

fn of_kind<K>(seen: &Observed, live: &[K], planned: &[K], kept: &BTreeSet<String>) -> Vec<ObjectRef>
where
    K: ResourceExt + k8s_openapi::Resource<Scope = NamespaceResourceScope>,
{
    let planned: BTreeSet<String> = planned.iter().map(ResourceExt::name_any).collect();
    live.iter()
        .filter(|object| seen.owns(object.meta()) && object.meta().deletion_timestamp.is_none())
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
