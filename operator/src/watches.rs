//! The caches: one watch per kind, each with its own backoff, each feeding a store and the trigger queue.

use crate::{admin::Readiness, fence::Fence, limits, metrics, sight::Sight};
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
use poker_operator_core::troubles;
use serde::de::DeserializeOwned;
use std::{
    collections::{HashMap, HashSet},
    fmt::Debug,
    hash::Hash,
    sync::Arc,
};
use tokio::{sync::mpsc, time::Instant};

/// A cluster as the watch delivers it: one that cannot be decoded keeps its name and stops no other.
pub type Guarded = DeserializeGuard<PokerCluster>;
/// Clusters to look at.
pub type Triggers = mpsc::Sender<ReconcileRequest<Guarded>>;

/// What every watch shares.
#[derive(Clone)]
pub struct Shared {
    pub fence: Arc<Fence>,
    pub sight: Arc<Sight>,
    pub readiness: Arc<Readiness>,
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
    pub owner: fn(&K) -> Option<ObjectRef<Guarded>>,
    /// Takes out what is never looked at.
    pub trim: fn(&mut K),
    /// Whether the owner has to look at the change.
    pub matters: fn(before: &K, after: &K) -> bool,
}

/// Runs until the trigger queue closes; failures are retried with backoff and shown by `/ready`.
pub async fn run<K>(watch: Watch<K>, writer: Writer<K>, shared: Shared)
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
        let concerned = match event {
            Ok(event) => {
                // A list that begins proves nothing yet.
                let tells = !matches!(event, Event::Init | Event::InitApply(_));
                let mut concerned = cache.take(event, &watch, &shared);
                if tells && shared.sight.delivered(watch.kind) {
                    concerned.extend(cache.owners(&watch));
                }
                concerned
            }
            Err(error) => {
                let is_lost = report_failure(&watch, &error, &shared);
                if is_lost { cache.owners(&watch) } else { Vec::new() }
            }
        };
        for obj_ref in concerned {
            let reason = ReconcileReason::Custom {
                reason: format!("{} changed", watch.kind),
            };
            if shared
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
    concerned: Vec<ObjectRef<Guarded>>,
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
            concerned: Vec::new(),
        }
    }

    /// Brings the store up to date and returns the clusters concerned.
    fn take(&mut self, event: Event<K>, watch: &Watch<K>, shared: &Shared) -> Vec<ObjectRef<Guarded>> {
        // Of the managed fields, which are larger than most objects, only one question is ever asked.
        let event = event.modify(|object| {
            object.managed_fields_mut().retain_mut(|entry| {
                entry.fields_v1 = None;
                entry.manager.as_deref() == Some(managers::SCALE)
            });
            (watch.trim)(object);
        });
        let before = |object: &K| self.store.get(&ObjectRef::from_obj(object));
        let concerned: Vec<_> = match &event {
            Event::Init => {
                shared.fence.list_began(self.kind);
                self.listed.clear();
                self.concerned.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                self.listed
                    .insert(ObjectRef::from_obj(object), object.resource_version());
                self.concerned
                    .extend(changed(watch, before(object).as_deref(), object));
                Vec::new()
            }
            Event::InitDone => {
                let vanished = self.vanished(watch);
                self.concerned.drain(..).chain(vanished).collect()
            }
            Event::Apply(object) => changed(watch, before(object).as_deref(), object),
            Event::Delete(object) => {
                shared.fence.gone(object.uid().as_deref().unwrap_or_default());
                (watch.owner)(object).into_iter().collect()
            }
        };
        self.writer.apply_watcher_event(&event);
        match &event {
            Event::Apply(object) | Event::Delete(object) => {
                shared
                    .fence
                    .saw(self.kind, object.meta().resource_version.as_deref());
            }
            Event::InitDone => self.list_ended(shared),
            Event::Init | Event::InitApply(_) => {}
        }
        concerned
    }

    /// Owners of all that is in the cache.
    fn owners(&self, watch: &Watch<K>) -> Vec<ObjectRef<Guarded>> {
        let cached = self.store.state();
        let owners: HashSet<_> = cached.iter().filter_map(|object| (watch.owner)(object)).collect();
        owners.into_iter().collect()
    }

    /// Owners of what was in the cache and is not in the new list: deletions that no watch told us.
    fn vanished(&self, watch: &Watch<K>) -> Vec<ObjectRef<Guarded>> {
        let cached = self.store.state();
        let gone = cached
            .iter()
            .filter(|object| !self.listed.contains_key(&ObjectRef::from_obj(object.as_ref())));
        gone.filter_map(|object| (watch.owner)(object)).collect()
    }

    fn list_ended(&mut self, shared: &Shared) {
        for version in self.listed.drain().filter_map(|(_, version)| version) {
            shared.fence.saw(self.kind, Some(&version));
        }
        shared.fence.list_ended(self.kind);
        shared.readiness.done(self.kind);
    }
}

fn changed<K: Resource>(watch: &Watch<K>, before: Option<&K>, after: &K) -> Vec<ObjectRef<Guarded>> {
    let matters = before.is_none_or(|before| (watch.matters)(before, after));
    let owners = [before.and_then(watch.owner), (watch.owner)(after)];
    let mut owners: Vec<_> = owners.into_iter().flatten().filter(|_| matters).collect();
    owners.dedup();
    owners
}

/// Returns whether the clusters have to be told.
fn report_failure<K: Resource>(watch: &Watch<K>, error: &watcher::Error, shared: &Shared) -> bool {
    shared
        .metrics
        .watch_errors
        .get_or_create(&metrics::Kind { kind: watch.kind })
        .inc();
    let absent = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status)) => status.code == 404,
        _ => false,
    };
    if shared.readiness.is_pending(watch.kind) {
        let why = if absent {
            watch.when_absent.to_owned()
        } else {
            format!("cannot list {}: {error}", watch.kind)
        };
        if shared.readiness.wait_for(watch.kind, &why) {
            tracing::warn!(kind = watch.kind, "{why}");
        }
        return false;
    }
    tracing::debug!(kind = watch.kind, error = %error, "watch is opened anew");
    shared.sight.failed(watch.kind, error, Instant::now())
}

/// Pods of clusters are found by this selector.
pub const PODS: &str =
    "app.kubernetes.io/name=planning-poker,app.kubernetes.io/instance,app.kubernetes.io/component";

/// Children are found by this selector.
pub const CHILDREN: &str = "app.kubernetes.io/managed-by=poker-operator";

/// The cluster of a child: by label, which also finds those whose owner reference was removed.
pub fn by_instance<K: ResourceExt>(child: &K) -> Option<ObjectRef<Guarded>> {
    let name = child.labels().get(LABEL_INSTANCE)?;
    Some(ObjectRef::new(name).within(&child.namespace()?))
}

pub fn itself(cluster: &Guarded) -> Option<ObjectRef<Guarded>> {
    Some(ObjectRef::from_obj(cluster))
}

/// Children matter whenever anything changed, status too.
pub fn any_change<K: ResourceExt>(before: &K, after: &K) -> bool {
    before.resource_version() != after.resource_version()
}

/// Pods say what keeps them from running; the rest of their status is their workload's concern.
pub fn other_signs(before: &Pod, after: &Pod) -> bool {
    troubles::signs(before) != troubles::signs(after)
}

/// Nothing is taken out.
pub fn whole<K>(_: &mut K) {}

/// Of a pod, only what [`troubles`] reads: there are many.
pub fn what_troubles_read(pod: &mut Pod) {
    pod.spec = None;
    pod.metadata.annotations = None;
    pod.metadata.owner_references = None;
    pod.metadata.managed_fields = None;
    pod.status = pod.status.take().map(|status| PodStatus {
        phase: status.phase,
        container_statuses: status.container_statuses,
        init_container_statuses: status.init_container_statuses,
        conditions: status.conditions.map(|mut conditions| {
            conditions.retain(|condition| condition.type_ == troubles::POD_SCHEDULED);
            conditions
        }),
        ..PodStatus::default()
    });
}

/// Of a cluster, its status does not matter: we wrote it.
pub fn not_status<K: ResourceExt>(before: &K, after: &K) -> bool {
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
