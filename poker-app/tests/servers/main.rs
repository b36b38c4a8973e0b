//! The shard, its store, its events and the worker against real servers: Redis, Kafka and PostgreSQL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod events;
mod fenced_broker;
mod kills;
mod processes;
mod redis_faults;
mod shards;
mod store;
mod support;
mod throughput;
