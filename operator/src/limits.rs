//! Every bound and period of the shell. Names carry the unit.

use poker_operator_core::limits::SHARD_GRACE_SECONDS;
use std::time::Duration;

/// How long the Lease promises leadership after its last change. A leader renews at a third of it, and one that
/// could not renew ends at two thirds.
pub const LEASE_SECONDS: u32 = 20;
/// A request for the Lease that failed is repeated after this time.
pub const LEASE_RETRY_MILLISECONDS: u64 = 1000;
/// A write is given up after this time: begun just before the end of leadership, it has ended before another
/// process can become leader.
pub const WRITE_TIMEOUT_SECONDS: u64 = 6;

/// One pass over one cluster is given up after this time and retried with backoff.
pub const RECONCILE_TIMEOUT_SECONDS: u64 = 60;
/// Clusters reconciled at the same time.
pub const RECONCILE_CONCURRENCY: u16 = 8;
/// Triggers waiting for the scheduler; a full queue slows the watches down, nothing is lost.
pub const TRIGGER_QUEUE_ENTRIES: usize = 1024;
/// A cache that is behind our own writes is looked at again after this time, should its watch event be late.
pub const FENCE_RETRY_MILLISECONDS: u64 = 100;
/// A deleted cluster that waits for its topic is looked at again after this time.
pub const FINALIZE_RETRY_SECONDS: u64 = 10;

/// An invalid cluster is looked at again after this time: what it refers to may be there by then.
pub const INVALID_RETRY_SECONDS: u64 = 15;

/// A watch that is silent for this long is opened anew: below the idle limits of common load balancers.
pub const WATCH_TIMEOUT_SECONDS: u32 = 200;
/// Objects per page of a list.
pub const WATCH_PAGE_OBJECTS: u32 = 500;

/// A watch that fails is opened anew after half a minute at the latest, and jitter doubles that: when no failure
/// follows for so long, it works.
pub const WATCH_RETRY_MAX_SECONDS: u64 = 90;
/// What cannot be observed is told after this time: an API server that restarts is back by then.
pub const BLIND_PATIENCE_SECONDS: u64 = 60;
/// What may not be observed is told after this time: waiting changes little about it, but roles take a moment.
pub const FORBIDDEN_PATIENCE_SECONDS: u64 = 5;
/// Telling it is tried again after this time.
pub const BLIND_RETRY_SECONDS: u64 = 10;

/// Time for running passes to end after SIGTERM.
pub const SHUTDOWN_SECONDS: u64 = 10;

/// A `/drain-status` question is given up after this time.
pub const DRAIN_TIMEOUT_SECONDS: u64 = 1;

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
/// The topic of a deleted cluster goes after this time, even if a pod that uses it has not ended: one on a lost
/// node never would. More than shards are given to end.
pub const WRITERS_DEADLINE_SECONDS: i64 = 90;
/// A finalizer waits this long for pods and an unreachable broker, then lets the cluster go.
pub const FINALIZE_DEADLINE_SECONDS: i64 = 180;

const _: () = assert!(
    LEASE_SECONDS as u64 * 2 + WRITE_TIMEOUT_SECONDS * 3 < LEASE_SECONDS as u64 * 3,
    "the last write of an old leader ends before a new one starts"
);
const _: () = assert!(
    SHARD_GRACE_SECONDS < WRITERS_DEADLINE_SECONDS && WRITERS_DEADLINE_SECONDS < FINALIZE_DEADLINE_SECONDS,
    "shards have time to end before the topic goes, and the topic to go before the cluster does"
);

/// `WRITE_TIMEOUT_SECONDS` as a duration.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(WRITE_TIMEOUT_SECONDS);
/// `WATCH_RETRY_MAX_SECONDS` as a duration.
pub const WATCH_RETRY_MAX: Duration = Duration::from_secs(WATCH_RETRY_MAX_SECONDS);
/// `BLIND_PATIENCE_SECONDS` as a duration.
pub const BLIND_PATIENCE: Duration = Duration::from_secs(BLIND_PATIENCE_SECONDS);
/// `FORBIDDEN_PATIENCE_SECONDS` as a duration.
pub const FORBIDDEN_PATIENCE: Duration = Duration::from_secs(FORBIDDEN_PATIENCE_SECONDS);
/// `BLIND_RETRY_SECONDS` as a duration.
pub const BLIND_RETRY: Duration = Duration::from_secs(BLIND_RETRY_SECONDS);
/// `DRAIN_TIMEOUT_SECONDS` as a duration.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(DRAIN_TIMEOUT_SECONDS);
