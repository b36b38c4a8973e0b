//! The shell of the operator: reads and writes. Every decision is in `poker-operator-core`.

mod backoff;
mod cache;
pub mod cli;
mod cluster_key;
pub mod controller;
mod error;
mod kafka;
mod leader;
mod metrics;
pub mod options;
mod prometheus;
mod reconcile;
mod triggers;
