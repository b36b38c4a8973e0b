//! Asks each Prometheus in rounds. One query of a built-in metric answers for all clusters; the queries of a cluster's
//! own are a round of their own, so that slow ones keep no other cluster waiting.

use crate::{
    cluster_key::ClusterKey,
    limits,
    metrics::{self, Metrics},
    prometheus::client::{self, QueryError, Series},
    prometheus::promql::{self, builtin_reading, custom_reading},
    prometheus::sample_store::{BUILTINS, Round, SampleStore, Source},
    triggers::Triggers,
};
use futures::{StreamExt, future::OptionFuture, stream};
use jiff::Timestamp;
use poker_operator_core::scale::reading::{Reading, stale_after};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// Asks until `stop`.
///
/// # Errors
/// When the HTTP client cannot be made.
pub async fn run(
    sampler: Arc<SampleStore>,
    triggers: Triggers,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let asker = Asker {
        sampler: sampler.clone(),
        triggers,
        metrics,
        http: client::client()?,
    };
    let mut tasks = JoinSet::new();
    let mut due: BTreeMap<Round, Instant> = BTreeMap::new();
    let mut running: HashSet<Round> = HashSet::new();
    // Custom queries under way, by source.
    let mut permits: HashMap<Source, Arc<Semaphore>> = HashMap::new();
    loop {
        let rounds = sampler.rounds();
        due.retain(|round, _| rounds.contains_key(round));
        permits.retain(|source, _| rounds.keys().any(|round| round.source() == source));
        for (round, interval) in rounds {
            let at = due.entry(round.clone()).or_insert_with(Instant::now);
            if *at <= Instant::now() && running.insert(round.clone()) {
                *at = Instant::now() + interval;
                let permits = permits
                    .entry(round.source().clone())
                    .or_insert_with(|| Arc::new(Semaphore::new(limits::CUSTOM_QUERIES_AT_ONCE)));
                let (asker, permits) = (asker.clone(), permits.clone());
                tasks.spawn(async move {
                    asker.round(&round, &permits).await;
                    round
                });
            }
        }
        let waiting = due.iter().filter(|(round, _)| !running.contains(*round));
        let next = waiting.map(|(_, at)| *at).min();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = sampler.changed() => {}
            Some(()) = OptionFuture::from(next.map(sleep_until)) => {}
            Some(ended) = tasks.join_next() => {
                running.remove(&ended?);
            }
        }
    }
}

/// Asks, keeps what comes and wakes whom it concerns. Cheap to clone.
#[derive(Clone)]
struct Asker {
    sampler: Arc<SampleStore>,
    triggers: Triggers,
    metrics: Arc<Metrics>,
    http: reqwest::Client,
}

impl Asker {
    async fn round(&self, round: &Round, permits: &Semaphore) {
        match round {
            Round::Builtins(source) => self.builtins(source).await,
            Round::Histories(source) => self.histories(source).await,
            Round::Queries(source, cluster) => self.queries(source, cluster, permits).await,
        }
    }

    async fn builtins(&self, source: &Source) {
        let needs = self.sampler.needs_of(source);
        let mut readings = Vec::new();
        for (builtin, series) in BUILTINS {
            let answer = self.ask(source, &promql::builtin_query(series)).await;
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

    /// One after the other: no cluster takes the place of another.
    async fn queries(&self, source: &Source, cluster: &ClusterKey, permits: &Semaphore) {
        let Some(need) = self
            .sampler
            .need_of(cluster)
            .filter(|need| need.source == *source)
        else {
            return;
        };
        for (metric, query) in need.queries {
            // Never closed.
            let _permit = permits.acquire().await;
            let reading = self.custom(source, &query, stale_after(need.interval)).await;
            self.keep(source, vec![(cluster.clone(), metric, reading)]).await;
        }
    }

    async fn custom(&self, source: &Source, query: &str, stale_after: Duration) -> Reading {
        let value = match self.ask(source, query).await {
            Ok(value) => value,
            Err(error) => {
                return Reading::Missing {
                    why: error.to_string(),
                };
            }
        };
        let stamps = self.get(source, &format!("timestamp({query})")).await;
        custom_reading(&value, stamps, stale_after)
    }

    /// Reads the past of metrics that are forecast, once each. One that fails is asked for again later;
    /// until then the forecast learns from new samples alone.
    async fn histories(&self, source: &Source) {
        let due = self.sampler.due_histories(source, Instant::now());
        let asked = async |(cluster, metric, query): (ClusterKey, String, String)| {
            let range = client::Range {
                end: Timestamp::now(),
                points: limits::HISTORY_POINTS,
                step_seconds: limits::HISTORY_STEP_SECONDS,
            };
            let token = source.token.as_deref();
            match client::query_range(&self.http, &source.url, token, &query, range).await {
                Ok(points) => self.sampler.keep_history(&cluster, &metric, points),
                Err(error) => self.failed(&error),
            }
        };
        stream::iter(due)
            .for_each_concurrent(limits::HISTORY_QUERIES_AT_ONCE, asked)
            .await;
    }

    async fn keep(&self, source: &Source, readings: Vec<(ClusterKey, String, Reading)>) {
        for cluster in self.sampler.keep(source, readings) {
            self.triggers.reconcile(&cluster, "new samples").await;
        }
    }

    /// As [`Self::get`], counted.
    async fn ask(&self, source: &Source, query: &str) -> Result<Vec<Series>, QueryError> {
        let begun = Instant::now();
        let answer = self.get(source, query).await;
        self.metrics
            .query_duration_seconds
            .observe(begun.elapsed().as_secs_f64());
        answer.inspect_err(|error| self.failed(error))
    }

    async fn get(&self, source: &Source, query: &str) -> Result<Vec<Series>, QueryError> {
        client::query(&self.http, &source.url, source.token.as_deref(), query).await
    }

    fn failed(&self, error: &QueryError) {
        let reason = metrics::Reason {
            reason: error.label(),
        };
        self.metrics.query_errors.get_or_create(&reason).inc();
        tracing::debug!(%error, "Prometheus query failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::sample_store::Subscription;
    use axum::{Json, Router, extract::Query, routing::get};
    use serde_json::json;
    use tokio::{net::TcpListener, sync::Notify, time::timeout};

    /// Nothing here takes this long unless it is stuck.
    const STUCK: Duration = Duration::from_secs(30);

    fn key(cluster: &str) -> ClusterKey {
        ClusterKey::new("ns", cluster)
    }

    /// A Prometheus that answers all but the query `slow`, and tells when it is asked `quick`.
    async fn prometheus(quick: Arc<Notify>) -> String {
        let answer = |Query(parameters): Query<HashMap<String, String>>| async move {
            let query = &*parameters["query"];
            let values = match query {
                "slow" => std::future::pending().await,
                "quick" | "timestamp(quick)" => vec![("", "1000")],
                _ => vec![("sum", "7"), ("oldest", "1000"), ("count", "1")],
            };
            if query == "quick" {
                quick.notify_one();
            }
            let labels = |what| json!({"namespace": "ns", "cluster": "demo", "what": what});
            let result: Vec<_> = values
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
        let quick = Arc::new(Notify::new());
        let url = prometheus(quick.clone()).await;
        let sampler = Arc::new(SampleStore::default());
        for (cluster, query) in [("demo", "slow"), ("other", "quick")] {
            let need = Subscription {
                source: Source {
                    url: url.clone(),
                    token: None,
                },
                interval: Duration::from_millis(1),
                queries: BTreeMap::from([("mine".to_owned(), query.to_owned())]),
                histories: BTreeMap::new(),
                wakes: true,
            };
            sampler.need(&key(cluster), Some(need));
        }
        let (triggers, mut woken) = crate::triggers::queue();
        let stop = CancellationToken::new();
        let asking = tokio::spawn(run(sampler.clone(), triggers, Arc::default(), stop.clone()));
        let read = |cluster, metric| sampler.read(&key(cluster), metric, Instant::now());
        let others = async {
            for (cluster, metric) in [("demo", "participants"), ("other", "mine")] {
                while !matches!(read(cluster, metric), Reading::Fresh { .. }) {
                    woken.recv().await.unwrap();
                }
            }
            // Many rounds end while one has no answer.
            for _ in 0..10 {
                quick.notified().await;
            }
        };
        timeout(STUCK, others)
            .await
            .expect("the slow query keeps others waiting");
        let slow = read("demo", "mine");
        assert!(matches!(slow, Reading::Missing { .. }), "{slow:?}");
        stop.cancel();
        timeout(STUCK, asking).await.expect("stuck").unwrap().unwrap();
    }
}
