//! Objects of the cluster that nothing asks for any more.

use std::collections::BTreeSet;

use k8s_openapi::NamespaceResourceScope;
use kube::ResourceExt;

use crate::children::{Children, Planned};
use crate::observed::{LiveChildren, Observed};
use crate::plan_result::ObjectRef;

/// Live objects that belong to this very cluster, are neither planned nor kept, and are not
/// already being deleted. Workloads come first, so that a Service outlives its pods.
pub fn of(
    live: &LiveChildren,
    seen: &Observed,
    planned: &Children<Planned>,
    kept: &BTreeSet<String>,
) -> Vec<ObjectRef> {
    let Children {
        service_accounts,
        roles,
        role_bindings,
        secrets,
        config_maps,
        services,
        network_policies,
        pod_disruption_budgets,
        ingresses,
        stateful_sets,
        deployments,
        state: _,
    } = live;
    let none = BTreeSet::new();
    let mut orphans = Vec::new();
    orphans.extend(kind(seen, deployments, &planned.deployments, kept));
    orphans.extend(kind(seen, stateful_sets, &planned.stateful_sets, &none));
    orphans.extend(kind(seen, ingresses, &planned.ingresses, &none));
    orphans.extend(kind(seen, services, &planned.services, kept));
    orphans.extend(kind(seen, network_policies, &planned.network_policies, &none));
    orphans.extend(kind(
        seen,
        pod_disruption_budgets,
        &planned.pod_disruption_budgets,
        &none,
    ));
    orphans.extend(kind(seen, config_maps, &planned.config_maps, &none));
    orphans.extend(kind(seen, secrets, &planned.secrets, kept));
    orphans.extend(kind(seen, role_bindings, &planned.role_bindings, &none));
    orphans.extend(kind(seen, roles, &planned.roles, &none));
    orphans.extend(kind(seen, service_accounts, &planned.service_accounts, &none));
    orphans
}

fn kind<K>(seen: &Observed, live: &[K], planned: &[K], kept: &BTreeSet<String>) -> Vec<ObjectRef>
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
