//! Bounds of the requests to Kafka. Names carry the unit.

/// A request of the admin client is given up after this time.
pub const REQUEST_TIMEOUT_SECONDS: u64 = 5;
/// A topic that is as desired is described again after this time.
pub const TOPIC_REFRESH_SECONDS: u64 = 300;
/// A failed operation is retried after this time, twice as long with each failure.
pub const TOPIC_RETRY_SECONDS: u64 = 2;
/// The longest wait before a failed operation is retried.
pub const TOPIC_RETRY_MAX_SECONDS: u64 = 60;
/// Jobs that run at the same time.
pub const TOPIC_JOBS_AT_ONCE: usize = 4;
