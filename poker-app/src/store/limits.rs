//! Limits of the store, with what happens beyond each.

use std::time::Duration;

/// A store that has not answered after this time has failed; the write is repeated.
pub const STORE_TIMEOUT: Duration = Duration::from_secs(2);
pub const STORE_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Delays between attempts to reach a store that is unavailable.
pub const STORE_RECONNECT_DELAY_MIN: Duration = Duration::from_millis(50);
pub const STORE_RECONNECT_DELAY_MAX: Duration = Duration::from_millis(500);

/// For this long after a claim, another shard's claim on the same routing table is refused, so that two half-broken links
/// do not move a room back and forth.
pub const CLAIM_HOLD_DOWN_MS: u64 = 1_000;
/// Redis deletes a room that was not opened or changed for this long; its history is kept.
pub const ROOM_EXPIRY_SECONDS: u64 = 90 * 24 * 3_600;
/// Above this share of its `maxmemory` Redis gets no new rooms, so that existing ones can still be changed.
pub const STORE_FULL_PERCENT: u64 = 90;
/// Events in the outbox of one room; beyond, the oldest are dropped (only when Kafka is unavailable for days).
pub const OUTBOX_EVENTS_PER_ROOM_MAX: usize = 2_000;
/// Keys per step of a scan.
pub const SCAN_KEYS: usize = 1_000;

const _: () = assert!(
    CLAIM_HOLD_DOWN_MS <= 2_000,
    "the rooms of a killed shard must be back within 2 s"
);
const _: () = assert!(STORE_CONNECT_TIMEOUT.as_millis() <= STORE_TIMEOUT.as_millis());
