//! Why StatefulSets cannot create their pods: unlike Deployments they report it in events only.

use super::context::Context;
use crate::cluster_key::ClusterKey;
use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::StatefulSet, events::v1::Event};
use kube::{ResourceExt, api::ListParams};
use std::{collections::BTreeMap, time::Duration};

/// A StatefulSet retries at least this often, and reports each failure. An older event tells nothing about now.
const EVENT_EXPIRY: Duration = Duration::from_secs(20 * 60);
/// The most events read of one StatefulSet. Its controller aggregates equal ones.
const EVENTS_MAX: u32 = 20;

/// The newest such report of each StatefulSet that lacks pods, by its name. A report that cannot be read is left out:
/// it is only an explanation.
pub async fn read(ctx: &Context, key: &ClusterKey, sets: &[StatefulSet]) -> BTreeMap<String, String> {
    let mut reports = BTreeMap::new();
    for name in sets
        .iter()
        .filter(|set| lacks_pods(set))
        .map(ResourceExt::name_any)
    {
        let params = ListParams::default()
            .fields(&format!(
                "regarding.kind=StatefulSet,regarding.name={name},reason=FailedCreate"
            ))
            .limit(EVENTS_MAX);
        match ctx.api::<Event>(&key.namespace).list(&params).await {
            Ok(events) => reports.extend(newest(events.items).map(|report| (name, report))),
            Err(error) => tracing::info!(name, %error, "the events of a StatefulSet cannot be read"),
        }
    }
    reports
}

fn lacks_pods(set: &StatefulSet) -> bool {
    let desired = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    set.status
        .as_ref()
        .is_some_and(|status| status.replicas < desired)
}

fn newest(events: Vec<Event>) -> Option<String> {
    let now = Timestamp::now();
    let recent = events.into_iter().filter_map(|event| {
        let at = last_time(&event)?;
        (now.duration_since(at).unsigned_abs() < EVENT_EXPIRY).then_some((at, event.note?))
    });
    recent.max().map(|(_, note)| note)
}

fn last_time(event: &Event) -> Option<Timestamp> {
    let repeated = event.series.as_ref().map(|series| series.last_observed_time.0);
    let counted = event.deprecated_last_timestamp.as_ref().map(|time| time.0);
    let first = event.event_time.as_ref().map(|time| time.0);
    let created = event.metadata.creation_timestamp.as_ref().map(|time| time.0);
    repeated
        .into_iter()
        .chain(counted)
        .chain(first)
        .chain(created)
        .max()
}
