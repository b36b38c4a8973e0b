//! Limits of the shard, with what happens beyond each.

use std::time::Duration;

use crate::{
    link::LINK_FRAME_BYTES_MAX,
    store::{CLAIM_HOLD_DOWN_MS, STORE_TIMEOUT},
};

/// When writes have failed for this long, the sessions of the room are notified ("Saving…").
pub const STORE_NOTICE_AFTER: Duration = Duration::from_millis(500);
/// Pause before a failed write is repeated.
pub const COMMIT_RETRY_DELAY: Duration = Duration::from_millis(50);
/// Rooms in one pipeline to the store; further ones wait for the next.
pub const COMMIT_ROOMS_MAX: usize = 2_000;
/// Bytes of rooms in one pipeline, exceeded by at most one room: all others wait for its answer.
pub const COMMIT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long a gateway waits before it retries a room that cannot be opened now.
pub const OPEN_RETRY_MS: u32 = 100;
/// The same when the store fails.
pub const STORE_FAILED_RETRY_MS: u32 = 500;
/// The same when the store has no memory for a new room.
pub const STORE_FULL_RETRY_MS: u32 = 5_000;
/// The same when a newer version of the app wrote the room.
pub const STATE_TOO_NEW_RETRY_MS: u32 = 5_000;
/// Claims in flight; further ones wait in the shard.
pub const CLAIMS_AT_ONCE_MAX: usize = 256;
/// Sessions that wait for one room's claim, or for the store; further ones are refused.
pub const WAITING_OPENS_PER_ROOM_MAX: usize = 1_024;
/// Reads of team names in flight; further ones are not answered, and the gateway answers 503.
pub const PREVIEWS_AT_ONCE_MAX: usize = 64;

/// How often a shard checks in the store that it still owns its rooms.
pub const OWNER_CHECK_PERIOD: Duration = Duration::from_secs(1);
/// Rooms in one query of that check.
pub const OWNER_CHECK_ROOMS_MAX: usize = 2_000;
/// How often the deadlines of rooms are checked.
pub const ROOM_TIMER_PERIOD: Duration = Duration::from_millis(100);
/// A room without sessions leaves memory after this time.
pub const IDLE_ROOM_MS: u64 = 60_000;

/// How often rooms that a fault brought here are handed back to the shard that their team prefers.
pub const HOME_PERIOD: Duration = Duration::from_millis(200);
/// Rooms handed back at once, so 500 a second; the others follow in the next periods.
pub const HOME_ROOMS_PER_PERIOD: usize = 100;
/// A shard that gateways have reached for less than this time gets no rooms back.
pub const HOME_REACHABLE_MIN: Duration = Duration::from_secs(3);

/// Inputs taken from the mailbox before a commit is started.
pub const INPUTS_PER_TURN_MAX: usize = 1_024;
/// Rooms that are checked against a new routing table at once; the others follow after further inputs.
pub const RECHECK_ROOMS_PER_TURN: usize = 256;
/// Inputs that wait for the engine; beyond, links are not read.
pub const MAILBOX_INPUTS_MAX: usize = 8_192;
/// Outputs of one room that wait for the store; beyond, commands are refused (`unavailable`).
pub const PENDING_OUTPUTS_PER_ROOM_MAX: usize = 4_096;
/// Rooms of a shard; further ones are refused (`unavailable`).
pub const ROOMS_MAX: usize = 50_000;

/// A shard whose engine has taken no turn for this long answers no pings, so that gateways fail over; it takes a turn at least
/// every [`ROOM_TIMER_PERIOD`].
pub const ENGINE_PING_AGE_MAX: Duration = Duration::from_secs(1);
/// After this time `/live` fails, and Kubernetes restarts the shard.
pub const ENGINE_LIVE_AGE_MAX: Duration = Duration::from_secs(10);

/// Frames and bytes that wait for one gateway; beyond, the link is closed and the gateway opens its sessions again.
pub const LINK_FRAMES_MAX: usize = 65_536;
pub const LINK_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A gateway that reads nothing for this long loses the link.
pub const GATEWAY_WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// A link without any frame (not even a ping) for this long is closed.
pub const GATEWAY_SILENCE_MAX: Duration = Duration::from_secs(30);
/// Pause after a link could not be accepted, e.g. for want of file descriptors.
pub const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Pause before a release that the store did not answer is repeated.
pub const RELEASE_RETRY_DELAY: Duration = Duration::from_millis(500);
/// How long a shard that shuts down keeps rooms that the store does not have, as while it restarts; then they are lost.
/// Kubernetes kills a shard 60 s after the signal.
pub const HANDOFF_STORE_TIMEOUT: Duration = Duration::from_secs(50);
/// How long a shard that shuts down waits until gateways know where its rooms are and its history is delivered.
pub const HANDOFF_TIMEOUT: Duration = Duration::from_secs(10);
/// The shard ends once its links have been quiet for this long.
pub const HANDOFF_QUIET: Duration = Duration::from_millis(500);
/// How often it checks both.
pub const HANDOFF_POLL_PERIOD: Duration = Duration::from_millis(20);

const _: () = assert!(
    HOME_REACHABLE_MIN.as_millis() > CLAIM_HOLD_DOWN_MS as u128,
    "a room that was just claimed here could not be claimed there"
);
const _: () = assert!(ROOM_TIMER_PERIOD.as_millis() * 5 < ENGINE_PING_AGE_MAX.as_millis());
const _: () = assert!(LINK_BYTES_MAX > 16 * LINK_FRAME_BYTES_MAX);
const _: () = assert!(
    STORE_TIMEOUT.as_secs() * 2 < GATEWAY_SILENCE_MAX.as_secs(),
    "a store that hangs must not look like a silent gateway"
);
const _: () = assert!(HANDOFF_TIMEOUT.as_secs() < HANDOFF_STORE_TIMEOUT.as_secs());
const _: () = assert!(HANDOFF_QUIET.as_millis() < HANDOFF_TIMEOUT.as_millis());
