//! The shell of the operator: reads and writes. Every decision is in `poker-operator-core`.

mod cache;
pub mod cli;
mod cluster_key;
mod context;
pub mod controller;
mod error;
mod kafka;
mod leader;
mod limits;
mod metrics;
pub mod options;
mod prometheus;
mod reconcile;
