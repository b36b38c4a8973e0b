//! One watch per kind, each with its own backoff. A watch fills the store of its kind and requests reconciles.

use super::{
    expectations::{Expectations, Kind},
    limits::{WATCH_PAGE_OBJECTS, WATCH_TIMEOUT_SECONDS},
    watch_health::WatchHealth,
};
use crate::{
    cluster_key::ClusterKey,
    error::is_not_found,
    metrics::{self, Metrics},
    triggers::Triggers,
};
use futures::StreamExt;
use kube::{
    Api, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, Store, store::Writer},
        watcher::{self, Event, watcher},
    },
};
use poker_operator_api::names::managers;
use poker_service::readiness::Readiness;
use serde::de::DeserializeOwned;
use std::{
    collections::{HashMap, HashSet},
    fmt::Debug,
    hash::Hash,
    sync::Arc,
};
use tokio::time::Instant;

/// What every watch shares.
#[derive(Clone)]
pub struct WatchDeps {
    pub expectations: Arc<Expectations>,
    pub watch_health: Arc<WatchHealth>,
    pub readiness: Readiness,
    pub metrics: Arc<Metrics>,
    pub triggers: Triggers,
}

/// The clusters whose reconcile depends on an object.
pub type Owners<K> = Box<dyn Fn(&K) -> Vec<ClusterKey> + Send + Sync>;

/// How a kind is watched.
pub struct Watch<K> {
    pub kind: Kind,
    pub labels: Option<&'static str>,
    /// Served by `/ready` while the kind does not exist on the API server.
    pub when_absent: &'static str,
    pub owners: Owners<K>,
    /// Removes the fields that nothing reads.
    pub prune: fn(&mut K),
    /// Whether a change requests a reconcile of the owner.
    pub predicate: fn(before: &K, after: &K) -> bool,
}

/// Runs until the trigger queue closes. A watch that fails is retried with backoff and shown by `/ready`.
pub async fn run<K>(api: Api<K>, watch: Watch<K>, writer: Writer<K>, deps: WatchDeps)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K::DynamicType: Default + Eq + Hash + Clone,
{
    let mut config = watcher::Config::default()
        .timeout(WATCH_TIMEOUT_SECONDS)
        .page_size(WATCH_PAGE_OBJECTS);
    config.label_selector = watch.labels.map(str::to_owned);
    let mut events = watcher(api, config).default_backoff().boxed();
    let reason = format!("{} changed", watch.kind);
    let mut cache = Cache::new(watch, writer, deps.clone());
    while let Some(event) = events.next().await {
        let to_requeue = match event {
            Ok(event) => cache.process(event),
            Err(error) => cache.process_error(&error),
        };
        for cluster in to_requeue {
            deps.triggers.reconcile(&cluster, reason.as_str()).await;
        }
        if deps.triggers.is_closed() {
            return;
        }
    }
}

struct Cache<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    watch: Watch<K>,
    deps: WatchDeps,
    writer: Writer<K>,
    store: Store<K>,
    /// Objects of the running list, until it is complete.
    listed: HashMap<ObjectRef<K>, Listed>,
    /// Clusters whose objects changed in the running list: requeued once the store holds the list.
    to_requeue: Vec<ClusterKey>,
}

struct Listed {
    uid: Option<String>,
    version: Option<String>,
}

impl<K> Cache<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Default + Eq + Hash + Clone,
{
    fn new(watch: Watch<K>, writer: Writer<K>, deps: WatchDeps) -> Self {
        Self {
            watch,
            deps,
            store: writer.as_reader(),
            writer,
            listed: HashMap::new(),
            to_requeue: Vec::new(),
        }
    }

    /// Updates the store and the health of the watch, and returns the clusters to requeue.
    fn process(&mut self, event: Event<K>) -> Vec<ClusterKey> {
        // The start of a list does not prove that the watch works.
        let proves_health = !matches!(event, Event::Init | Event::InitApply(_));
        let mut to_requeue = self.apply(event);
        if proves_health && self.deps.watch_health.recovered(self.watch.kind) {
            to_requeue.extend(self.owners());
        }
        to_requeue
    }

    /// Records the failure. When the watch counts as failing from now on, every cluster has to report that.
    fn process_error(&self, error: &watcher::Error) -> Vec<ClusterKey> {
        if report_failure(&self.watch, error, &self.deps) {
            self.owners()
        } else {
            Vec::new()
        }
    }

    /// Updates the store and returns the clusters to requeue.
    fn apply(&mut self, event: Event<K>) -> Vec<ClusterKey> {
        let event = event.modify(|object| {
            prune_managed_fields(object);
            (self.watch.prune)(object);
        });
        let kind = self.watch.kind;
        let mut deleted = Vec::new();
        let to_requeue = match &event {
            Event::Init => {
                self.deps.expectations.list_began(kind);
                self.listed.clear();
                self.to_requeue.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                let listed = Listed {
                    uid: object.uid(),
                    version: object.resource_version(),
                };
                self.listed.insert(ObjectRef::from_obj(object), listed);
                let changed = self.changed(object);
                self.to_requeue.extend(changed);
                Vec::new()
            }
            Event::InitDone => {
                deleted = self.deleted_while_disconnected();
                std::mem::take(&mut self.to_requeue)
            }
            Event::Apply(object) => self.changed(object),
            Event::Delete(object) => {
                deleted = vec![Arc::new(object.clone())];
                Vec::new()
            }
        };
        self.writer.apply_watcher_event(&event);
        // The store shows the object only now. If the expectation were met earlier, a reconcile could read the old object.
        match &event {
            Event::Apply(object) | Event::Delete(object) => {
                let version = object.resource_version();
                self.deps.expectations.observed(kind, version.as_deref());
            }
            Event::InitDone => self.list_ended(),
            Event::Init | Event::InitApply(_) => {}
        }
        for uid in deleted.iter().filter_map(|object| object.uid()) {
            self.deps.expectations.deletion_observed(&uid);
        }
        let owners = deleted.iter().flat_map(|object| (self.watch.owners)(object));
        to_requeue.into_iter().chain(owners).collect()
    }

    /// Owners of all objects in the store.
    fn owners(&self) -> Vec<ClusterKey> {
        let cached = self.store.state();
        let owners: HashSet<_> = cached
            .iter()
            .flat_map(|object| (self.watch.owners)(object))
            .collect();
        owners.into_iter().collect()
    }

    /// Owners before and after a change, if the change requests a reconcile.
    fn changed(&self, after: &K) -> Vec<ClusterKey> {
        let before = self.store.get(&ObjectRef::from_obj(after));
        let before = before.as_deref();
        if before.is_some_and(|before| !(self.watch.predicate)(before, after)) {
            return Vec::new();
        }
        let mut owners = before.map_or_else(Vec::new, &self.watch.owners);
        owners.extend((self.watch.owners)(after));
        owners.sort();
        owners.dedup();
        owners
    }

    /// Objects in the store that the new list does not contain, not even under the same name: no event reported their
    /// deletion.
    fn deleted_while_disconnected(&self) -> Vec<Arc<K>> {
        let mut cached = self.store.state();
        cached.retain(|object| {
            let listed = self.listed.get(&ObjectRef::from_obj(object.as_ref()));
            listed.is_none_or(|listed| listed.uid != object.uid())
        });
        cached
    }

    fn list_ended(&mut self) {
        let kind = self.watch.kind;
        for version in self.listed.drain().filter_map(|(_, listed)| listed.version) {
            self.deps.expectations.observed(kind, Some(&version));
        }
        self.deps.expectations.list_ended(kind);
        self.deps.readiness.done(kind);
    }
}

/// Managed fields are larger than most objects, and only one question is ever asked of them: who scales.
fn prune_managed_fields(object: &mut impl Resource) {
    object.managed_fields_mut().retain_mut(|entry| {
        entry.fields_v1 = None;
        entry.manager.as_deref() == Some(managers::SCALE)
    });
}

/// Returns whether the watch counts as failing from now on.
fn report_failure<K>(watch: &Watch<K>, error: &watcher::Error, deps: &WatchDeps) -> bool {
    let kind = watch.kind;
    deps.metrics
        .watch_errors
        .get_or_create(&metrics::Kind { kind })
        .inc();
    if deps.readiness.is_pending(kind) {
        let is_absent = match error {
            watcher::Error::InitialListFailed(kube::Error::Api(status)) => is_not_found(status),
            _ => false,
        };
        let why = if is_absent {
            watch.when_absent.to_owned()
        } else {
            format!("cannot list {kind}: {error}")
        };
        if deps.readiness.wait_for(kind, &why) {
            tracing::warn!(kind, "{why}");
        }
        return false;
    }
    tracing::debug!(kind, %error, "watch failed and is retried");
    deps.watch_health.failed(kind, error, Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cache::predicates, triggers};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::reflector::store;
    use serde_json::json;

    fn config_map(name: &str, uid: &str, version: &str, cluster: &str) -> ConfigMap {
        serde_json::from_value(json!({"metadata": {
            "namespace": "ns", "name": name, "uid": uid, "resourceVersion": version,
            "labels": {"app.kubernetes.io/instance": cluster},
        }}))
        .unwrap()
    }

    fn key(cluster: &str) -> ClusterKey {
        ClusterKey::new("ns", cluster)
    }

    fn cache() -> Cache<ConfigMap> {
        let watch = Watch {
            kind: "ConfigMap",
            labels: None,
            when_absent: "",
            owners: Box::new(predicates::owner_by_label),
            prune: predicates::keep_all,
            predicate: predicates::any_changed,
        };
        let deps = WatchDeps {
            expectations: Arc::default(),
            watch_health: Arc::default(),
            readiness: Readiness::default(),
            metrics: Arc::default(),
            triggers: triggers::queue().0,
        };
        Cache::new(watch, store().1, deps)
    }

    /// A whole list; returns the clusters to requeue.
    fn relist(cache: &mut Cache<ConfigMap>, objects: &[ConfigMap]) -> Vec<ClusterKey> {
        assert!(cache.process(Event::Init).is_empty());
        for object in objects {
            let to_requeue = cache.process(Event::InitApply(object.clone()));
            assert!(to_requeue.is_empty(), "the store does not hold the list yet");
        }
        cache.process(Event::InitDone)
    }

    #[test]
    fn a_relist_requeues_the_owners_of_what_changed_and_of_what_was_deleted_while_disconnected() {
        let mut cache = cache();
        let all = [
            config_map("same", "u1", "1", "a"),
            config_map("changes", "u2", "2", "b"),
            config_map("goes", "u3", "3", "c"),
        ];
        assert_eq!(
            relist(&mut cache, &all),
            [key("a"), key("b"), key("c")],
            "the first list"
        );
        let left = [all[0].clone(), config_map("changes", "u2", "4", "b")];
        assert_eq!(relist(&mut cache, &left), [key("b"), key("c")]);
        assert!(relist(&mut cache, &left).is_empty(), "reported once");
    }

    #[test]
    fn a_list_that_starts_again_counts_from_its_new_start() {
        let mut cache = cache();
        let (a, b) = (config_map("a", "u1", "1", "a"), config_map("b", "u2", "2", "b"));
        relist(&mut cache, &[a.clone(), b.clone()]);
        cache.process(Event::Init);
        cache.process(Event::InitApply(b));
        assert_eq!(relist(&mut cache, &[a]), [key("b")]);
    }

    #[test]
    fn expectations_of_writes_are_met_when_the_list_is_complete() {
        let mut cache = cache();
        let expectations = cache.deps.expectations.clone();
        relist(&mut cache, &[config_map("a", "u1", "1", "a")]);
        expectations.expect(&key("a"), "ConfigMap", Some("12"));
        cache.process(Event::Init);
        cache.process(Event::InitApply(config_map("a", "u1", "12", "a")));
        assert_eq!(
            expectations.pending_kinds(&key("a")),
            ["ConfigMap"],
            "not in the store yet"
        );
        cache.process(Event::InitDone);
        assert!(expectations.pending_kinds(&key("a")).is_empty());
    }

    #[test]
    fn a_list_meets_the_expectation_of_an_object_that_is_gone_again() {
        let mut cache = cache();
        let expectations = cache.deps.expectations.clone();
        relist(&mut cache, &[]);
        expectations.expect(&key("a"), "ConfigMap", Some("12"));
        relist(&mut cache, &[]);
        assert!(expectations.pending_kinds(&key("a")).is_empty());
    }

    #[test]
    fn a_deletion_is_observed_by_an_event_and_by_a_relist() {
        let mut cache = cache();
        let expectations = cache.deps.expectations.clone();
        let (by_event, by_list) = (config_map("a", "u1", "1", "a"), config_map("b", "u2", "2", "b"));
        let recreated = config_map("c", "u3", "3", "c");
        relist(&mut cache, &[by_event.clone(), by_list, recreated]);
        for uid in ["u1", "u2", "u3"] {
            expectations.expect_deletion(uid);
        }
        assert_eq!(cache.process(Event::Delete(by_event)), [key("a")]);
        assert!(!expectations.deletion_pending("u1"));
        let recreated = config_map("c", "u4", "5", "c");
        cache.process(Event::Init);
        cache.process(Event::InitApply(recreated));
        assert!(expectations.deletion_pending("u2"), "the list is not complete");
        let to_requeue = cache.process(Event::InitDone);
        assert!(
            to_requeue.contains(&key("b")) && to_requeue.contains(&key("c")),
            "{to_requeue:?}"
        );
        assert!(!expectations.deletion_pending("u2"));
        assert!(
            !expectations.deletion_pending("u3"),
            "another object has its name now"
        );
    }
}
