//! The operator's own metrics. Label values come from fixed sets: they are never names of objects.

use jiff::Timestamp;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use std::sync::Arc;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Reason {
    pub reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Kind {
    pub kind: &'static str,
}

/// The query of a built-in metric to one Prometheus.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct BuiltinQuery {
    pub metric: &'static str,
    /// Address of the Prometheus without credentials.
    pub url: String,
}

#[derive(Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    pub reconcile_duration_seconds: Histogram,
    pub reconcile_errors: Family<Reason, Counter>,
    pub writes: Family<Kind, Counter>,
    pub watch_errors: Family<Kind, Counter>,
    pub query_errors: Family<Reason, Counter>,
    pub query_duration_seconds: Histogram,
    last_success: Family<BuiltinQuery, Gauge>,
    pub kafka_admin_errors: Counter,
    pub leader: Gauge,
    pub clusters: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            reconcile_duration_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 16)),
            reconcile_errors: Family::default(),
            writes: Family::default(),
            watch_errors: Family::default(),
            query_errors: Family::default(),
            query_duration_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
            last_success: Family::default(),
            kafka_admin_errors: Counter::default(),
            leader: Gauge::default(),
            clusters: Gauge::default(),
        };
        metrics.registry = Arc::new(metrics.registered());
        metrics
    }
}

impl Metrics {
    fn registered(&self) -> Registry {
        let mut registry = Registry::with_prefix("poker_operator");
        registry.register(
            "reconcile_duration_seconds",
            "Duration of a reconcile",
            self.reconcile_duration_seconds.clone(),
        );
        registry.register(
            "reconcile_errors",
            "Reconciles that failed",
            self.reconcile_errors.clone(),
        );
        registry.register(
            "apiserver_writes",
            "Writes to the API server that were sent",
            self.writes.clone(),
        );
        registry.register(
            "watch_errors",
            "Watches that failed and were retried",
            self.watch_errors.clone(),
        );
        registry.register(
            "prometheus_query_errors",
            "Prometheus queries that failed",
            self.query_errors.clone(),
        );
        registry.register(
            "prometheus_query_duration_seconds",
            "Duration of a query to Prometheus",
            self.query_duration_seconds.clone(),
        );
        registry.register(
            "prometheus_last_success_timestamp_seconds",
            "Time of the newest answer with at least one series, by built-in metric and Prometheus, in seconds since 1970",
            self.last_success.clone(),
        );
        registry.register(
            "kafka_admin_errors",
            "Requests of the Kafka admin client that failed",
            self.kafka_admin_errors.clone(),
        );
        registry.register("leader", "1 while this process may write", self.leader.clone());
        registry.register("clusters", "PokerClusters in the cache", self.clusters.clone());
        registry
    }

    /// What `/metrics` serves.
    pub fn registry(&self) -> Arc<Registry> {
        self.registry.clone()
    }

    /// A query of a built-in metric has ended; `has_series` when it succeeded and the answer has series.
    pub fn queried(&self, query: &BuiltinQuery, has_series: bool) {
        // It exists from the first query on: a Prometheus that never returned a series shows as 0.
        let last_success = self.last_success.get_or_create(query);
        if has_series {
            last_success.set(Timestamp::now().as_second());
        }
    }

    /// No cluster uses this Prometheus anymore: its metrics end.
    pub fn forget_query(&self, query: &BuiltinQuery) {
        self.last_success.remove(query);
    }

    pub fn wrote(&self, kind: &'static str) {
        self.writes.get_or_create(&Kind { kind }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    #[test]
    fn names_are_those_that_dashboards_use() {
        let metrics = Metrics::default();
        metrics.wrote("Service");
        metrics
            .reconcile_errors
            .get_or_create(&Reason { reason: "Conflict" })
            .inc();
        let mut text = String::new();
        encode(&mut text, &metrics.registry()).unwrap();
        for line in [
            "poker_operator_apiserver_writes_total{kind=\"Service\"} 1",
            "poker_operator_reconcile_errors_total{reason=\"Conflict\"} 1",
            "poker_operator_reconcile_duration_seconds_count 0",
            "poker_operator_leader 0",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
