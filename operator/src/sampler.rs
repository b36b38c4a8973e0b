//! Metrics come in here, once. Per Prometheus (address and token) rounds of queries answer for all clusters, one round
//! of a part at a time, so that slow queries of a user keep nobody else's metrics waiting; reconcile reads the store and
//! never waits for a Prometheus.

use crate::{
    fence::ClusterKey,
    limits,
    metrics::{self, Metrics},
    prometheus::{self, QueryError, Series},
    readings::{self, builtin_reading, custom_reading},
    watches::Triggers,
};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use kube::runtime::{
    controller::{ReconcileReason, ReconcileRequest},
    reflector::ObjectRef,
};
use poker_operator_api::autoscaling::BuiltinMetric;
use poker_operator_core::scale::reading::{Reading, stale_after};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

/// One Prometheus as one cluster reaches it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    pub url: String,
    pub token: Option<String>,
}

/// What a round asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Part {
    /// One query answers for all clusters.
    Builtins,
    /// Custom queries of each.
    Queries,
    /// The past of metrics that are forecast.
    Histories,
}

const PARTS: [Part; 3] = [Part::Builtins, Part::Queries, Part::Histories];

/// What a cluster wants to know.
#[derive(Clone, PartialEq, Eq)]
pub struct Need {
    pub source: Source,
    pub interval: Duration,
    /// Custom queries by metric name, ready to be sent.
    pub queries: BTreeMap<String, String>,
    /// Queries of the past of metrics that are forecast, by component and metric.
    pub histories: BTreeMap<String, String>,
    /// Whether new values lead to decisions, so that the cluster is woken.
    pub wakes: bool,
}

#[derive(Debug, Clone)]
struct Kept {
    reading: Reading,
    received: Instant,
}

/// The past of a metric: when it was asked for last, and the answer until it is taken.
#[derive(Debug, Clone)]
struct Past {
    asked: Instant,
    points: Option<Vec<(Timestamp, f64)>>,
    answered: bool,
}

#[derive(Default)]
struct State {
    pasts: HashMap<ClusterKey, HashMap<String, Past>>,
    needs: BTreeMap<ClusterKey, Need>,
    kept: HashMap<ClusterKey, HashMap<String, Kept>>,
}

/// Needs in, readings out. Cheap to share.
#[derive(Default)]
pub struct Sampler {
    state: Mutex<State>,
    changed: Notify,
}

impl Sampler {
    /// What `cluster` wants from now on; `None` ends it.
    pub fn need(&self, cluster: &ClusterKey, need: Option<Need>) {
        let mut state = self.lock();
        if state.needs.get(cluster) == need.as_ref() {
            return;
        }
        state.kept.remove(cluster);
        state.pasts.remove(cluster);
        match need {
            Some(need) => state.needs.insert(cluster.clone(), need),
            None => state.needs.remove(cluster),
        };
        drop(state);
        self.changed.notify_one();
    }

    /// The last reading of `metric`, stale when it is too old to act on.
    pub fn read(&self, cluster: &ClusterKey, metric: &str, now: Instant) -> Reading {
        let state = self.lock();
        let (Some(need), Some(kept)) = (
            state.needs.get(cluster),
            state.kept.get(cluster).and_then(|kept| kept.get(metric)),
        ) else {
            return Reading::Missing {
                why: "not asked for yet".to_owned(),
            };
        };
        match &kept.reading {
            Reading::Fresh { at, .. } if now.duration_since(kept.received) > stale_after(need.interval) => {
                Reading::Stale { at: *at }
            }
            reading => reading.clone(),
        }
    }

    /// The past of a metric, once.
    pub fn take_history(&self, cluster: &ClusterKey, metric: &str) -> Option<Vec<(Timestamp, f64)>> {
        self.lock().pasts.get_mut(cluster)?.get_mut(metric)?.points.take()
    }

    /// Pasts of this source to ask for now; they count as asked.
    fn due_histories(&self, source: &Source, now: Instant) -> Vec<(ClusterKey, String, String)> {
        let mut state = self.lock();
        let State { needs, pasts, .. } = &mut *state;
        let mut due = Vec::new();
        for (cluster, need) in needs.iter().filter(|(_, need)| need.source == *source) {
            for (metric, query) in &need.histories {
                let past = pasts.entry(cluster.clone()).or_default().get(metric);
                let retry = Duration::from_secs(limits::HISTORY_RETRY_SECONDS);
                if past.is_none_or(|past| !past.answered && now.duration_since(past.asked) >= retry) {
                    let asked = Past {
                        asked: now,
                        points: None,
                        answered: false,
                    };
                    pasts
                        .entry(cluster.clone())
                        .or_default()
                        .insert(metric.clone(), asked);
                    due.push((cluster.clone(), metric.clone(), query.clone()));
                }
            }
        }
        due
    }

    /// Keeps a past that is still wanted.
    fn keep_history(&self, cluster: &ClusterKey, metric: &str, points: Vec<(Timestamp, f64)>) {
        let mut state = self.lock();
        let past = state
            .pasts
            .get_mut(cluster)
            .and_then(|pasts| pasts.get_mut(metric));
        if let Some(past) = past {
            past.answered = true;
            past.points = Some(points);
        }
    }

    /// Each source with the shortest interval that a cluster asks for.
    fn sources(&self) -> BTreeMap<Source, Duration> {
        let mut sources = BTreeMap::new();
        for need in self.lock().needs.values() {
            let interval = sources.entry(need.source.clone()).or_insert(need.interval);
            *interval = need.interval.min(*interval);
        }
        sources
    }

    fn needs_of(&self, source: &Source) -> BTreeMap<ClusterKey, Need> {
        let state = self.lock();
        let mine = state.needs.iter().filter(|(_, need)| need.source == *source);
        mine.map(|(cluster, need)| (cluster.clone(), need.clone()))
            .collect()
    }

    /// Keeps the readings of a round and returns the clusters to wake.
    fn keep(&self, source: &Source, round: Vec<(ClusterKey, String, Reading)>) -> Vec<ClusterKey> {
        let mut state = self.lock();
        let State { needs, kept, .. } = &mut *state;
        let mut wake = HashSet::new();
        for (cluster, metric, reading) in round {
            let Some(need) = needs.get(&cluster).filter(|need| need.source == *source) else {
                continue;
            };
            let new = Kept {
                reading,
                received: Instant::now(),
            };
            let before = kept
                .entry(cluster.clone())
                .or_default()
                .insert(metric, new.clone());
            if need.wakes && before.is_none_or(|before| !readings::same_value(&before.reading, &new.reading))
            {
                wake.insert(cluster);
            }
        }
        wake.into_iter().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the rounds until `stop`.
///
/// # Errors
/// When the HTTP client cannot be made.
pub async fn run(
    sampler: Arc<Sampler>,
    triggers: Triggers,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let asker = Asker {
        sampler: sampler.clone(),
        triggers,
        metrics,
        http: prometheus::client()?,
    };
    let mut rounds = JoinSet::new();
    let mut due: BTreeMap<(Source, Part), Instant> = BTreeMap::new();
    let mut running: HashSet<(Source, Part)> = HashSet::new();
    loop {
        let sources = sampler.sources();
        due.retain(|(source, _), _| sources.contains_key(source));
        for (source, interval) in sources {
            for part in PARTS {
                let round = (source.clone(), part);
                let at = due.entry(round.clone()).or_insert_with(Instant::now);
                if *at <= Instant::now() && running.insert(round.clone()) {
                    *at = Instant::now() + interval;
                    let asker = asker.clone();
                    rounds.spawn(async move {
                        asker.round(&round.0, round.1).await;
                        round
                    });
                }
            }
        }
        let next = due
            .iter()
            .filter(|(round, _)| !running.contains(*round))
            .map(|(_, at)| *at)
            .min();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = sampler.changed.notified() => {}
            () = sleep_until(next) => {}
            Some(ended) = rounds.join_next() => {
                running.remove(&ended?);
            }
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

pub const BUILTINS: [(BuiltinMetric, &str); 2] = [
    (BuiltinMetric::Participants, "poker_shard_participants"),
    (BuiltinMetric::Connections, "poker_gateway_connections"),
];

/// Asks, keeps what comes and wakes whom it concerns. Cheap to clone.
#[derive(Clone)]
struct Asker {
    sampler: Arc<Sampler>,
    triggers: Triggers,
    metrics: Arc<Metrics>,
    http: reqwest::Client,
}

impl Asker {
    async fn round(&self, source: &Source, part: Part) {
        match part {
            Part::Builtins => self.builtins(source).await,
            Part::Queries => self.queries(source).await,
            Part::Histories => self.histories(source).await,
        }
    }

    async fn builtins(&self, source: &Source) {
        let needs = self.sampler.needs_of(source);
        let mut readings = Vec::new();
        for (builtin, series) in BUILTINS {
            let answer = self.ask(source, &readings::builtin_query(series)).await;
            let answer = answer.as_deref();
            readings.extend(needs.iter().map(|(cluster, need)| {
                let reading = builtin_reading(answer, cluster, stale_after(need.interval));
                (cluster.clone(), builtin.name().to_owned(), reading)
            }));
            if answer.is_ok() {
                self.metrics.sampled(builtin.name());
            }
        }
        self.keep(source, readings).await;
    }

    async fn queries(&self, source: &Source) {
        let needs = self.sampler.needs_of(source).into_iter();
        let queries = needs.flat_map(|(cluster, need)| {
            let stale_after = stale_after(need.interval);
            let queries = need.queries.into_iter();
            queries.map(move |(metric, query)| (cluster.clone(), metric, query, stale_after))
        });
        let asked = async |(cluster, metric, query, stale_after): (ClusterKey, String, String, Duration)| {
            let value = self.ask(source, &query).await;
            let stamps = self.get(source, &format!("timestamp({query})")).await;
            let reading = custom_reading(value, stamps, stale_after);
            self.keep(source, vec![(cluster, metric, reading)]).await;
        };
        stream::iter(queries)
            .for_each_concurrent(limits::QUERY_CONCURRENCY, asked)
            .await;
    }

    /// Reads the past of metrics that are forecast, once each. One that fails is asked for again later;
    /// until then the forecast learns from new samples alone.
    async fn histories(&self, source: &Source) {
        let due = self.sampler.due_histories(source, Instant::now());
        let asked = async |(cluster, metric, query): (ClusterKey, String, String)| {
            let range = prometheus::Range {
                end: Timestamp::now(),
                points: limits::HISTORY_POINTS,
                step_seconds: limits::HISTORY_STEP_SECONDS,
            };
            let token = source.token.as_deref();
            match prometheus::query_range(&self.http, &source.url, token, &query, range).await {
                Ok(points) => self.sampler.keep_history(&cluster, &metric, points),
                Err(error) => self.failed(&error),
            }
        };
        stream::iter(due)
            .for_each_concurrent(limits::QUERY_CONCURRENCY, asked)
            .await;
    }

    async fn keep(&self, source: &Source, readings: Vec<(ClusterKey, String, Reading)>) {
        for (namespace, name) in self.sampler.keep(source, readings) {
            let reason = ReconcileReason::Custom {
                reason: "new samples".to_owned(),
            };
            let obj_ref = ObjectRef::new(&name).within(&namespace);
            // A closed queue means that the process is stopping.
            let _ = self.triggers.send(ReconcileRequest { obj_ref, reason }).await;
        }
    }

    /// As [`Self::get`], counted.
    async fn ask(&self, source: &Source, query: &str) -> Result<Vec<Series>, QueryError> {
        let begun = Instant::now();
        let answer = self.get(source, query).await;
        self.metrics
            .sampler_seconds
            .observe(begun.elapsed().as_secs_f64());
        answer.inspect_err(|error| self.failed(error))
    }

    async fn get(&self, source: &Source, query: &str) -> Result<Vec<Series>, QueryError> {
        prometheus::query(&self.http, &source.url, source.token.as_deref(), query).await
    }

    fn failed(&self, error: &QueryError) {
        let reason = metrics::Reason {
            reason: error.label(),
        };
        self.metrics.sampler_errors.get_or_create(&reason).inc();
        tracing::debug!(%error, "Prometheus query failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Json, Router, extract::Query, routing::get};
    use serde_json::json;
    use tokio::net::TcpListener;

    fn key() -> ClusterKey {
        ("ns".to_owned(), "demo".to_owned())
    }

    /// A Prometheus that answers for the shards and never for the query of a user; and how often it was asked.
    async fn slow_for_one(asked: Arc<Notify>) -> String {
        let answer = |Query(parameters): Query<HashMap<String, String>>| async move {
            if parameters["query"].contains("slow") {
                std::future::pending::<()>().await;
            }
            asked.notify_one();
            let labels = |what| json!({"namespace": "ns", "cluster": "demo", "what": what});
            let result: Vec<_> = [("sum", "7"), ("oldest", "1000"), ("count", "1")]
                .into_iter()
                .map(|(what, value)| json!({"metric": labels(what), "value": [1000, value]}))
                .collect();
            Json(json!({"status": "success", "data": {"resultType": "vector", "result": result}}))
        };
        let router = Router::new().route("/api/v1/query", get(answer));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        url
    }

    #[tokio::test]
    async fn a_slow_query_keeps_nobody_elses_metrics_waiting() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let asked = Arc::new(Notify::new());
        let url = slow_for_one(asked.clone()).await;
        let sampler = Arc::new(Sampler::default());
        let need = Need {
            source: Source { url, token: None },
            interval: Duration::from_millis(1),
            queries: BTreeMap::from([("mine".to_owned(), "slow".to_owned())]),
            histories: BTreeMap::new(),
            wakes: true,
        };
        sampler.need(&key(), Some(need));
        let (triggers, mut woken) = tokio::sync::mpsc::channel(8);
        let stop = CancellationToken::new();
        let rounds = tokio::spawn(run(sampler.clone(), triggers, Arc::default(), stop.clone()));
        let first = woken.recv().await.unwrap();
        assert_eq!(first.obj_ref.name, "demo");
        let read = sampler.read(&key(), "participants", Instant::now());
        assert!(matches!(read, Reading::Fresh { value: 7.0, .. }), "{read:?}");
        // Two built-in metrics a round: more of them begin while the query has no answer.
        for _ in 0..8 {
            asked.notified().await;
        }
        let read = sampler.read(&key(), "mine", Instant::now());
        assert!(matches!(read, Reading::Missing { .. }), "{read:?}");
        stop.cancel();
        rounds.await.unwrap().unwrap();
    }

    #[test]
    fn readings_age_and_wake_only_when_they_change() {
        let sampler = Sampler::default();
        let source = Source {
            url: "http://prometheus".into(),
            token: None,
        };
        let interval = Duration::from_secs(5);
        let need = Need {
            source: source.clone(),
            interval,
            queries: BTreeMap::new(),
            histories: BTreeMap::from([("shard/participants".to_owned(), "sum(x)".to_owned())]),
            wakes: true,
        };
        sampler.need(&key(), Some(need));
        assert!(matches!(
            sampler.read(&key(), "participants", Instant::now()),
            Reading::Missing { .. }
        ));
        let at = Timestamp::from_second(990).unwrap();
        let fresh = |value| Reading::Fresh {
            value,
            at,
            series: Some(3),
        };
        let keep = |value| sampler.keep(&source, vec![(key(), "participants".to_owned(), fresh(value))]);
        assert_eq!(keep(1.0), [key()]);
        assert!(keep(1.0).is_empty());
        assert_eq!(keep(2.0), [key()]);
        assert_eq!(sampler.read(&key(), "participants", Instant::now()), fresh(2.0));
        let later = Instant::now() + stale_after(interval) + Duration::from_secs(1);
        assert_eq!(sampler.read(&key(), "participants", later), Reading::Stale { at });
        let asked = Instant::now();
        assert_eq!(sampler.due_histories(&source, asked).len(), 1);
        assert_eq!(sampler.due_histories(&source, asked).len(), 0, "asked already");
        let retry = asked + Duration::from_secs(limits::HISTORY_RETRY_SECONDS);
        assert_eq!(sampler.due_histories(&source, retry).len(), 1, "no answer came");
        sampler.keep_history(&key(), "shard/participants", vec![(at, 5.0)]);
        assert_eq!(sampler.due_histories(&source, retry + interval * 100).len(), 0);
        assert_eq!(
            sampler.take_history(&key(), "shard/participants"),
            Some(vec![(at, 5.0)])
        );
        assert_eq!(sampler.take_history(&key(), "shard/participants"), None, "once");
        sampler.need(&key(), None);
        assert!(
            keep(3.0).is_empty(),
            "a round that ends after the cluster is forgotten"
        );
    }
}
