//! The history of rounds for reports: in PostgreSQL, or in a file of this process.

mod embedded;
mod limits;
mod migrations;
mod postgres;
mod projection;

pub use embedded::RedbHistory;
pub use limits::HISTORY_ROUNDS_MAX;
use poker_core::history::{HistoryEvent, HistoryRound};
pub use postgres::PostgresHistory;

/// Cheap to clone.
#[derive(Clone)]
pub enum History {
    Postgres(PostgresHistory),
    Embedded(RedbHistory),
}

/// The result of one write, in events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    pub stored: u64,
    /// Already stored.
    pub repeated: u64,
    /// Rejected by the database, and skipped.
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
    /// The newest rounds of a team, newest first: one more than [`HISTORY_ROUNDS_MAX`] if there are older ones.
    pub async fn rounds(&self, team: &str) -> Result<Vec<HistoryRound>, HistoryError> {
        match self {
            History::Postgres(history) => history.rounds(team).await,
            History::Embedded(history) => history.rounds(team).await,
        }
    }

    /// Stores events, deduplicated by `(team, epoch, seq)`. All are durable when this returns.
    pub async fn write(&self, events: &[HistoryEvent]) -> Result<Written, HistoryError> {
        match self {
            History::Postgres(history) => history.write(events).await,
            History::Embedded(history) => history.write(events).await,
        }
    }
}
