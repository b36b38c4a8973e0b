//! Bounds and sizes of what the operator makes, in one place.

use std::time::Duration;

pub const PORT_PUBLIC: i32 = 80;
pub const PORT_HTTP: i32 = 8080;
pub const PORT_LINK: i32 = 7000;
pub const PORT_ADMIN: i32 = 9090;
pub const PORT_REDIS: i32 = 6379;
pub const PORT_KAFKA: i32 = 9092;
pub const PORT_KAFKA_CONTROLLER: i32 = 9093;
pub const PORT_POSTGRES: i32 = 5432;

/// Over how long a gateway that ends closes its sockets.
pub const GATEWAY_CLOSE_WINDOW_SECONDS: i64 = 20;
/// The window, then time to end; a kill before would close all the rest at once.
pub const GATEWAY_GRACE_SECONDS: i64 = GATEWAY_CLOSE_WINDOW_SECONDS + 15;
pub const SHARD_GRACE_SECONDS: i64 = 60;
pub const SERVER_GRACE_SECONDS: i64 = 30;

/// A gateway that lost its Service may still get sockets until all nodes know: an empty one is
/// only believed to be empty after this.
pub const GATEWAY_SETTLE_SECONDS: i64 = 10;

/// How long a Deployment may make no progress before it counts as stuck.
pub const PROGRESS_DEADLINE_SECONDS: i32 = 300;

/// When nothing is under way: a safety net below the watches.
pub const RESYNC: Duration = Duration::from_secs(300);
/// While something starts; changes of the children wake the cluster anyway.
pub const REQUEUE_STARTING: Duration = Duration::from_secs(10);
/// While something drains: nothing but asking tells when it is empty.
pub const REQUEUE_DRAINING: Duration = Duration::from_secs(1);
/// While gateways connect to a shard that is to enter the table.
pub const REQUEUE_JOINING: Duration = Duration::from_millis(250);
/// A ready shard enters the table at the latest after this, whoever has connected to it.
pub const JOIN_DEADLINE_SECONDS: i64 = 5;
/// How old the participants in status may get.
pub const PARTICIPANTS_SECONDS: i64 = 60;
/// After so long without a fresh sample they are no longer shown.
pub const PARTICIPANTS_KEPT_SECONDS: i64 = 300;

/// What a kubelet says of a container is told up to this length: an event carries 1024 bytes.
pub const KUBELET_MESSAGE_CHARS: usize = 200;
/// So many causes stand in a condition at most.
pub const TROUBLES_TOLD_MAX: usize = 3;
/// A container that has ended so often of late, and is not ready, ends again and again.
pub const CRASH_RESTARTS: i32 = 2;
/// A container that runs so long and is not ready waits for something. Managed servers are longer in starting, but
/// then they are what is waited for.
pub const NOT_READY_SECONDS: i64 = 30;
/// For so long a pod may wait for a node before it is told.
pub const UNSCHEDULABLE_SECONDS: i64 = 15;
/// How long an ending counts: after so long without one the kubelet forgets them too.
pub const CRASH_KEPT_SECONDS: i64 = 600;

/// Events of one pass at most.
pub const EVENTS_MAX: usize = 8;

const _: () = assert!(GATEWAY_CLOSE_WINDOW_SECONDS < GATEWAY_GRACE_SECONDS);
