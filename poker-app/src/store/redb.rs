//! The store in a file of this process, for `poker-app` without other servers.

use std::{
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::{
    Claim, ClaimRequest, Committed, RoomWrite, Stamp, StoreError, limits::OUTBOX_EVENTS_PER_ROOM_MAX,
};

/// Team to [`Record`].
const ROOMS: TableDefinition<&str, &[u8]> = TableDefinition::new("rooms");
/// (team, position) to event.
const OUTBOX: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("outbox");

#[derive(Clone)]
pub struct RedbStore {
    database: Arc<Database>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    epoch: u64,
    change: u64,
    table: u64,
    owner: String,
    state: Vec<u8>,
}

impl RedbStore {
    /// Opens or creates the file; its folder must exist. Blocks.
    pub fn open(path: &Path) -> Result<RedbStore, StoreError> {
        let database = Database::create(path).map_err(unavailable)?;
        let transaction = database.begin_write().map_err(unavailable)?;
        transaction.open_table(ROOMS).map_err(unavailable)?;
        transaction.open_table(OUTBOX).map_err(unavailable)?;
        transaction.commit().map_err(unavailable)?;
        Ok(RedbStore {
            database: Arc::new(database),
        })
    }

    pub async fn claim(&self, request: &ClaimRequest) -> Result<Claim, StoreError> {
        let request = request.clone();
        self.write(move |transaction| claim(transaction, &request)).await
    }

    pub async fn commit(
        &self,
        writes: Vec<RoomWrite>,
    ) -> Result<Vec<Result<Committed, StoreError>>, StoreError> {
        self.write(move |transaction| {
            writes
                .iter()
                .map(|write| commit(transaction, write).map(Ok))
                .collect()
        })
        .await
    }

    pub async fn check(&self, teams: &[Arc<str>]) -> Result<Vec<Option<Stamp>>, StoreError> {
        let teams = teams.to_vec();
        self.read(move |database| {
            let transaction = database.begin_read().map_err(unavailable)?;
            let rooms = transaction.open_table(ROOMS).map_err(unavailable)?;
            teams
                .iter()
                .map(|team| Ok(load(&rooms, team)?.map(Record::stamp)))
                .collect()
        })
        .await
    }

    pub async fn state(&self, team: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let team = team.to_owned();
        self.read(move |database| {
            let transaction = database.begin_read().map_err(unavailable)?;
            let rooms = transaction.open_table(ROOMS).map_err(unavailable)?;
            let state = load(&rooms, &team)?.map(|record| record.state);
            Ok(state.filter(|state| !state.is_empty()))
        })
        .await
    }

    pub async fn outbox(&self, team: &str, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let team = team.to_owned();
        self.read(move |database| {
            let transaction = database.begin_read().map_err(unavailable)?;
            let outbox = transaction.open_table(OUTBOX).map_err(unavailable)?;
            let events = outbox
                .range((team.as_str(), 0)..=(team.as_str(), u64::MAX))
                .map_err(unavailable)?;
            events
                .take(limit)
                .map(|event| Ok(event.map_err(unavailable)?.1.value().to_vec()))
                .collect()
        })
        .await
    }

    pub async fn outboxes(&self) -> Result<Vec<(Arc<str>, u64)>, StoreError> {
        self.read(|database| {
            let transaction = database.begin_read().map_err(unavailable)?;
            let outbox = transaction.open_table(OUTBOX).map_err(unavailable)?;
            let mut teams: Vec<(Arc<str>, u64)> = Vec::new();
            for event in outbox.iter().map_err(unavailable)? {
                let (key, _) = event.map_err(unavailable)?;
                let (team, _) = key.value();
                match teams.last_mut() {
                    Some((last, events)) if **last == *team => *events += 1,
                    _ => teams.push((team.into(), 1)),
                }
            }
            Ok(teams)
        })
        .await
    }

    pub async fn trim(&self, team: &str, delivered: &[Vec<u8>]) -> Result<u64, StoreError> {
        let team = team.to_owned();
        let delivered = delivered.to_vec();
        self.write(move |transaction| {
            let mut outbox = transaction.open_table(OUTBOX).map_err(unavailable)?;
            let all = (team.as_str(), 0)..=(team.as_str(), u64::MAX);
            outbox
                .retain_in(all.clone(), |_, event| {
                    !delivered.iter().any(|delivered| delivered == event)
                })
                .map_err(unavailable)?;
            Ok(outbox.range(all).map_err(unavailable)?.count() as u64)
        })
        .await
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = self.database.clone();
        tokio::task::spawn_blocking(move || query(&database))
            .await
            .map_err(unavailable)?
    }

    /// One transaction, on disk when this returns.
    async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read(move |database| {
            let transaction = database.begin_write().map_err(unavailable)?;
            let answer = change(&transaction)?;
            transaction.commit().map_err(unavailable)?;
            Ok(answer)
        })
        .await
    }
}

impl Record {
    fn stamp(self) -> Stamp {
        Stamp {
            epoch: self.epoch,
            change: self.change,
            table: self.table,
            owner: self.owner,
        }
    }
}

/// The rules of `claim.lua`, without the hold-down: there is one process only.
fn claim(transaction: &WriteTransaction, request: &ClaimRequest) -> Result<Claim, StoreError> {
    let mut rooms = transaction.open_table(ROOMS).map_err(unavailable)?;
    let record = match load(&rooms, &request.team)? {
        Some(stored) if request.table < stored.table => {
            return Ok(Claim::Refused {
                owner: stored.owner,
                table: stored.table,
            });
        }
        Some(stored) => Record {
            epoch: stored.epoch + 1,
            table: request.table,
            change: 0,
            owner: request.owner.to_string(),
            ..stored
        },
        None if !request.create => return Ok(Claim::Missing),
        None => Record {
            epoch: now_seconds(),
            change: 0,
            table: request.table,
            owner: request.owner.to_string(),
            state: Vec::new(),
        },
    };
    save(&mut rooms, &request.team, &record)?;
    let outbox = transaction.open_table(OUTBOX).map_err(unavailable)?;
    let all = (&*request.team, 0)..=(&*request.team, u64::MAX);
    let waiting = outbox.range(all).map_err(unavailable)?.count() as u64;
    Ok(Claim::Owned {
        epoch: record.epoch,
        state: (!record.state.is_empty()).then_some(record.state),
        outbox: waiting,
    })
}

/// The rules of `commit.lua`.
fn commit(transaction: &WriteTransaction, write: &RoomWrite) -> Result<Committed, StoreError> {
    let mut rooms = transaction.open_table(ROOMS).map_err(unavailable)?;
    if let Some(stored) = load(&rooms, &write.team)? {
        let other_owner = stored.epoch == write.epoch && stored.owner != *write.owner;
        if stored.epoch > write.epoch || other_owner {
            return Ok(Committed::Lost {
                owner: stored.owner,
                table: stored.table,
            });
        }
    }
    let record = Record {
        epoch: write.epoch,
        change: write.change,
        table: write.table,
        owner: write.owner.to_string(),
        state: write.state.clone(),
    };
    save(&mut rooms, &write.team, &record)?;
    append(transaction, &write.team, &write.history)?;
    Ok(Committed::Stored)
}

fn append(transaction: &WriteTransaction, team: &str, events: &[String]) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let mut outbox = transaction.open_table(OUTBOX).map_err(unavailable)?;
    let all = (team, 0)..=(team, u64::MAX);
    let positions: Vec<u64> = outbox
        .range(all)
        .map_err(unavailable)?
        .map(|entry| Ok(entry.map_err(unavailable)?.0.value().1))
        .collect::<Result<_, StoreError>>()?;
    let surplus = (positions.len() + events.len()).saturating_sub(OUTBOX_EVENTS_PER_ROOM_MAX);
    for position in positions.iter().take(surplus) {
        outbox.remove((team, *position)).map_err(unavailable)?;
    }
    let first = positions.last().map_or(0, |last| last + 1);
    for (position, event) in (first..).zip(events) {
        outbox
            .insert((team, position), event.as_bytes())
            .map_err(unavailable)?;
    }
    Ok(())
}

fn load(
    rooms: &impl ReadableTable<&'static str, &'static [u8]>,
    team: &str,
) -> Result<Option<Record>, StoreError> {
    let Some(bytes) = rooms.get(team).map_err(unavailable)? else {
        return Ok(None);
    };
    postcard::from_bytes(bytes.value())
        .map(Some)
        .map_err(|error| StoreError::Unexpected(error.to_string()))
}

fn save(
    rooms: &mut redb::Table<&'static str, &'static [u8]>,
    team: &str,
    record: &Record,
) -> Result<(), StoreError> {
    let bytes = postcard::to_stdvec(record).map_err(|error| StoreError::Unexpected(error.to_string()))?;
    rooms.insert(team, bytes.as_slice()).map_err(unavailable)?;
    Ok(())
}

/// The first epoch of a room: see `claim.lua`.
fn now_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(1, |time| time.as_secs())
}

fn unavailable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(error.to_string())
}
