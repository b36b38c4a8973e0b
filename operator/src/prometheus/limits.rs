//! Bounds of the queries to Prometheus. Names carry the unit.

/// A query is given up after this time.
pub const QUERY_TIMEOUT_SECONDS: u64 = 4;
/// The body of an answer is read up to this size.
pub const QUERY_ANSWER_BYTES: usize = 16 << 20;

/// Points of a history at most: fewer than the 11,000 that Prometheus returns.
pub const HISTORY_POINTS: u32 = 10_800;
/// Their distance: 90 hours in all.
pub const HISTORY_STEP_SECONDS: u32 = 30;
/// A history query that failed is repeated after this time.
pub const HISTORY_RETRY_SECONDS: u64 = 60;
/// History queries that run on one Prometheus at the same time.
pub const HISTORY_QUERIES_AT_ONCE: usize = 4;

/// Custom queries that run on one Prometheus at the same time. Its default limit is 20 queries: some are left to the
/// built-in metrics.
pub const CUSTOM_QUERIES_AT_ONCE: usize = 12;
