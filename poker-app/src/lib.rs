//! Planning poker server: gateway, shard, worker, or everything in one process.

pub mod admin;
pub mod all;
pub mod cli;
pub mod gateway;
pub mod history;
pub mod link;
pub mod load;
pub mod log;
pub mod metrics;
pub mod routes;
pub mod shard;
pub mod store;
pub mod telemetry;
pub mod web;
pub mod worker;
