//! What was estimated when, for reports: in PostgreSQL, or in a file of this process.

mod embedded;
mod fold;
mod migrations;
mod postgres;

pub use embedded::RedbHistory;
use poker_core::history::{HistoryEvent, HistoryRound};
pub use postgres::PostgresHistory;

/// Cheap to clone.
#[derive(Clone)]
pub enum History {
    Postgres(PostgresHistory),
    Embedded(RedbHistory),
}

/// What became of the events of one write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    pub stored: u64,
    /// Already there.
    pub repeated: u64,
    /// Cannot be stored, whenever; left out.
    pub refused: u64,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum HistoryError {
    #[error("history database does not answer ({0}); check that it runs and is reachable")]
    Unavailable(String),
    #[error("database url cannot be used ({0}); write postgres://user:password@host:5432/name")]
    Url(String),
}

impl History {
    /// The newest rounds of a team, newest first, at most `HISTORY_ROUNDS_READ_MAX`.
    pub async fn rounds(&self, team: &str) -> Result<Vec<HistoryRound>, HistoryError> {
        match self {
            History::Postgres(history) => history.rounds(team).await,
            History::Embedded(history) => history.rounds(team).await,
        }
    }

    /// Stores events, each once however often it comes: `(team, epoch, seq)` is its name. All are durable when this
    /// returns.
    pub async fn write(&self, events: &[HistoryEvent]) -> Result<Written, HistoryError> {
        match self {
            History::Postgres(history) => history.write(events).await,
            History::Embedded(history) => history.write(events).await,
        }
    }
}
