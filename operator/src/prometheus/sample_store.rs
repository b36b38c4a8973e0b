//! The newest samples of all clusters. Subscriptions go in, the poller inserts samples, and reconciles read them
//! without waiting for a Prometheus.

use super::{connection::Connection, limits, promql::PodAnswer};
use crate::cluster_key::ClusterKey;
use jiff::Timestamp;
use poker_operator_core::scale::{
    Sample,
    pod_sum::{PodSum, ReadyPods},
    stale_after,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// One Prometheus as the clusters with the same settings reach it. It serves as a key, so a fingerprint stands for the
/// settings.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    url: String,
    fingerprint: String,
    /// Those of the built-in metrics: one query answers for all clusters of the source.
    matchers: String,
}

impl Source {
    /// The address without credentials.
    pub fn address(&self) -> String {
        let Ok(mut url) = reqwest::Url::parse(&self.url) else {
            return String::new();
        };
        // They fail for addresses that have no credentials.
        let _ = (url.set_username(""), url.set_password(None));
        url.as_str().trim_end_matches('/').to_owned()
    }
}

/// One run of queries. At most one of each is running.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PollJob {
    /// One query answers for all clusters.
    Builtins(Source),
    /// The past of metrics that are forecast.
    Histories(Source),
    /// The custom queries of one cluster.
    Custom(Source, ClusterKey),
}

impl PollJob {
    pub fn source(&self) -> &Source {
        match self {
            PollJob::Builtins(source) | PollJob::Histories(source) | PollJob::Custom(source, _) => source,
        }
    }
}

/// The metrics that a cluster is decided by, and the Prometheus that has them.
#[derive(Clone, PartialEq, Eq)]
pub struct Subscription {
    pub connection: Connection,
    /// What the built-in metrics select, as in a query: `k8s_cluster="eu"`.
    pub matchers: String,
    pub interval: Duration,
    /// Custom queries by metric, with the names of the cluster filled in.
    pub queries: BTreeMap<String, String>,
    /// Queries of the past of metrics that are forecast, by component, metric and lead time.
    pub histories: BTreeMap<String, String>,
    /// Whether new values lead to decisions, so that they trigger a reconcile.
    pub triggers_reconcile: bool,
}

impl Subscription {
    pub fn source(&self) -> Source {
        Source {
            url: self.connection.url.clone(),
            fingerprint: self.connection.fingerprint(),
            matchers: self.matchers.clone(),
        }
    }

    fn has_data_of(&self, other: &Self) -> bool {
        self.connection.has_data_of(&other.connection) && self.matchers == other.matchers
    }

    /// Whether both have the same query for `metric`. Credentials do not matter: they say who reads, not what.
    fn same_metric(&self, other: &Self, metric: &str) -> bool {
        self.has_data_of(other) && self.queries.get(metric) == other.queries.get(metric)
    }

    fn same_history(&self, other: &Self, metric: &str) -> bool {
        self.has_data_of(other) && self.histories.get(metric) == other.histories.get(metric)
    }
}

#[derive(Clone)]
struct CachedSample {
    sample: Sample,
    received: Instant,
}

/// A built-in metric: the recent samples of its pods.
#[derive(Default)]
struct CachedSum {
    sum: PodSum,
    /// When the newest answer was evaluated, by the clock of the Prometheus, and when it arrived.
    answered: Option<(Timestamp, Instant)>,
}

impl CachedSum {
    /// The present time by the clock of the Prometheus.
    fn now(&self, now: Instant) -> Option<Timestamp> {
        let (queried, received) = self.answered?;
        let passed = now.saturating_duration_since(received);
        queried.checked_add(passed).ok()
    }
}

/// The query of the past of a metric: when it ran last, and its answer until it is taken.
struct HistoryFetch {
    requested: Instant,
    answered: bool,
    points: Option<Vec<(Timestamp, f64)>>,
}

/// One cluster.
struct Entry {
    subscription: Subscription,
    /// That of the subscription.
    source: Source,
    samples: HashMap<String, CachedSample>,
    /// Built-in metrics. One whose last query failed has a missing sample besides.
    sums: HashMap<&'static str, CachedSum>,
    histories: HashMap<String, HistoryFetch>,
}

impl Entry {
    fn new(subscription: Subscription) -> Self {
        Self {
            source: subscription.source(),
            subscription,
            samples: HashMap::new(),
            sums: HashMap::new(),
            histories: HashMap::new(),
        }
    }

    /// Follows a changed subscription. What it still asks in the same way is kept: dropped samples look like an outage,
    /// which blocks scale-in for minutes.
    fn change(&mut self, subscription: Subscription) {
        let old = mem::replace(&mut self.subscription, subscription);
        let new = &self.subscription;
        self.source = new.source();
        self.samples.retain(|metric, _| new.same_metric(&old, metric));
        self.sums.retain(|metric, _| new.same_metric(&old, metric));
        self.histories.retain(|metric, _| new.same_history(&old, metric));
    }

    /// Whether an answer to `polled` is one to the present query, with the present settings.
    fn accepts(&self, polled: &Subscription, metric: &str) -> bool {
        self.subscription.connection == polled.connection && self.subscription.same_metric(polled, metric)
    }

    /// Whether a new sample leads to decisions.
    fn triggers(&self, before: &Sample, sample: &Sample) -> bool {
        self.subscription.triggers_reconcile && !before.is_same_for_decisions(sample)
    }

    fn read(&self, metric: &str, now: Instant) -> Sample {
        let stale_after = stale_after(self.subscription.interval);
        let (sample, received) = match (self.samples.get(metric), self.sums.get(metric)) {
            (Some(cached), _) => (cached.sample.clone(), cached.received),
            (
                None,
                Some(CachedSum {
                    sum,
                    answered: Some((_, received)),
                }),
            ) => (sum.sample(stale_after), *received),
            _ => return Sample::pending(),
        };
        match sample {
            Sample::Fresh { at, .. } | Sample::Partial { at, .. }
                if now.saturating_duration_since(received) > stale_after =>
            {
                Sample::Stale { at }
            }
            sample => sample,
        }
    }

    /// Whether a query of the past has to run now: it has not run, or failed some time ago.
    fn is_history_due(&self, metric: &str, now: Instant) -> bool {
        let retry = Duration::from_secs(limits::HISTORY_RETRY_SECONDS);
        self.histories
            .get(metric)
            .is_none_or(|fetch| !fetch.answered && now.duration_since(fetch.requested) >= retry)
    }
}

/// Subscriptions in, samples out.
#[derive(Default)]
pub struct SampleStore {
    clusters: Mutex<BTreeMap<ClusterKey, Entry>>,
    changed: Notify,
}

impl SampleStore {
    /// Has the metrics of `cluster` polled from now on.
    pub fn subscribe(&self, cluster: &ClusterKey, subscription: Subscription) {
        let mut clusters = self.lock();
        match clusters.get_mut(cluster) {
            Some(entry) if entry.subscription == subscription => return,
            Some(entry) => entry.change(subscription),
            None => {
                clusters.insert(cluster.clone(), Entry::new(subscription));
            }
        }
        drop(clusters);
        self.changed.notify_one();
    }

    /// Ends polling for `cluster` and drops its samples.
    pub fn unsubscribe(&self, cluster: &ClusterKey) {
        if self.lock().remove(cluster).is_some() {
            self.changed.notify_one();
        }
    }

    /// Returns once the poll jobs may have changed.
    pub async fn subscriptions_changed(&self) {
        self.changed.notified().await;
    }

    /// The newest sample of `metric`, stale when it is too old to act on.
    pub fn read(&self, cluster: &ClusterKey, metric: &str, now: Instant) -> Sample {
        let clusters = self.lock();
        let entry = clusters.get(cluster);
        entry.map_or_else(Sample::pending, |entry| entry.read(metric, now))
    }

    /// Sets which pods count in a built-in metric, and all that exist.
    pub fn expect_pods(
        &self,
        cluster: &ClusterKey,
        metric: &'static str,
        ready: ReadyPods,
        existing: BTreeSet<String>,
        now: Instant,
    ) {
        let mut clusters = self.lock();
        if let Some(entry) = clusters.get_mut(cluster) {
            let cached = entry.sums.entry(metric).or_default();
            let now = cached.now(now);
            cached.sum.expect(ready, now);
            cached.sum.set_existing(existing);
        }
    }

    /// Keeps the pods in an answer to the query of a built-in metric, as [`Self::insert`] does.
    pub fn insert_pods(
        &self,
        cluster: &ClusterKey,
        polled: &Subscription,
        metric: &'static str,
        answer: PodAnswer,
    ) -> bool {
        self.update(cluster, polled, metric, |entry, now| {
            let cached = entry.sums.entry(metric).or_default();
            cached.sum.insert(answer.values, answer.queried);
            cached.answered = Some((answer.queried, now));
            entry.samples.remove(metric);
        })
    }

    /// Keeps a sample that was polled for the subscription `polled`, unless the cluster has another query or other
    /// settings by now: an old token may be the reason why a sample is missing. True when the sample has to trigger a reconcile.
    pub fn insert(&self, cluster: &ClusterKey, polled: &Subscription, metric: &str, sample: Sample) -> bool {
        self.update(cluster, polled, metric, |entry, now| {
            let cached = CachedSample {
                sample,
                received: now,
            };
            entry.samples.insert(metric.to_owned(), cached);
        })
    }

    fn update(
        &self,
        cluster: &ClusterKey,
        polled: &Subscription,
        metric: &str,
        change: impl FnOnce(&mut Entry, Instant),
    ) -> bool {
        let mut clusters = self.lock();
        let Some(entry) = clusters
            .get_mut(cluster)
            .filter(|entry| entry.accepts(polled, metric))
        else {
            return false;
        };
        let now = Instant::now();
        let before = entry.read(metric, now);
        change(entry, now);
        entry.triggers(&before, &entry.read(metric, now))
    }

    /// Metrics of this source whose query of the past has to run now, with the subscription that has the query. They
    /// count as requested.
    pub fn due_histories(&self, source: &Source, now: Instant) -> Vec<(ClusterKey, String, Subscription)> {
        let mut clusters = self.lock();
        let mut due = Vec::new();
        for (cluster, entry) in clusters.iter_mut().filter(|(_, entry)| entry.source == *source) {
            let metrics = entry.subscription.histories.keys();
            let metrics = metrics
                .filter(|metric| entry.is_history_due(metric, now))
                .cloned();
            for metric in metrics.collect::<Vec<_>>() {
                let fetch = HistoryFetch {
                    requested: now,
                    answered: false,
                    points: None,
                };
                entry.histories.insert(metric.clone(), fetch);
                due.push((cluster.clone(), metric, entry.subscription.clone()));
            }
        }
        due
    }

    /// Keeps the past of a metric, unless the cluster has another query for it by now.
    pub fn insert_history(
        &self,
        cluster: &ClusterKey,
        polled: &Subscription,
        metric: &str,
        points: Vec<(Timestamp, f64)>,
    ) {
        let mut clusters = self.lock();
        let entry = clusters.get_mut(cluster);
        let entry = entry.filter(|entry| entry.subscription.same_history(polled, metric));
        if let Some(fetch) = entry.and_then(|entry| entry.histories.get_mut(metric)) {
            fetch.answered = true;
            fetch.points = Some(points);
        }
    }

    /// The past of a metric, once.
    pub fn take_history(&self, cluster: &ClusterKey, metric: &str) -> Option<Vec<(Timestamp, f64)>> {
        let mut clusters = self.lock();
        clusters
            .get_mut(cluster)?
            .histories
            .get_mut(metric)?
            .points
            .take()
    }

    /// What has to be polled, and how often: each source at the shortest interval of its clusters.
    pub fn poll_jobs(&self) -> BTreeMap<PollJob, Duration> {
        let mut jobs = BTreeMap::new();
        for (cluster, entry) in self.lock().iter() {
            let (source, interval) = (&entry.source, entry.subscription.interval);
            for job in [
                PollJob::Builtins(source.clone()),
                PollJob::Histories(source.clone()),
            ] {
                let shortest = jobs.entry(job).or_insert(interval);
                *shortest = interval.min(*shortest);
            }
            if !entry.subscription.queries.is_empty() {
                jobs.insert(PollJob::Custom(source.clone(), cluster.clone()), interval);
            }
        }
        jobs
    }

    /// The subscription of a cluster, if it is still to this source.
    pub fn subscription(&self, cluster: &ClusterKey, source: &Source) -> Option<Subscription> {
        let clusters = self.lock();
        let entry = clusters.get(cluster).filter(|entry| entry.source == *source);
        entry.map(|entry| entry.subscription.clone())
    }

    /// The settings of a source that a cluster still uses.
    pub fn connection(&self, source: &Source) -> Option<Connection> {
        let clusters = self.lock();
        let mut entries = clusters.values();
        let entry = entries.find(|entry| entry.source == *source)?;
        Some(entry.subscription.connection.clone())
    }

    pub fn subscriptions_to(&self, source: &Source) -> BTreeMap<ClusterKey, Subscription> {
        let clusters = self.lock();
        let of = clusters.iter().filter(|(_, entry)| entry.source == *source);
        of.map(|(cluster, entry)| (cluster.clone(), entry.subscription.clone()))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ClusterKey, Entry>> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
