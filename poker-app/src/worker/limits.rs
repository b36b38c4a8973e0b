//! Limits of the worker, with what happens beyond each.

use std::time::Duration;

/// Events in one transaction; further ones wait for the next.
pub const WORKER_BATCH_EVENTS_MAX: usize = 500;
/// How long a worker waits for more events before it writes a batch.
pub const WORKER_LINGER: Duration = Duration::from_millis(50);
/// Pause before a worker retries a server that fails.
pub const WORKER_RETRY_DELAY: Duration = Duration::from_secs(1);
/// How often a worker without Kafka logs that it waits.
pub const WORKER_LOG_PERIOD: Duration = Duration::from_secs(5);
/// How long a broker may take to report the end of a partition.
pub const WORKER_LAG_TIMEOUT: Duration = Duration::from_secs(1);
/// A worker that receives nothing for this long asks Kafka, with another client, whether events wait for it. If they do and
/// it still receives nothing for as long again, its client is replaced.
pub const WORKER_PROBE_PERIOD: Duration = Duration::from_secs(10);
/// How long a broker may take to answer each question of such a probe.
pub const WORKER_PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a worker that stops may take to leave its consumer group.
pub const WORKER_LEAVE_TIMEOUT: Duration = Duration::from_secs(3);
