//! Limits of the gateway, with what happens beyond each.

use std::time::Duration;

use poker_core::limits::{COMMAND_IDS_REMEMBERED, MESSAGE_BYTES_MAX, RING_BYTES_MAX, SNAPSHOT_BYTES_MAX};

use crate::link::LINK_FRAME_BYTES_MAX;

/// First allocation of a socket's read buffer; larger frames grow it.
pub const READ_BUFFER_BYTES: usize = 1024;
/// Small messages that are queued together leave in one write.
pub const WRITE_BUFFER_BYTES: usize = 1024;
/// A larger message would fail the socket, so this is above every message: each arrives in a link frame.
pub const WRITE_BUFFER_BYTES_MAX: usize = 2 * LINK_FRAME_BYTES_MAX;
/// Connections that the kernel completes while the gateway is busy: a storm of 4,096 loses no SYN.
pub const LISTEN_BACKLOG: u32 = 4_096;
/// Delays after a failed accept, e.g. for want of file descriptors.
pub const ACCEPT_DELAY_MIN: Duration = Duration::from_millis(5);
pub const ACCEPT_DELAY_MAX: Duration = Duration::from_secs(1);
/// Connections besides the sockets, for the page and the API; further ones wait in the backlog.
pub const HTTP_CONNECTIONS_MAX: usize = 1_000;
/// A request's head must arrive within this time; an idle connection is closed after it.
pub const HTTP_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// After this time a connection that is no socket takes no further request, and after as much again it is closed: a slow
/// client does not occupy it for ever.
pub const HTTP_CONNECTION_AGE_MAX: Duration = Duration::from_secs(60);
/// A larger body of an API request is refused with 413.
pub const HTTP_BODY_BYTES_MAX: usize = 4 * 1024;
/// A request for a team's name that no shard has answered by then is answered with 503.
pub const PREVIEW_TIMEOUT: Duration = Duration::from_secs(3);
/// When a client that got 503 may retry.
pub const HTTP_RETRY_AFTER_SECONDS: u32 = 5;

/// Bytes queued for one socket (published messages are shared by the sockets of a team). Beyond, the queue is cleared and
/// the session restarts from a snapshot.
pub const SEND_QUEUE_BYTES_MAX: usize = 512 * 1024;
/// A second overflow within this time closes the socket (4008).
pub const OVERFLOW_REPEAT: Duration = Duration::from_secs(30);
/// A write that takes longer ends the socket.
pub const SOCKET_WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a closing socket may take to accept the close frame.
pub const SOCKET_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// A silent socket is pinged after this time, and ended after as much again.
pub const PING_AFTER: Duration = Duration::from_secs(25);

/// Frames of one client per second, and at once after a pause; beyond, they are refused (`rate_limited`).
pub const FRAMES_PER_SECOND: u32 = 50;
pub const FRAMES_BURST: u32 = 100;
/// Refused frames of one socket (malformed, unknown or over the rate) before it is closed.
pub const REFUSALS_MAX: u32 = 100;
/// Commands of one session without an answer; further ones are refused (`unavailable`).
pub const UNACKED_COMMANDS_MAX: usize = 16;
pub const UNACKED_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX;

/// A link to a shard that answers neither connect nor ping for this long is down: its teams move to the next shard.
pub const SHARD_SILENCE_MAX: Duration = Duration::from_secs(1);
pub const LINK_PING_PERIOD: Duration = Duration::from_millis(250);
/// Delays between attempts to connect a link.
pub const LINK_RETRY_DELAY_MIN: Duration = Duration::from_millis(50);
pub const LINK_RETRY_DELAY_MAX: Duration = Duration::from_secs(1);
/// A link to a shard that no table names is closed once it has been idle for this long.
pub const LINK_IDLE_MAX: Duration = Duration::from_secs(30);
/// How often a gateway that starts checks whether a shard is reachable.
pub const READINESS_POLL_PERIOD: Duration = Duration::from_millis(100);

/// After a failover, the next one of the same team waits this long.
pub const FAILOVER_HOLD_DOWN_MS: u64 = 2_000;
/// A shard that released a team without a successor is avoided for this long.
pub const AVOID_MS: u64 = 2_000;
/// After a new table, how long the former owner may take to hand a team off before the gateway leaves it.
pub const HANDOFF_WAIT_MS: u64 = 3_000;
/// Moves of a team without a success in between that are followed at once; later ones are delayed.
pub const FAST_MOVES_MAX: u32 = 3;
pub const MOVE_DELAY_MS_MIN: u64 = 50;
pub const MOVE_DELAY_MS_MAX: u64 = 1_000;
/// A session that has had no shard for this long is notified ("Saving…").
pub const NO_SHARD_NOTICE_AFTER_MS: u64 = 1_500;
/// How often the timers of teams are checked.
pub const TEAM_TIMER_PERIOD: Duration = Duration::from_millis(50);

/// The longest delay with which a client is asked to reconnect after a restart.
pub const RESTART_RETRY_MS_MAX: u64 = 1_000;
/// After the drain window, how long the last sockets may take to close.
pub const SOCKETS_CLOSED_TIMEOUT: Duration = Duration::from_secs(5);

const _: () = assert!(WRITE_BUFFER_BYTES_MAX > SNAPSHOT_BYTES_MAX + RING_BYTES_MAX);
const _: () = assert!(
    SEND_QUEUE_BYTES_MAX >= SNAPSHOT_BYTES_MAX + MESSAGE_BYTES_MAX,
    "an empty queue must hold the largest event, which is no larger than the room, and an answer"
);
const _: () = assert!(UNACKED_BYTES_MAX >= MESSAGE_BYTES_MAX);
const _: () = assert!(
    UNACKED_COMMANDS_MAX <= COMMAND_IDS_REMEMBERED,
    "a resent command must be recognised"
);
const _: () = assert!(LINK_PING_PERIOD.as_millis() * 3 < SHARD_SILENCE_MAX.as_millis());
const _: () = assert!(
    NO_SHARD_NOTICE_AFTER_MS as u128 > SHARD_SILENCE_MAX.as_millis(),
    "a failover must not be noticed"
);
