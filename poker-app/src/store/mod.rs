//! Durable rooms: claims with epochs, group commit, and the outbox of history events of each room.
//!
//! The store decides which shard owns a room: every claim raises the room's epoch and every write carries the writer's
//! epoch, so there are never two writers, whatever the network does.

mod limits;
mod redb;
mod redis;

use std::sync::Arc;

pub use limits::{CLAIM_HOLD_DOWN_MS, OUTBOX_EVENTS_PER_ROOM_MAX, STORE_RECONNECT_DELAY_MAX, STORE_TIMEOUT};

pub use self::redb::RedbStore;
pub use self::redis::RedisStore;

/// Stores rooms. Cheap to clone.
#[derive(Clone)]
pub enum Store {
    /// A Redis server shared by all shards of a cluster (cluster mode is not supported).
    Redis(RedisStore),
    /// A file of this process.
    Redb(RedbStore),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    pub team: Arc<str>,
    /// Version of the routing table that the claim is based on.
    pub table: u64,
    /// Link address of the claiming shard.
    pub owner: Arc<str>,
    /// Whether a room that does not exist is created.
    pub create: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The claimant owns the room. `state` is `None` for a room that was never written. `outbox`: events in its outbox.
    Owned {
        epoch: u64,
        state: Option<Vec<u8>>,
        outbox: u64,
    },
    /// There is no such room and `create` was not set.
    Missing,
    /// Another owner claimed with a newer table, or with the same one less than the hold-down ago.
    Refused { owner: String, table: u64 },
    /// There is no such room, and not enough memory for another.
    Full,
}

/// One room's part of a group commit.
#[derive(Debug, Clone)]
pub struct RoomWrite {
    pub team: Arc<str>,
    pub epoch: u64,
    /// Number of the newest change in `state`. It rises within an epoch; an older write never replaces a newer one.
    pub change: u64,
    pub table: u64,
    pub owner: Arc<str>,
    pub state: Vec<u8>,
    /// History events as JSON, in order.
    pub history: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    Stored,
    /// The room has a newer owner; nothing was written.
    Lost {
        owner: String,
        table: u64,
    },
}

/// A room that its owner hands off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseRequest {
    pub team: Arc<str>,
    pub epoch: u64,
    /// The newest change that the owner knows to be stored.
    pub change: u64,
}

/// A stored room without its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    pub epoch: u64,
    /// Of the newest write; 0 before the first of an epoch.
    pub change: u64,
    pub table: u64,
    pub owner: String,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error("the store does not answer ({0}); check that it runs and is reachable")]
    Unavailable(String),
    #[error("the store holds unexpected data ({0}); check that nothing else writes under this prefix")]
    Unexpected(String),
}

impl Store {
    /// Whether the store answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match self {
            Store::Redis(store) => store.ping().await,
            Store::Redb(_) => Ok(()),
        }
    }

    /// Takes ownership of a room, raising its epoch.
    pub async fn claim(&self, request: &ClaimRequest) -> Result<Claim, StoreError> {
        match self {
            Store::Redis(store) => store.claim(request).await,
            Store::Redb(store) => store.claim(request).await,
        }
    }

    /// Writes many rooms at once; one result per room, in the order of `writes`. After an error no write is confirmed, and
    /// repeating the call is safe (state is overwritten, repeated events are deduplicated by `(team, epoch, seq)`).
    pub async fn commit(
        &self,
        writes: Vec<RoomWrite>,
    ) -> Result<Vec<Result<Committed, StoreError>>, StoreError> {
        match self {
            Store::Redis(store) => store.commit(&writes).await,
            Store::Redb(store) => store.commit(writes).await,
        }
    }

    /// Releases rooms of `owner`: the next claim need not wait for the hold-down. Returns for each room whether the store
    /// has its newest change; a room that it lost is not released.
    pub async fn release(&self, owner: &str, rooms: &[ReleaseRequest]) -> Result<Vec<bool>, StoreError> {
        match self {
            Store::Redis(store) => store.release(owner, rooms).await,
            // There is one process only.
            Store::Redb(_) => Ok(vec![true; rooms.len()]),
        }
    }

    /// The current owners of rooms; `None` for a room that the store does not have.
    pub async fn check(&self, teams: &[Arc<str>]) -> Result<Vec<Option<Stamp>>, StoreError> {
        match self {
            Store::Redis(store) => store.check(teams).await,
            Store::Redb(store) => store.check(teams).await,
        }
    }

    /// The state of a room as last written, without claiming the room.
    pub async fn state(&self, team: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            Store::Redis(store) => store.state(team).await,
            Store::Redb(store) => store.state(team).await,
        }
    }

    /// The oldest `limit` events in a room's outbox.
    pub async fn outbox(&self, team: &str, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        match self {
            Store::Redis(store) => store.outbox(team, limit).await,
            Store::Redb(store) => store.outbox(team, limit).await,
        }
    }

    /// Teams whose outbox is not empty, with the number of its events.
    pub async fn outboxes(&self) -> Result<Vec<(Arc<str>, u64)>, StoreError> {
        match self {
            Store::Redis(store) => store.outboxes().await,
            Store::Redb(store) => store.outboxes().await,
        }
    }

    /// Removes delivered events, by value: a late former owner cannot remove undelivered ones. Returns how many are left.
    pub async fn trim(&self, team: &str, delivered: &[Vec<u8>]) -> Result<u64, StoreError> {
        match self {
            Store::Redis(store) => store.trim(team, delivered).await,
            Store::Redb(store) => store.trim(team, delivered).await,
        }
    }
}
