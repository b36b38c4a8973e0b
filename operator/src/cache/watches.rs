//! The caches: one watch per kind, each with its own backoff, each feeding a store and the trigger queue.

use super::{expectations::Expectations, watch_health::WatchHealth};
use crate::{limits, metrics};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::{
    Api, Resource, ResourceExt,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt,
        controller::{ReconcileReason, ReconcileRequest},
        reflector::{ObjectRef, Store, store::Writer},
        watcher::{self, Event, watcher},
    },
};
use poker_operator_api::{
    PokerCluster,
    names::{LABEL_INSTANCE, managers},
};
use poker_operator_core::status::pod_failures;
use poker_service::readiness::Readiness;
use serde::de::DeserializeOwned;
use std::{
    collections::{HashMap, HashSet},
    fmt::Debug,
    hash::Hash,
    sync::Arc,
};
use tokio::{sync::mpsc, time::Instant};

/// A cluster as the watch delivers it: one that cannot be decoded keeps its name and stops no other.
pub type DecodedCluster = DeserializeGuard<PokerCluster>;
/// Clusters to look at.
pub type Triggers = mpsc::Sender<ReconcileRequest<DecodedCluster>>;

/// What every watch shares.
#[derive(Clone)]
pub struct WatchDeps {
    pub expectations: Arc<Expectations>,
    pub watch_health: Arc<WatchHealth>,
    pub readiness: Readiness,
    pub metrics: Arc<metrics::Metrics>,
    pub triggers: Triggers,
}

/// How a kind is watched.
pub struct Watch<K: Resource> {
    pub kind: &'static str,
    pub api: Api<K>,
    pub labels: Option<String>,
    /// Said by `/ready` while the kind does not exist on the server.
    pub when_absent: &'static str,
    /// The cluster that an object concerns.
    pub owner: fn(&K) -> Option<ObjectRef<DecodedCluster>>,
    /// Takes out what is never looked at.
    pub prune: fn(&mut K),
    /// Whether the owner has to look at the change.
    pub predicate: fn(before: &K, after: &K) -> bool,
}

/// Runs until the trigger queue closes; failures are retried with backoff and shown by `/ready`.
pub async fn run<K>(watch: Watch<K>, writer: Writer<K>, deps: WatchDeps)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K::DynamicType: Default + Eq + Hash + Clone,
{
    let mut config = watcher::Config::default()
        .timeout(limits::WATCH_TIMEOUT_SECONDS)
        .page_size(limits::WATCH_PAGE_OBJECTS);
    config.label_selector = watch.labels.clone();
    let mut stream = watcher(watch.api.clone(), config).default_backoff().boxed();
    let mut cache = Cache::new(watch.kind, writer);
    while let Some(event) = stream.next().await {
        let to_requeue = match event {
            Ok(event) => {
                // A list that begins proves nothing yet.
                let tells = !matches!(event, Event::Init | Event::InitApply(_));
                let mut to_requeue = cache.take(event, &watch, &deps);
                if tells && deps.watch_health.recovered(watch.kind) {
                    to_requeue.extend(cache.owners(&watch));
                }
                to_requeue
            }
            Err(error) => {
                let is_lost = report_failure(&watch, &error, &deps);
                if is_lost { cache.owners(&watch) } else { Vec::new() }
            }
        };
        for obj_ref in to_requeue {
            let reason = ReconcileReason::Custom {
                reason: format!("{} changed", watch.kind),
            };
            if deps
                .triggers
                .send(ReconcileRequest { obj_ref, reason })
                .await
                .is_err()
            {
                return;
            }
        }
    }
}

struct Cache<K: Resource + Clone + 'static>
where
    K::DynamicType: Eq + Hash + Clone,
{
    kind: &'static str,
    writer: Writer<K>,
    store: Store<K>,
    /// Objects of a running list with their versions, until the list is whole.
    listed: HashMap<ObjectRef<K>, Option<String>>,
    /// Clusters that the running list concerns: told when the store holds the list.
    to_requeue: Vec<ObjectRef<DecodedCluster>>,
}

impl<K> Cache<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Default + Eq + Hash + Clone,
{
    fn new(kind: &'static str, writer: Writer<K>) -> Self {
        let store = writer.as_reader();
        Self {
            kind,
            writer,
            store,
            listed: HashMap::new(),
            to_requeue: Vec::new(),
        }
    }

    /// Brings the store up to date and returns the clusters to_requeue.
    fn take(
        &mut self,
        event: Event<K>,
        watch: &Watch<K>,
        deps: &WatchDeps,
    ) -> Vec<ObjectRef<DecodedCluster>> {
        // Of the managed fields, which are larger than most objects, only one question is ever asked.
        let event = event.modify(|object| {
            object.managed_fields_mut().retain_mut(|entry| {
                entry.fields_v1 = None;
                entry.manager.as_deref() == Some(managers::SCALE)
            });
            (watch.prune)(object);
        });
        let before = |object: &K| self.store.get(&ObjectRef::from_obj(object));
        let to_requeue: Vec<_> = match &event {
            Event::Init => {
                deps.expectations.list_began(self.kind);
                self.listed.clear();
                self.to_requeue.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                self.listed
                    .insert(ObjectRef::from_obj(object), object.resource_version());
                self.to_requeue
                    .extend(changed(watch, before(object).as_deref(), object));
                Vec::new()
            }
            Event::InitDone => {
                let deleted_while_disconnected = self.deleted_while_disconnected(watch);
                self.to_requeue
                    .drain(..)
                    .chain(deleted_while_disconnected)
                    .collect()
            }
            Event::Apply(object) => changed(watch, before(object).as_deref(), object),
            Event::Delete(object) => {
                deps.expectations
                    .deletion_observed(object.uid().as_deref().unwrap_or_default());
                (watch.owner)(object).into_iter().collect()
            }
        };
        self.writer.apply_watcher_event(&event);
        match &event {
            Event::Apply(object) | Event::Delete(object) => {
                deps.expectations
                    .observed(self.kind, object.meta().resource_version.as_deref());
            }
            Event::InitDone => self.list_ended(deps),
            Event::Init | Event::InitApply(_) => {}
        }
        to_requeue
    }

    /// Owners of all that is in the cache.
    fn owners(&self, watch: &Watch<K>) -> Vec<ObjectRef<DecodedCluster>> {
        let cached = self.store.state();
        let owners: HashSet<_> = cached.iter().filter_map(|object| (watch.owner)(object)).collect();
        owners.into_iter().collect()
    }

    /// Owners of what was in the cache and is not in the new list: deletions that no watch told us.
    fn deleted_while_disconnected(&self, watch: &Watch<K>) -> Vec<ObjectRef<DecodedCluster>> {
        let cached = self.store.state();
        let gone = cached
            .iter()
            .filter(|object| !self.listed.contains_key(&ObjectRef::from_obj(object.as_ref())));
        gone.filter_map(|object| (watch.owner)(object)).collect()
    }

    fn list_ended(&mut self, deps: &WatchDeps) {
        for version in self.listed.drain().filter_map(|(_, version)| version) {
            deps.expectations.observed(self.kind, Some(&version));
        }
        deps.expectations.list_ended(self.kind);
        deps.readiness.done(self.kind);
    }
}

fn changed<K: Resource>(watch: &Watch<K>, before: Option<&K>, after: &K) -> Vec<ObjectRef<DecodedCluster>> {
    let predicate = before.is_none_or(|before| (watch.predicate)(before, after));
    let owners = [before.and_then(watch.owner), (watch.owner)(after)];
    let mut owners: Vec<_> = owners.into_iter().flatten().filter(|_| predicate).collect();
    owners.dedup();
    owners
}

/// Returns whether the clusters have to be told.
fn report_failure<K: Resource>(watch: &Watch<K>, error: &watcher::Error, deps: &WatchDeps) -> bool {
    deps.metrics
        .watch_errors
        .get_or_create(&metrics::Kind { kind: watch.kind })
        .inc();
    let absent = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status)) => status.code == 404,
        _ => false,
    };
    if deps.readiness.is_pending(watch.kind) {
        let why = if absent {
            watch.when_absent.to_owned()
        } else {
            format!("cannot list {}: {error}", watch.kind)
        };
        if deps.readiness.wait_for(watch.kind, &why) {
            tracing::warn!(kind = watch.kind, "{why}");
        }
        return false;
    }
    tracing::debug!(kind = watch.kind, error = %error, "watch is opened anew");
    deps.watch_health.failed(watch.kind, error, Instant::now())
}

/// Pods of clusters are found by this selector.
pub const PODS: &str =
    "app.kubernetes.io/name=planning-poker,app.kubernetes.io/instance,app.kubernetes.io/component";

/// Children are found by this selector.
pub const CHILDREN: &str = "app.kubernetes.io/managed-by=poker-operator";

/// The cluster of a child: by label, which also finds those whose owner reference was removed.
pub fn owner_by_label<K: ResourceExt>(child: &K) -> Option<ObjectRef<DecodedCluster>> {
    let name = child.labels().get(LABEL_INSTANCE)?;
    Some(ObjectRef::new(name).within(&child.namespace()?))
}

pub fn owner_self(cluster: &DecodedCluster) -> Option<ObjectRef<DecodedCluster>> {
    Some(ObjectRef::from_obj(cluster))
}

/// Children matter whenever anything changed, status too.
pub fn any_changed<K: ResourceExt>(before: &K, after: &K) -> bool {
    before.resource_version() != after.resource_version()
}

/// Pods say what keeps them from running; the rest of their status is their workload's concern.
pub fn pod_failure_changed(before: &Pod, after: &Pod) -> bool {
    pod_failures::signs(before) != pod_failures::signs(after)
}

/// Nothing is taken out.
pub fn keep_all<K>(_: &mut K) {}

/// Of a pod, only what [`pod_failures`] reads: there are many.
pub fn prune_pod(pod: &mut Pod) {
    pod.spec = None;
    pod.metadata.annotations = None;
    pod.metadata.owner_references = None;
    pod.metadata.managed_fields = None;
    pod.status = pod.status.take().map(|status| PodStatus {
        phase: status.phase,
        container_statuses: status.container_statuses,
        init_container_statuses: status.init_container_statuses,
        conditions: status.conditions.map(|mut conditions| {
            conditions.retain(|condition| condition.type_ == pod_failures::POD_SCHEDULED);
            conditions
        }),
        ..PodStatus::default()
    });
}

/// Of a cluster, its status does not matter: we wrote it.
pub fn metadata_or_spec_changed<K: ResourceExt>(before: &K, after: &K) -> bool {
    let seen = |object: &K| {
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
    seen(before) != seen(after)
}
