//! All metrics of the app, behind typed handles for each role.
//!
//! Labels are namespace, cluster, revision, pod, and shard on shards; never a team.

use std::{borrow::Cow, sync::atomic::AtomicU64};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::cli::Common;

/// A registry whose metrics all have the labels namespace, cluster, revision and pod.
pub fn registry(common: &Common) -> Registry {
    Registry::with_labels(
        [
            ("namespace", &common.namespace),
            ("cluster", &common.cluster),
            ("revision", &common.revision),
            ("pod", &common.pod),
        ]
        .into_iter()
        .map(|(name, value)| (Cow::Borrowed(name), Cow::Owned(value.clone()))),
    )
}

/// The part of a registry whose metrics also have the label shard.
pub fn shard_registry(registry: &mut Registry, shard: u32) -> &mut Registry {
    registry.sub_registry_with_label((Cow::Borrowed("shard"), Cow::Owned(shard.to_string())))
}

/// `poker_routes_version`: version of the routing table in use.
pub fn routes_version(registry: &mut Registry) -> Gauge {
    gauge(
        registry,
        "poker_routes_version",
        "Version of the routing table in use",
    )
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone)]
pub struct GatewayMetrics {
    /// Open sockets.
    pub connections: Gauge,
    /// Messages from clients.
    pub received: Counter,
    /// Messages to clients.
    pub sent: Counter,
    /// Hellos that resume an earlier session.
    pub reconnects: Counter,
}

impl GatewayMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let messages = Family::<Direction, Counter>::default();
        registry.register(
            "poker_gateway_messages",
            "Messages from and to clients",
            messages.clone(),
        );
        let direction = |direction| messages.get_or_create_owned(&Direction { direction });
        Self {
            connections: gauge(registry, "poker_gateway_connections", "Open sockets"),
            received: direction("in"),
            sent: direction("out"),
            reconnects: counter(
                registry,
                "poker_gateway_reconnects",
                "Hellos that resume an earlier session",
            ),
        }
    }
}

#[derive(Clone)]
pub struct ShardMetrics {
    /// Rooms this shard owns.
    pub rooms: Gauge,
    /// Connected participants in the rooms it owns.
    pub participants: Gauge,
    /// Gateways connected.
    pub links: Gauge,
    /// Seconds from a room's change to its durable write.
    pub commit_seconds: Histogram,
    /// Rooms claimed in the store.
    pub claims: Counter,
    pub outbox: OutboxMetrics,
    commands: Family<Outcome, Counter>,
    handoffs: Family<Reason, Counter>,
}

impl ShardMetrics {
    /// Register in a [`shard_registry`].
    pub fn register(registry: &mut Registry) -> Self {
        let commands = Family::<Outcome, Counter>::default();
        registry.register("poker_shard_commands", "Commands by result", commands.clone());
        let handoffs = Family::<Reason, Counter>::default();
        registry.register(
            "poker_shard_handoffs",
            "Rooms handed off or lost, by reason",
            handoffs.clone(),
        );
        let commit_seconds = Histogram::new([
            0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.04, 0.1, 0.25, 1.0, 5.0,
        ]);
        registry.register(
            "poker_shard_commit_seconds",
            "Time from a room's change to its durable write",
            commit_seconds.clone(),
        );
        Self {
            rooms: gauge(registry, "poker_shard_rooms", "Rooms this shard owns"),
            participants: gauge(
                registry,
                "poker_shard_participants",
                "Connected participants in the rooms this shard owns",
            ),
            links: gauge(registry, "poker_shard_links", "Gateways connected to this shard"),
            commit_seconds,
            claims: counter(registry, "poker_shard_claims", "Rooms claimed in the store"),
            outbox: OutboxMetrics::register(registry),
            commands,
            handoffs,
        }
    }

    /// Counter of commands with one result: "acked" or "refused". Keep it to count often.
    pub fn commands(&self, result: &'static str) -> Counter {
        self.commands.get_or_create_owned(&Outcome { result })
    }

    /// Counter of rooms that left for one reason: "table", "home", "fenced" or "shutdown".
    pub fn handoffs(&self, reason: &'static str) -> Counter {
        self.handoffs.get_or_create_owned(&Reason { reason })
    }
}

#[derive(Clone)]
pub struct OutboxMetrics {
    /// History events that are not yet delivered.
    pub events: Gauge,
    /// Age of the oldest of them; 0 without any.
    pub oldest_age_seconds: Gauge<f64, AtomicU64>,
}

impl OutboxMetrics {
    fn register(registry: &mut Registry) -> Self {
        let oldest_age_seconds = Gauge::default();
        registry.register(
            "poker_shard_outbox_oldest_age_seconds",
            "Age of the oldest history event that is not yet delivered",
            oldest_age_seconds.clone(),
        );
        Self {
            events: gauge(
                registry,
                "poker_shard_outbox_events",
                "History events that are not yet delivered",
            ),
            oldest_age_seconds,
        }
    }
}

#[derive(Clone)]
pub struct WorkerMetrics {
    /// Events in the topic that are not stored yet.
    pub lag_events: Gauge,
    events: Family<Outcome, Counter>,
}

impl WorkerMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let events = Family::<Outcome, Counter>::default();
        registry.register("poker_worker_events", "Events by result", events.clone());
        Self {
            lag_events: gauge(
                registry,
                "poker_worker_lag_events",
                "Events in the topic that are not stored yet",
            ),
            events,
        }
    }

    /// Counter of events with one result, e.g. "stored", "repeated", "malformed".
    pub fn events(&self, result: &'static str) -> Counter {
        self.events.get_or_create_owned(&Outcome { result })
    }
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}
