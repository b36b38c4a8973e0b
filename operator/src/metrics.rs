//! The operator's own metrics. Labels are taken from fixed sets: never the name of an object.

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError, atomic::AtomicU64},
    time::Instant,
};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Reason {
    pub reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Kind {
    pub kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Metric {
    pub metric: &'static str,
}

#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub reconcile_seconds: Histogram,
    pub reconcile_errors: Family<Reason, Counter>,
    pub writes: Family<Kind, Counter>,
    pub watch_errors: Family<Kind, Counter>,
    pub sampler_errors: Family<Reason, Counter>,
    pub sampler_seconds: Histogram,
    sampler_age_seconds: Family<Metric, Gauge<f64, AtomicU64>>,
    sampled: Mutex<HashMap<&'static str, Instant>>,
    pub broker_errors: Counter,
    pub leader: Gauge,
    pub clusters: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("poker_operator"),
            reconcile_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 16)),
            reconcile_errors: Family::default(),
            writes: Family::default(),
            watch_errors: Family::default(),
            sampler_errors: Family::default(),
            sampler_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
            sampler_age_seconds: Family::default(),
            sampled: Mutex::default(),
            broker_errors: Counter::default(),
            leader: Gauge::default(),
            clusters: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "reconcile_seconds",
            "Duration of a pass",
            self.reconcile_seconds.clone(),
        );
        registry.register(
            "reconcile_errors",
            "Passes that failed",
            self.reconcile_errors.clone(),
        );
        registry.register(
            "writes",
            "Writes to the API server that were sent",
            self.writes.clone(),
        );
        registry.register(
            "watch_errors",
            "Watches that failed and were retried",
            self.watch_errors.clone(),
        );
        registry.register(
            "sampler_errors",
            "Prometheus queries that failed",
            self.sampler_errors.clone(),
        );
        registry.register(
            "sampler_seconds",
            "Duration of a query",
            self.sampler_seconds.clone(),
        );
        registry.register(
            "sampler_age_seconds",
            "Age of the newest sample of a metric",
            self.sampler_age_seconds.clone(),
        );
        registry.register(
            "broker_errors",
            "Questions to Kafka that failed",
            self.broker_errors.clone(),
        );
        registry.register("leader", "1 while this process may write", self.leader.clone());
        registry.register("clusters", "PokerClusters in the cache", self.clusters.clone());
    }

    /// OpenMetrics text.
    ///
    /// # Errors
    /// Only when formatting fails.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        for (metric, at) in &*self.sampled.lock().unwrap_or_else(PoisonError::into_inner) {
            let age = at.elapsed().as_secs_f64();
            self.sampler_age_seconds
                .get_or_create(&Metric { metric })
                .set(age);
        }
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// A Prometheus just answered for `metric`.
    pub fn sampled(&self, metric: &'static str) {
        self.sampled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(metric, Instant::now());
    }

    pub fn wrote(&self, kind: &'static str) {
        self.writes.get_or_create(&Kind { kind }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_dashboards_use() {
        let metrics = Metrics::default();
        metrics.wrote("Service");
        metrics
            .reconcile_errors
            .get_or_create(&Reason { reason: "Conflict" })
            .inc();
        let text = metrics.encode().unwrap();
        for line in [
            "poker_operator_writes_total{kind=\"Service\"} 1",
            "poker_operator_reconcile_errors_total{reason=\"Conflict\"} 1",
            "poker_operator_reconcile_seconds_count 0",
            "poker_operator_leader 0",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
