//! Limits of the delivery of history events, with what happens beyond each.

use std::time::Duration;

use crate::store::OUTBOX_EVENTS_PER_ROOM_MAX;

/// Events read from a room's outbox and sent at once; further ones follow in the next batch.
pub const OUTBOX_BATCH_EVENTS: usize = 128;
/// Rooms whose outboxes are sent at once; further ones wait.
pub const OUTBOX_ROOMS_AT_ONCE_MAX: usize = 64;
/// How often a shard looks for outboxes whose rooms have not been opened since their owner crashed.
pub const OUTBOX_SWEEP_PERIOD: Duration = Duration::from_secs(30);
/// Pause before a failed batch is sent again.
pub const OUTBOX_RETRY_DELAY: Duration = Duration::from_secs(1);
/// While delivery fails, how often the shard logs why and how many events wait.
pub const OUTBOX_LOG_PERIOD: Duration = Duration::from_secs(30);
/// How often the age of the oldest event is computed.
pub const OUTBOX_AGE_PERIOD: Duration = Duration::from_secs(1);
/// An event that Kafka has not acknowledged after this time is read from the outbox and sent again.
pub const KAFKA_SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// A Kafka client that has not reported on an event after this time has failed.
pub const KAFKA_ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// A Kafka client for which no event was acknowledged for this long, while events wait, is replaced by a new one.
pub const KAFKA_STALL_MAX: Duration = Duration::from_secs(20);

const _: () = assert!(KAFKA_SEND_TIMEOUT.as_secs() < KAFKA_ANSWER_TIMEOUT.as_secs());
const _: () = assert!(OUTBOX_BATCH_EVENTS <= OUTBOX_EVENTS_PER_ROOM_MAX);
