//! History in a file of this process.

use std::{path::Path, sync::Arc};

use poker_core::history::{HistoryEvent, HistoryRound};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::{HistoryError, Written, limits::HISTORY_ROUNDS_READ_MAX, projection};

/// (team, epoch, seq) to the event as JSON.
const EVENTS: TableDefinition<(&str, u64, u64), &[u8]> = TableDefinition::new("events");

#[derive(Clone)]
pub struct RedbHistory {
    database: Arc<Database>,
}

impl RedbHistory {
    /// Opens or creates the file; its folder must exist. Blocks.
    pub fn open(path: &Path) -> Result<RedbHistory, HistoryError> {
        let database = Database::create(path).map_err(unavailable)?;
        let transaction = database.begin_write().map_err(unavailable)?;
        transaction.open_table(EVENTS).map_err(unavailable)?;
        transaction.commit().map_err(unavailable)?;
        Ok(RedbHistory {
            database: Arc::new(database),
        })
    }

    pub async fn rounds(&self, team: &str) -> Result<Vec<HistoryRound>, HistoryError> {
        let team = team.to_owned();
        self.blocking(move |database| {
            let mut rounds = projection::rounds(events_of(database, &team)?);
            rounds.truncate(HISTORY_ROUNDS_READ_MAX);
            Ok(rounds)
        })
        .await
    }

    pub async fn write(&self, events: &[HistoryEvent]) -> Result<Written, HistoryError> {
        let events = events.to_vec();
        self.blocking(move |database| insert(database, &events)).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, HistoryError> + Send + 'static,
    ) -> Result<T, HistoryError> {
        let database = self.database.clone();
        tokio::task::spawn_blocking(move || work(&database))
            .await
            .map_err(unavailable)?
    }
}

fn events_of(database: &Database, team: &str) -> Result<Vec<HistoryEvent>, HistoryError> {
    let transaction = database.begin_read().map_err(unavailable)?;
    let events = transaction.open_table(EVENTS).map_err(unavailable)?;
    let all = (team, 0, 0)..=(team, u64::MAX, u64::MAX);
    events
        .range(all)
        .map_err(unavailable)?
        .map(|entry| {
            let (_, event) = entry.map_err(unavailable)?;
            serde_json::from_slice(event.value()).map_err(unavailable)
        })
        .collect()
}

fn insert(database: &Database, events: &[HistoryEvent]) -> Result<Written, HistoryError> {
    let mut written = Written::default();
    let transaction = database.begin_write().map_err(unavailable)?;
    {
        let mut table = transaction.open_table(EVENTS).map_err(unavailable)?;
        for event in events {
            let key = (event.team.as_str(), event.epoch, event.seq);
            if table.get(key).map_err(unavailable)?.is_some() {
                written.repeated += 1;
                continue;
            }
            let text = serde_json::to_vec(event).map_err(unavailable)?;
            table.insert(key, text.as_slice()).map_err(unavailable)?;
            written.stored += 1;
        }
    }
    transaction.commit().map_err(unavailable)?;
    Ok(written)
}

fn unavailable(error: impl std::fmt::Display) -> HistoryError {
    HistoryError::Unavailable(error.to_string())
}
