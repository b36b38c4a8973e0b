//! Bounds and periods of the queries to Prometheus and of the requests to Kafka.

/// A Prometheus query is given up after this time.
pub const QUERY_TIMEOUT_SECONDS: u64 = 4;
/// An answer of a Prometheus is read up to this size.
pub const QUERY_ANSWER_BYTES: usize = 16 << 20;

/// Values asked for at most to learn the past of a metric: less than the 11,000 a Prometheus gives.
pub const HISTORY_POINTS: u32 = 10_800;
/// Their distance: 90 hours in all.
pub const HISTORY_STEP_SECONDS: u32 = 30;
/// A past that could not be had is asked for again after this time.
pub const HISTORY_RETRY_SECONDS: u64 = 60;
/// Custom queries that one Prometheus is asked at the same time. By itself it answers 20 at once: some are left to the
/// built-in metrics.
pub const CUSTOM_QUERIES_AT_ONCE: usize = 12;
/// Pasts that one Prometheus is asked for at the same time.
pub const HISTORY_QUERIES_AT_ONCE: usize = 4;

/// A single question to a Kafka broker is given up after this time.
pub const BROKER_TIMEOUT_SECONDS: u64 = 5;
/// A topic that is as wanted is described again this often.
pub const BROKER_REFRESH_SECONDS: u64 = 300;
/// An unreachable broker is asked again after this time, twice as long with each failure.
pub const BROKER_RETRY_SECONDS: u64 = 2;
/// The longest wait before an unreachable broker is asked again.
pub const BROKER_RETRY_MAX_SECONDS: u64 = 60;
/// Brokers asked at the same time.
pub const BROKER_CONCURRENCY: usize = 4;
