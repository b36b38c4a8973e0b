//! The shell of the operator: reads and writes. Every decision is in `poker-operator-core`.

mod admin;
mod apply;
mod broker;
pub mod cli;
mod context;
pub mod controller;
mod covers;
mod drains;
mod error;
mod fence;
mod finalize;
mod kafka;
mod leader;
mod limits;
mod lookup;
mod metrics;
mod observe;
pub mod plot;
mod prometheus;
mod readings;
mod reconcile;
mod report;
mod sampler;
pub mod series;
mod stores;
mod telemetry;
mod watches;
