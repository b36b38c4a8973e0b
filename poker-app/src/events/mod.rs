//! Delivers history events from the outbox of each room to Kafka, or to the history in this process.
//!
//! Events stay in the store until they are acknowledged, so a crash may repeat events but loses none. Readers
//! deduplicate by `(team, epoch, seq)`.

mod kafka;
mod limits;
mod outbox;

pub use kafka::{KafkaSink, is_topic_missing, log_client, log_client_error};
pub use outbox::{Outbox, OutboxHandle};
use poker_core::history::HistoryEvent;

use crate::history::{History, HistoryError};

/// Where events go.
#[derive(Clone)]
pub enum Sink {
    Kafka(KafkaSink),
    /// Directly into the history of this process.
    History(History),
}

#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    #[error("Kafka does not take history events ({0}); check the brokers and the topic")]
    Kafka(#[from] rdkafka::error::KafkaError),
    #[error(transparent)]
    History(#[from] HistoryError),
}

impl Sink {
    /// Delivers events of one team in order. Returns how many were acknowledged, counted from the first, and the error
    /// that stopped the others.
    pub async fn deliver(&self, team: &str, events: &[Vec<u8>]) -> (usize, Option<SinkError>) {
        match self {
            Sink::Kafka(kafka) => kafka.deliver(team, events).await,
            Sink::History(history) => match history.write(&parse(events)).await {
                Ok(_) => (events.len(), None),
                Err(error) => (0, Some(error.into())),
            },
        }
    }
}

/// The valid events; every reader would reject the others.
fn parse(events: &[Vec<u8>]) -> Vec<HistoryEvent> {
    let parsed = events.iter().map(|event| serde_json::from_slice(event));
    parsed
        .filter_map(|event| {
            event
                .inspect_err(|_| tracing::error!("skipped an invalid history event"))
                .ok()
        })
        .collect()
}
