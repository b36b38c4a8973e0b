//! Metrics: queries to every Prometheus on an interval, their newest samples, and forecasters of demand.

pub mod client;
pub mod connection;
pub mod forecasters;
mod limits;
pub mod poller;
pub mod promql;
pub mod query_error;
pub mod sample_store;
