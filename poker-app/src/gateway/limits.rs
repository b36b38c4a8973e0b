//! Every cap and period of the gateway, with what happens beyond it.

use std::time::Duration;

use poker_core::limits::{
    COMMAND_IDS_REMEMBERED, LINK_FRAME_BYTES_MAX, MESSAGE_BYTES_MAX, RING_BYTES_MAX, SNAPSHOT_BYTES_MAX,
};

/// First allocation of a socket's read buffer; larger frames grow it.
pub const READ_BUFFER_BYTES: usize = 1024;
/// Small messages waiting together leave in one write.
pub const WRITE_BUFFER_BYTES: usize = 1024;
/// A message that would not fit fails the socket: above every message there is.
pub const WRITE_BUFFER_BYTES_MAX: usize = 2 * LINK_FRAME_BYTES_MAX;
/// Connections that the kernel completes while the gateway is busy: a storm of 4,096 loses no SYN.
pub const LISTEN_BACKLOG: u32 = 4_096;
/// Connections beyond the sockets, for pages and the API; further ones wait in the backlog.
pub const HTTP_CONNECTIONS_MAX: usize = 1_000;
/// A request's head must arrive within this time; an idle connection is closed after it.
pub const HTTP_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that has not become a socket takes no further request after this time, and is closed after as much
/// again: whoever sends or reads slowly holds no place for ever.
pub const HTTP_CONNECTION_AGE_MAX: Duration = Duration::from_secs(60);
/// A larger body of an API request is refused with 413.
pub const HTTP_BODY_BYTES_MAX: usize = 4 * 1024;
/// Whoever asks for a team's name hears no later than this that it cannot be told now.
pub const LOOK_TIMEOUT: Duration = Duration::from_secs(3);
/// Seconds after which a refused client may come back.
pub const RETRY_AFTER_SECONDS: u32 = 5;

/// Messages waiting for one socket; what is published is shared by a team's sockets. Beyond, they are dropped and
/// the session starts anew from a snapshot.
pub const OUTBOX_BYTES_MAX: usize = 512 * 1024;
/// A second overflow within this time closes the socket (4008).
pub const OVERFLOW_REPEAT: Duration = Duration::from_secs(30);
/// A write that takes longer ends the socket.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a closing socket may take to accept the close frame.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// A silent socket is pinged after this time, and ended after as much again.
pub const PING_AFTER: Duration = Duration::from_secs(25);

/// Frames of one client a second, and at once after a pause; beyond, they are refused (`rate_limited`).
pub const FRAMES_PER_SECOND: u32 = 50;
pub const FRAMES_BURST: u32 = 100;
/// Refused frames of one socket (malformed, unknown or too many at a time) before it is closed.
pub const REFUSALS_MAX: u32 = 100;
/// Commands of one session without an answer; further ones are refused (`unavailable`).
pub const UNACKED_COMMANDS_MAX: usize = 16;
pub const UNACKED_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX;
/// When a client may send again what was refused.
pub const REFUSED_RETRY_MS: u64 = 1_000;

/// A shard that answers neither connect nor ping for this long is passed over.
pub const LINK_SILENCE_MAX: Duration = Duration::from_secs(1);
pub const LINK_PING_PERIOD: Duration = Duration::from_millis(250);
/// Delays between attempts to connect a link.
pub const LINK_RETRY_DELAY_MIN: Duration = Duration::from_millis(50);
pub const LINK_RETRY_DELAY_MAX: Duration = Duration::from_secs(1);
/// A link to a shard that no table names is dropped once it has carried nothing for this long.
pub const LINK_IDLE_MAX: Duration = Duration::from_secs(30);
/// Frames written to a link at once.
pub const LINK_FRAMES_PER_WRITE_MAX: usize = 256;

/// After a failover, the next one of the same team waits this long.
pub const HOLD_DOWN_MS: u64 = 2_000;
/// A shard that gave a team up without naming a new owner is passed over this long.
pub const AVOID_MS: u64 = 2_000;
/// After a new table, how long the old owner may take to hand a team over before it is left.
pub const HANDOVER_WAIT_MS: u64 = 3_000;
/// Moves of a team without a success in between are answered at once, later ones slower.
pub const FAST_MOVES_MAX: u32 = 3;
pub const MOVE_DELAY_MS_MIN: u64 = 50;
pub const MOVE_DELAY_MS_MAX: u64 = 1_000;
/// A session without a shard for this long is told so ("Saving…").
pub const NOTICE_AFTER_MS: u64 = 1_500;
/// How often due timers of teams are looked at.
pub const TICK_PERIOD: Duration = Duration::from_millis(50);

/// When a client comes back after a restart, at most.
pub const RESTART_RETRY_MS_MAX: u64 = 1_000;
/// After the drain window, how long the last sockets may take to close.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

const _: () = assert!(WRITE_BUFFER_BYTES_MAX > SNAPSHOT_BYTES_MAX + RING_BYTES_MAX);
const _: () = assert!(
    OUTBOX_BYTES_MAX >= SNAPSHOT_BYTES_MAX + MESSAGE_BYTES_MAX,
    "the largest event, no larger than the room, must not overflow an empty queue, nor what answers it"
);
const _: () = assert!(UNACKED_BYTES_MAX >= MESSAGE_BYTES_MAX);
const _: () = assert!(
    UNACKED_COMMANDS_MAX <= COMMAND_IDS_REMEMBERED,
    "a resent command must be recognised"
);
const _: () = assert!(LINK_PING_PERIOD.as_millis() * 3 < LINK_SILENCE_MAX.as_millis());
