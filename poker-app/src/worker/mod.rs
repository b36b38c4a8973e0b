//! Copies history events from Kafka into PostgreSQL, each exactly once.
//!
//! Offsets are committed after the database transaction: a crash in between repeats events, which the database
//! deduplicates.

mod consumer;
mod limits;

use std::sync::Arc;

use poker_core::history::{HistoryEvent, HistoryKind};
use rdkafka::{Message, message::OwnedMessage};
use tokio_util::sync::CancellationToken;

use self::{consumer::Consumer, limits::WORKER_RETRY_DELAY};
use poker_service::readiness::Readiness;

use crate::{
    admin::{self, Admin},
    cli::WorkerArgs,
    history::{HistoryError, PostgresHistory, Written},
    metrics::{self, WorkerMetrics},
};

/// Pending in [`Readiness`] until the tables exist.
const PENDING_DATABASE: &str = "database";

/// The role `worker`, until `stop`. Waits for servers that are unavailable.
pub async fn run(args: WorkerArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let mut registry = metrics::registry(&args.common);
    let metrics = WorkerMetrics::register(&mut registry);
    let readiness = Readiness::default();
    let admin = Admin {
        readiness: readiness.clone(),
        registry: Arc::new(registry),
        is_live: None,
        drain_status: None,
    };
    let end = CancellationToken::new();
    let admin = tokio::spawn(admin::serve(args.common.admin_listen, admin, end.clone()));
    let result = tokio::select! {
        () = stop.cancelled() => Ok(()),
        result = copy(&args, metrics, readiness) => result,
        result = admin => result?,
    };
    end.cancel();
    result
}

/// Copies events until dropped.
pub async fn copy(args: &WorkerArgs, metrics: WorkerMetrics, readiness: Readiness) -> anyhow::Result<()> {
    readiness.wait_for(PENDING_DATABASE, PENDING_DATABASE);
    let history = PostgresHistory::new(&args.database_url)?;
    let consumer = Consumer::new(args, metrics.clone())?;
    prepare(&history).await;
    readiness.done(PENDING_DATABASE);
    let mut worker = Worker {
        consumer,
        history,
        metrics,
    };
    worker.copy().await;
    Ok(())
}

async fn prepare(history: &PostgresHistory) {
    while let Err(error) = history.migrate().await {
        tracing::warn!(%error, "waiting for the history database");
        tokio::time::sleep(WORKER_RETRY_DELAY).await;
    }
    tracing::info!("history tables are ready");
}

struct Worker {
    consumer: Consumer,
    history: PostgresHistory,
    metrics: WorkerMetrics,
}

impl Worker {
    async fn copy(&mut self) {
        loop {
            let batch = self.consumer.batch().await;
            let events = self.read(&batch);
            let written = self.write(&events).await;
            self.count(written);
            self.consumer.commit(&batch).await;
        }
    }

    /// The valid events, also those of a kind that this version does not know; the others are counted and skipped.
    fn read(&self, batch: &[OwnedMessage]) -> Vec<HistoryEvent> {
        let mut events = Vec::with_capacity(batch.len());
        for message in batch {
            let event: serde_json::Result<HistoryEvent> =
                serde_json::from_slice(message.payload().unwrap_or_default());
            match event {
                Ok(event) => {
                    if let HistoryKind::Unknown(unknown) = &event.kind {
                        tracing::warn!(
                            kind = unknown.kind,
                            "stored an event of a kind that this version does not know"
                        );
                    }
                    events.push(event);
                }
                Err(_) => {
                    tracing::error!(
                        partition = message.partition(),
                        offset = message.offset(),
                        "skipped a message that is no history event"
                    );
                    self.metrics.events("malformed").inc();
                }
            }
        }
        events
    }

    /// Retries for ever: the events stay in Kafka meanwhile.
    async fn write(&self, events: &[HistoryEvent]) -> Written {
        let mut failing: Option<HistoryError> = None;
        loop {
            match self.history.write(events).await {
                Ok(written) => {
                    if failing.is_some() {
                        tracing::info!("history database answers again");
                    }
                    return written;
                }
                Err(error) => {
                    if failing.is_none() {
                        tracing::warn!(%error, events = events.len(), "cannot store events, retrying");
                    }
                    failing = Some(error);
                }
            }
            self.consumer.measure_lag().await;
            tokio::time::sleep(WORKER_RETRY_DELAY).await;
            // The database may have been recreated without its tables.
            let _ = self.history.migrate().await;
        }
    }

    fn count(&self, written: Written) {
        self.metrics.events("stored").inc_by(written.stored);
        self.metrics.events("repeated").inc_by(written.repeated);
        self.metrics.events("refused").inc_by(written.refused);
        if written.refused > 0 {
            tracing::error!(
                events = written.refused,
                "skipped events that the database rejects"
            );
        }
    }
}
