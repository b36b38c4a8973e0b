//! Reads why StatefulSets cannot create their pods: unlike Deployments they report it in events only.

use super::context::Context;
use crate::cluster_key::ClusterKey;
use k8s_openapi::api::{apps::v1::StatefulSet, events::v1::Event};
use kube::{ResourceExt, api::ListParams};
use poker_operator_core::status::pod_failures::lacks_pods;
use std::collections::BTreeMap;

/// The most events read of one StatefulSet. Its controller aggregates equal ones.
const EVENTS_MAX: u32 = 20;

/// The events about failed creations of each StatefulSet that lacks pods, by its name. Events that cannot be read are left
/// out: they only explain.
pub async fn read(ctx: &Context, key: &ClusterKey, sets: &[StatefulSet]) -> BTreeMap<String, Vec<Event>> {
    let mut found = BTreeMap::new();
    for set in sets.iter().filter(|set| lacks_pods(set)) {
        let name = set.name_any();
        let selector = format!("regarding.kind=StatefulSet,regarding.name={name},reason=FailedCreate");
        let params = ListParams::default().fields(&selector).limit(EVENTS_MAX);
        match ctx.api::<Event>(&key.namespace).list(&params).await {
            Ok(events) => drop(found.insert(name, events.items)),
            Err(error) => tracing::info!(name, %error, "cannot read the events of a StatefulSet"),
        }
    }
    found
}
