//! Every cap and period of the shard, the store, the log and the worker, with what happens beyond it.

use std::time::Duration;

use crate::link::FRAME_MAX_BYTES;

/// An answer of the store that takes longer counts as none; the write is repeated.
pub const STORE_TIMEOUT: Duration = Duration::from_secs(2);
pub const STORE_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Delays between attempts to reach a store that is away.
pub const STORE_RECONNECT_DELAY_MIN: Duration = Duration::from_millis(50);
pub const STORE_RECONNECT_DELAY_MAX: Duration = Duration::from_millis(500);
/// Writes failing for longer than this are told to the people in the rooms ("Saving…").
pub const STORE_NOTICE_AFTER: Duration = Duration::from_millis(500);
/// Pause before a failed write is repeated.
pub const COMMIT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// After a claim, another shard's claim on the same routing table is refused for this long, so that two half-broken
/// links do not toss a room to and fro.
pub const HOLD_DOWN_MS: u64 = 1_000;
/// What a gateway waits before it asks again for a room that cannot be opened now.
pub const REFUSED_RETRY_MS: u32 = 100;
/// What it waits before it asks again for a new room that there is no memory for.
pub const FULL_RETRY_MS: u32 = 5_000;

/// Rooms in one pipeline to the store; further ones go with the next.
pub const COMMIT_ROOMS_MAX: usize = 2_000;
/// Bytes of rooms in one pipeline, give or take a room: all others wait for its answer.
pub const COMMIT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A room that nobody has opened or changed for so long is forgotten by Redis; its history stays.
pub const ROOM_KEPT_SECONDS: u64 = 90 * 24 * 3_600;
/// From this share of its `maxmemory` on Redis takes no new rooms, so that those there can still be changed.
pub const STORE_FULL_PERCENT: u64 = 90;
/// Claims under way at once; further ones wait in the shard.
pub const CLAIMS_AT_ONCE_MAX: usize = 256;
/// Rooms asked about at once by the ownership check.
pub const CHECK_ROOMS_MAX: usize = 2_000;
/// How often a shard asks whether it still owns its rooms.
pub const CHECK_PERIOD: Duration = Duration::from_secs(1);
/// How often timers of rooms are looked at.
pub const TICK_PERIOD: Duration = Duration::from_millis(100);
/// A room that nobody is attached to leaves memory after this time.
pub const IDLE_ROOM_MS: u64 = 60_000;

/// Inputs taken from the mailbox before a commit is started.
pub const INPUTS_PER_TURN_MAX: usize = 1_024;
/// Inputs waiting for an engine; beyond, links stop being read.
pub const MAILBOX_INPUTS_MAX: usize = 8_192;
/// Outputs of one room that wait for the store; beyond, commands are refused (`unavailable`).
pub const PENDING_OUTPUTS_PER_ROOM_MAX: usize = 4_096;
/// Rooms of a shard; beyond, rooms are refused (`unavailable`).
pub const ROOMS_MAX: usize = 50_000;
/// Sessions that wait for one room's claim, or for the store; beyond, they are refused.
pub const WAITING_OPENS_PER_ROOM_MAX: usize = 1_024;

/// Frames and bytes waiting for one gateway; beyond, the link is closed and the gateway opens its sessions anew.
pub const LINK_FRAMES_MAX: usize = 65_536;
pub const LINK_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Frames written to a link at once.
pub const LINK_FRAMES_PER_WRITE_MAX: usize = 256;
/// A gateway that takes nothing for this long loses the link.
pub const LINK_WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// A link that says nothing (not even a ping) for this long is closed.
pub const LINK_SILENCE_MAX: Duration = Duration::from_secs(30);
/// On the way out, how long links may take to hear that their rooms have moved.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
/// The shard ends once its links have been quiet for this long.
pub const SHUTDOWN_QUIET: Duration = Duration::from_millis(500);

/// Events in the outbox of one room; beyond, the oldest are dropped (only while the log is away for days).
pub const OUTBOX_EVENTS_PER_ROOM: usize = 2_000;
/// Events read from a room's outbox and sent to the log at once.
pub const OUTBOX_BATCH_EVENTS: usize = 128;
/// Rooms whose outboxes are sent at once.
pub const OUTBOX_ROOMS_AT_ONCE_MAX: usize = 64;
/// How often a shard looks for outboxes whose rooms nobody has opened since their owner died.
pub const OUTBOX_SWEEP_PERIOD: Duration = Duration::from_secs(30);
/// Pause before a room's outbox is tried again.
pub const OUTBOX_RETRY_DELAY: Duration = Duration::from_secs(1);
/// An event not acknowledged by Kafka after this time is read from the outbox and sent again.
pub const KAFKA_SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Events that a worker writes in one transaction.
pub const WORKER_BATCH_EVENTS_MAX: usize = 500;
/// How long a worker waits for more events before it writes what it has.
pub const WORKER_LINGER: Duration = Duration::from_millis(50);
/// Pause before a worker tries a failing server again.
pub const WORKER_RETRY_DELAY: Duration = Duration::from_secs(1);
/// A worker without Kafka says so this often.
pub const WORKER_TELL_INTERVAL: Duration = Duration::from_secs(5);
/// How long a broker may take to say where a partition ends.
pub const WORKER_LAG_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a worker that ends may take to leave its group.
pub const WORKER_LEAVE_TIMEOUT: Duration = Duration::from_secs(3);

/// A statement on the database that takes longer fails.
pub const DATABASE_TIMEOUT: Duration = Duration::from_secs(5);
pub const DATABASE_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Rounds in one history answer, the newest ones.
pub const HISTORY_ROUNDS_MAX: usize = 1_000;
/// One more, to know whether there are older ones.
pub const HISTORY_ROUNDS_READ_MAX: usize = HISTORY_ROUNDS_MAX + 1;

const _: () = assert!(
    HOLD_DOWN_MS <= 2_000,
    "a killed shard's rooms must be back within 2 s"
);
const _: () = assert!(LINK_BYTES_MAX > 16 * FRAME_MAX_BYTES);
const _: () = assert!(OUTBOX_BATCH_EVENTS <= OUTBOX_EVENTS_PER_ROOM);
const _: () = assert!(STORE_TIMEOUT.as_secs() * 2 < LINK_SILENCE_MAX.as_secs());
