//! Ports, times and sizes of the objects that the operator creates, and limits of the reconcile.

use std::time::Duration;

use jiff::SignedDuration;

pub const PORT_PUBLIC: i32 = 80;
pub const PORT_HTTP: i32 = 8080;
pub const PORT_LINK: i32 = 7000;
pub const PORT_ADMIN: i32 = 9090;
pub const PORT_REDIS: i32 = 6379;
pub const PORT_KAFKA: i32 = 9092;
pub const PORT_KAFKA_CONTROLLER: i32 = 9093;
pub const PORT_POSTGRES: i32 = 5432;

/// A terminating gateway closes its sockets spread over this time.
pub const GATEWAY_CLOSE_WINDOW_SECONDS: i64 = 20;
/// The close window plus time to exit. A kill within the window would close the remaining sockets all at once.
pub const GATEWAY_GRACE_SECONDS: i64 = GATEWAY_CLOSE_WINDOW_SECONDS + 15;
pub const SHARD_GRACE_SECONDS: i64 = 60;
pub const SERVER_GRACE_SECONDS: i64 = 30;
/// A managed Kafka that lacks CPU for longer is fenced: its metadata lists no broker. A killed broker is refused for as long
/// after its restart, because the controller still knows its former process; beyond 60 s it would give up.
pub const KAFKA_SESSION_TIMEOUT_SECONDS: u32 = 30;

/// A gateway without the Service still receives sockets until all nodes have updated their rules. Only after this time
/// does a count of zero sockets mean that it is drained.
pub const GATEWAY_SETTLE_SECONDS: i64 = 10;

/// A Deployment without progress for this long counts as stuck.
pub const PROGRESS_DEADLINE_SECONDS: i32 = 300;

/// The requeue interval if nothing is in progress, in case a watch misses an event.
pub const RESYNC_INTERVAL: Duration = Duration::from_secs(300);
/// The requeue interval while pods start. Changes of child objects trigger a reconcile anyway.
pub const REQUEUE_STARTING: Duration = Duration::from_secs(10);
/// The requeue interval while a Deployment drains, because no watch reports its drain status.
pub const REQUEUE_DRAINING: Duration = Duration::from_secs(1);
/// The requeue interval while gateways connect to a joining shard.
pub const REQUEUE_JOINING: Duration = Duration::from_millis(250);
/// A ready shard joins the routing table after this time, even if a gateway has not connected to it.
pub const JOIN_DEADLINE_SECONDS: i64 = 5;
/// The status updates participants at this interval.
pub const PARTICIPANTS_SECONDS: i64 = 60;
/// The status drops participants after this long without a fresh sample.
pub const PARTICIPANTS_EXPIRY_SECONDS: i64 = 300;

/// The longest kubelet message in an event or condition. An event has at most 1024 bytes.
pub const KUBELET_MESSAGE_CHARS_MAX: usize = 200;
/// An event about a pod that cannot be created expires after this time. A StatefulSet retries more often, and reports
/// each failure.
pub const CREATION_EVENT_EXPIRY_SECONDS: i64 = 20 * 60;
/// A draining Deployment whose pods have not answered for so long is reported.
pub const DRAIN_SILENCE_SECONDS: i64 = 15;
/// The most rejected writes in the message of a condition.
pub const FAILURES_REPORTED_MAX: usize = 8;
/// The most pod failures in the message of a condition.
pub const POD_FAILURES_REPORTED_MAX: usize = 3;
/// A container that is not ready and has recently restarted this many times is in a crash loop.
pub const CRASH_RESTARTS: i32 = 2;
/// A container that is not ready after this long is reported. Pods that wait for a managed server are not reported while
/// that server is not ready.
pub const NOT_READY_SECONDS: i64 = 30;
/// A pod may be unschedulable for this long before it is reported.
pub const UNSCHEDULABLE_SECONDS: i64 = 15;
/// How long an exit of a container counts. The kubelet resets its back-off after the same time.
pub const CRASH_EXPIRY_SECONDS: i64 = 600;

/// So many corrections of one object in a row are written at once. A person or a script changes an object once or twice;
/// a controller changes it after each correction.
pub const CORRECTIONS_AT_ONCE_MAX: u32 = 3;
/// Corrections that are further apart belong to different changes. Longer than the longest wait, which would otherwise
/// end each row.
pub const CORRECTION_WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// The wait before the next correction doubles from the minimum to the maximum.
pub const CORRECTION_WAIT_MIN: SignedDuration = SignedDuration::from_secs(1);
/// No more often than the operator reconciles a settled cluster. A correction may replace pods.
pub const CORRECTION_WAIT_MAX: SignedDuration = SignedDuration::from_mins(5);
/// The longest value of an overridden field in a message.
pub const OVERRIDDEN_VALUE_CHARS_MAX: usize = 64;
/// The most overridden objects in the message of a condition.
pub const OVERRIDDEN_REPORTED_MAX: usize = 2;

/// Ignored replicas are reported again after so long without a change of them.
pub const REPLICAS_IGNORED_SILENCE: SignedDuration = SignedDuration::from_hours(1);

/// The most events of one reconcile.
pub const EVENTS_MAX: usize = 8;
/// The API server rejects an event with a longer note.
pub const EVENT_NOTE_BYTES_MAX: usize = 1024;

/// The least memory for a managed Redis.
pub const REDIS_MEMORY_BYTES_MIN: i128 = 8 << 20;

const _: () = assert!(CORRECTION_WAIT_MAX.as_secs() < CORRECTION_WINDOW.as_secs());
const _: () = assert!(GATEWAY_CLOSE_WINDOW_SECONDS < GATEWAY_GRACE_SECONDS);

/// Metrics are reported as unavailable once a sample has been missing for so long.
pub const METRICS_UNAVAILABLE_AFTER_SECONDS: i64 = 60;
