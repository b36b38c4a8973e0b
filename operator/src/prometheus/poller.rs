//! Polls each Prometheus on an interval. One query of a built-in metric answers for all clusters; the custom queries of
//! a cluster are a job of their own, so that slow ones delay no other cluster.

use crate::{
    cluster_key::ClusterKey,
    metrics::{self, BuiltinQuery, Metrics},
    prometheus::{
        client::{Client, Range, Series},
        connection::Connection,
        limits,
        promql::{self, BUILTINS, custom_sample},
        query_error::QueryError,
        sample_store::{PollJob, SampleStore, Source, Subscription},
    },
    triggers::Triggers,
};
use futures::{StreamExt, future::OptionFuture, stream};
use jiff::Timestamp;
use poker_operator_core::scale::{Sample, stale_after};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// Polls until `stop`.
///
/// # Errors
/// When a query panics.
pub async fn run(
    samples: Arc<SampleStore>,
    triggers: Triggers,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let poller = Poller {
        samples: samples.clone(),
        triggers,
        metrics,
    };
    let mut tasks = JoinSet::new();
    let mut due: BTreeMap<PollJob, Instant> = BTreeMap::new();
    let mut running: HashSet<PollJob> = HashSet::new();
    let mut targets: HashMap<Source, Arc<Target>> = HashMap::new();
    // Addresses that have a metric.
    let mut reported: BTreeSet<String> = BTreeSet::new();
    loop {
        let jobs = samples.poll_jobs();
        due.retain(|job, _| jobs.contains_key(job));
        let sources: HashSet<_> = jobs.keys().map(PollJob::source).collect();
        targets.retain(|source, _| sources.contains(source));
        let sources = targets.keys().chain(running.iter().map(PollJob::source));
        let used = sources.map(Source::address).collect();
        poller.forget(reported.difference(&used));
        reported = used;
        for (job, interval) in jobs {
            let Some(target) = target(&mut targets, &samples, job.source()) else {
                continue;
            };
            let at = due.entry(job.clone()).or_insert_with(Instant::now);
            if *at <= Instant::now() && running.insert(job.clone()) {
                *at = Instant::now() + interval;
                let poller = poller.clone();
                tasks.spawn(async move {
                    poller.poll(&job, &target).await;
                    job
                });
            }
        }
        let waiting = due.iter().filter(|(job, _)| !running.contains(*job));
        let next = waiting.map(|(_, at)| *at).min();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = samples.subscriptions_changed() => {}
            Some(()) = OptionFuture::from(next.map(sleep_until)) => {}
            Some(ended) = tasks.join_next() => {
                running.remove(&ended?);
            }
        }
    }
}

/// One source: its client, made once, and the running custom queries.
struct Target {
    client: Result<Client, QueryError>,
    custom_queries: Semaphore,
}

/// The target of a source, which a changed setting makes another source. `None` once no cluster uses it.
fn target(
    targets: &mut HashMap<Source, Arc<Target>>,
    samples: &SampleStore,
    source: &Source,
) -> Option<Arc<Target>> {
    if let Some(target) = targets.get(source) {
        return Some(target.clone());
    }
    let target = Arc::new(Target::new(&samples.connection(source)?));
    targets.insert(source.clone(), target.clone());
    Some(target)
}

impl Target {
    fn new(connection: &Connection) -> Self {
        let timeout = Duration::from_secs(limits::QUERY_TIMEOUT_SECONDS);
        Self {
            client: Client::new(connection, timeout),
            custom_queries: Semaphore::new(limits::CUSTOM_QUERIES_AT_ONCE),
        }
    }

    fn client(&self) -> Result<&Client, QueryError> {
        self.client.as_ref().map_err(Clone::clone)
    }
}

/// Runs queries, keeps their samples and triggers reconciles. Cheap to clone.
#[derive(Clone)]
struct Poller {
    samples: Arc<SampleStore>,
    triggers: Triggers,
    metrics: Arc<Metrics>,
}

impl Poller {
    async fn poll(&self, job: &PollJob, target: &Target) {
        match job {
            PollJob::Builtins(source) => self.builtins(source, target).await,
            PollJob::Histories(source) => self.histories(source, target).await,
            PollJob::Custom(source, cluster) => self.custom(source, cluster, target).await,
        }
    }

    async fn builtins(&self, source: &Source, target: &Target) {
        let subscriptions = self.samples.subscriptions_to(source);
        // All of one source have the same matchers.
        let Some(any) = subscriptions.values().next() else {
            return;
        };
        let mut to_reconcile = BTreeSet::new();
        for (builtin, series) in BUILTINS {
            let query = promql::builtin_query(series, &any.matchers);
            let answer = self.query(target, &query).await;
            let pods = answer.as_deref().map(promql::pods_by_cluster);
            let mut pods = pods.unwrap_or_default();
            for (cluster, subscription) in &subscriptions {
                let metric = builtin.name();
                let is_new = match pods.remove(cluster) {
                    Some(pods) => self.samples.insert_pods(cluster, subscription, metric, pods),
                    None => self
                        .samples
                        .insert(cluster, subscription, metric, no_pods(&answer, cluster)),
                };
                if is_new {
                    to_reconcile.insert(cluster);
                }
            }
            let query = BuiltinQuery {
                metric: builtin.name(),
                url: source.address(),
            };
            self.metrics
                .queried(&query, answer.is_ok_and(|series| !series.is_empty()));
        }
        for cluster in to_reconcile {
            self.triggers.reconcile(cluster, "new samples").await;
        }
    }

    /// One query after the other, so that no cluster takes the place of another.
    async fn custom(&self, source: &Source, cluster: &ClusterKey, target: &Target) {
        let Some(subscription) = self.samples.subscription(cluster, source) else {
            return;
        };
        for (metric, query) in &subscription.queries {
            // Never closed.
            let _permit = target.custom_queries.acquire().await;
            let sample = self.custom_sample(target, query, subscription.interval).await;
            if self.samples.insert(cluster, &subscription, metric, sample) {
                self.triggers.reconcile(cluster, "new samples").await;
            }
        }
    }

    async fn custom_sample(&self, target: &Target, query: &str, interval: Duration) -> Sample {
        let value = match self.query(target, query).await {
            Ok(value) => value,
            Err(error) => return Sample::missing(error.to_string()),
        };
        let timestamps = match target.client() {
            Ok(client) => client.query(&format!("timestamp({query})")).await,
            Err(error) => Err(error),
        };
        custom_sample(&value, timestamps, stale_after(interval))
    }

    /// Reads the past of metrics that are forecast, once each. A query that fails is repeated later; until then the
    /// forecast learns from new samples alone.
    async fn histories(&self, source: &Source, target: &Target) {
        let due = self.samples.due_histories(source, Instant::now());
        let fetch = async |(cluster, metric, subscription): (ClusterKey, String, Subscription)| {
            let range = Range {
                end: Timestamp::now(),
                points: limits::HISTORY_POINTS,
                step_seconds: limits::HISTORY_STEP_SECONDS,
            };
            let Some(query) = subscription.histories.get(&metric) else {
                return;
            };
            let points = match target.client() {
                Ok(client) => client.query_range(query, range).await,
                Err(error) => Err(error),
            };
            match points {
                Ok(points) => {
                    self.samples
                        .insert_history(&cluster, &subscription, &metric, points);
                }
                Err(error) => self.count(&error),
            }
        };
        stream::iter(due)
            .for_each_concurrent(limits::HISTORY_QUERIES_AT_ONCE, fetch)
            .await;
    }

    /// Ends the metrics of addresses that no cluster uses any more.
    fn forget<'a>(&self, addresses: impl Iterator<Item = &'a String>) {
        for url in addresses {
            for (builtin, _) in BUILTINS {
                let (metric, url) = (builtin.name(), url.clone());
                self.metrics.forget_query(&BuiltinQuery { metric, url });
            }
        }
    }

    /// Runs a query, measures it and counts its error.
    async fn query(&self, target: &Target, query: &str) -> Result<Vec<Series>, QueryError> {
        let begun = Instant::now();
        let answer = match target.client() {
            Ok(client) => client.query(query).await,
            Err(error) => Err(error),
        };
        self.metrics
            .query_duration_seconds
            .observe(begun.elapsed().as_secs_f64());
        answer.inspect_err(|error| self.count(error))
    }

    fn count(&self, error: &QueryError) {
        let reason = metrics::Reason {
            reason: error.label(),
        };
        self.metrics.query_errors.get_or_create(&reason).inc();
        tracing::debug!(%error, "Prometheus query failed");
    }
}

/// The sample of a built-in metric without a pod in the answer.
fn no_pods(answer: &Result<Vec<Series>, QueryError>, cluster: &ClusterKey) -> Sample {
    match answer {
        Ok(answer) => Sample::no_value(promql::no_pods(answer, cluster)),
        Err(error) => Sample::missing(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Json, Router, extract::Query, routing::get};
    use poker_operator_core::scale::pod_sum::ReadyPods;
    use prometheus_client::encoding::text::encode;
    use serde_json::json;
    use tokio::{net::TcpListener, sync::Notify, time::timeout};

    /// Nothing here takes this long unless it is stuck.
    const STUCK: Duration = Duration::from_secs(30);

    fn key(cluster: &str) -> ClusterKey {
        ClusterKey::new("ns", cluster)
    }

    fn subscription(url: &str, queries: &[(&str, &str)]) -> Subscription {
        let owned = |(metric, query): &(&str, &str)| ((*metric).to_owned(), (*query).to_owned());
        Subscription {
            connection: Connection {
                url: url.to_owned(),
                ..Connection::default()
            },
            matchers: String::new(),
            interval: Duration::from_millis(1),
            queries: queries.iter().map(owned).collect(),
            histories: BTreeMap::new(),
            triggers_reconcile: true,
        }
    }

    async fn serve(router: Router) -> String {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        url
    }

    fn vector(values: &[(&str, &str)]) -> Json<serde_json::Value> {
        let pod =
            json!({"namespace": "ns", "cluster": "demo", "revision": "0123abcd", "shard": "0", "pod": "a"});
        let labels = |what: &str| {
            let mut labels = pod.clone();
            labels["what"] = what.into();
            labels
        };
        let result: Vec<_> = values
            .iter()
            .map(|(what, value)| json!({"metric": labels(what), "value": [1000, value]}))
            .collect();
        Json(json!({"status": "success", "data": {"resultType": "vector", "result": result}}))
    }

    const BUILTIN: [(&str, &str); 2] = [("value", "7"), ("time", "1000")];

    /// The Deployment of the one pod.
    fn ready_pods() -> ReadyPods {
        ReadyPods::from([("demo-shard-0-0123abcd".to_owned(), 1)])
    }

    /// A Prometheus that answers all queries but `slow`, and notifies of each query `quick`.
    async fn prometheus(quick: Arc<Notify>) -> String {
        let answer = |Query(parameters): Query<HashMap<String, String>>| async move {
            match &*parameters["query"] {
                "slow" => std::future::pending().await,
                "quick" => {
                    quick.notify_one();
                    vector(&[("", "1000")])
                }
                "timestamp(quick)" => vector(&[("", "1000")]),
                _ => vector(&BUILTIN),
            }
        };
        serve(Router::new().route("/api/v1/query", get(answer))).await
    }

    #[tokio::test]
    async fn a_slow_query_delays_no_other_cluster() {
        let quick = Arc::new(Notify::new());
        let url = prometheus(quick.clone()).await;
        let samples = Arc::new(SampleStore::default());
        for (cluster, query) in [("demo", "slow"), ("other", "quick")] {
            samples.subscribe(&key(cluster), subscription(&url, &[("custom", query)]));
            samples.expect_pods(
                &key(cluster),
                "participants",
                ready_pods(),
                BTreeSet::new(),
                Instant::now(),
            );
        }
        let (triggers, mut triggered) = crate::triggers::queue();
        let stop = CancellationToken::new();
        let polling = tokio::spawn(run(samples.clone(), triggers, Arc::default(), stop.clone()));
        let read = |cluster, metric| samples.read(&key(cluster), metric, Instant::now());
        let others = async {
            for (cluster, metric) in [("demo", "participants"), ("other", "custom")] {
                while !matches!(read(cluster, metric), Sample::Fresh { .. }) {
                    triggered.recv().await.unwrap();
                }
            }
            // Many jobs end while one query has no answer.
            for _ in 0..10 {
                quick.notified().await;
            }
        };
        timeout(STUCK, others)
            .await
            .expect("the slow query delays others");
        let slow = read("demo", "custom");
        assert!(matches!(slow, Sample::Missing { .. }), "{slow:?}");
        stop.cancel();
        timeout(STUCK, polling).await.expect("stuck").unwrap().unwrap();
    }

    /// Time of the last success by `metric`, as `/metrics` shows it.
    fn last_success(metrics: &Metrics, url: &str) -> Option<i64> {
        let mut text = String::new();
        encode(&mut text, &metrics.registry()).unwrap();
        let name = "poker_operator_prometheus_last_success_timestamp_seconds";
        let labels = format!(r#"{name}{{metric="participants",url="{url}"}} "#);
        let value = text.lines().find_map(|line| line.strip_prefix(&labels))?;
        Some(value.parse().unwrap())
    }

    #[tokio::test]
    async fn the_last_success_is_of_one_prometheus_and_needs_a_series() {
        let working = serve(Router::new().route("/api/v1/query", get(async || vector(&BUILTIN)))).await;
        let empty = serve(Router::new().route("/api/v1/query", get(async || vector(&[])))).await;
        let failing = serve(Router::new()).await;
        let samples = Arc::new(SampleStore::default());
        for (cluster, url) in [("demo", &working), ("empty", &empty), ("failing", &failing)] {
            samples.subscribe(&key(cluster), subscription(url, &[]));
        }
        let (triggers, mut triggered) = crate::triggers::queue();
        let (metrics, stop) = (Arc::new(Metrics::default()), CancellationToken::new());
        let polling = tokio::spawn(run(samples.clone(), triggers, metrics.clone(), stop.clone()));
        let mut clusters = BTreeSet::new();
        while clusters.len() < 3 {
            let request = timeout(STUCK, triggered.recv()).await.expect("stuck").unwrap();
            clusters.insert(request.obj_ref.name);
        }
        assert!(last_success(&metrics, &working).is_some_and(|at| at > 0));
        assert_eq!(last_success(&metrics, &empty), Some(0), "scrapes nothing");
        assert_eq!(last_success(&metrics, &failing), Some(0));
        samples.unsubscribe(&key("failing"));
        let forgotten = async {
            while last_success(&metrics, &failing).is_some() {
                tokio::task::yield_now().await;
            }
        };
        timeout(STUCK, forgotten).await.expect("its metric stays");
        assert!(last_success(&metrics, &working).is_some());
        stop.cancel();
        timeout(STUCK, polling).await.expect("stuck").unwrap().unwrap();
    }
}
