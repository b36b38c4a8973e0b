//! Reads batches from Kafka and commits their offsets once they are stored.

use std::sync::{Arc, mpsc};

use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, Statistics, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{CommitMode, Consumer as _, ConsumerContext, StreamConsumer},
    error::KafkaResult,
    message::OwnedMessage,
};
use tokio::{sync::oneshot, time::Instant};
use tokio_util::sync::CancellationToken;

use super::limits::{
    WORKER_BATCH_EVENTS_MAX, WORKER_LAG_TIMEOUT, WORKER_LEAVE_TIMEOUT, WORKER_LINGER, WORKER_LOG_PERIOD,
    WORKER_RETRY_DELAY,
};
use crate::{cli::WorkerArgs, events::is_topic_missing, metrics::WorkerMetrics};

/// A member of the consumer group.
pub struct Consumer {
    /// `None` only while it is dropped.
    client: Option<Arc<StreamConsumer<Context>>>,
    /// Cancelled when the topic was recreated under the same name. The client would continue from its offset in the
    /// former topic and skip everything below it.
    recreated: CancellationToken,
    config: ClientConfig,
    metrics: WorkerMetrics,
    topic: String,
}

/// Whether librdkafka logs (`rd_kafka_topic_metadata_update`) that the id of a known topic changed; it reports this in no
/// other way.
fn is_topic_recreated(message: &str) -> bool {
    const NONE: &str = "AAAAAAAAAAAAAAAAAAAAAA";
    let ids = message
        .split_once(" changed id from ")
        .and_then(|(_, ids)| ids.split_once(" to "));
    ids.is_some_and(|(former, present)| former != NONE && present != NONE)
}

/// Leaving the group waits for the brokers, for ever if they are down; then the group removes the member by timeout.
impl Drop for Consumer {
    fn drop(&mut self) {
        let client = self.client.take();
        let (left, has_left) = mpsc::channel();
        std::thread::spawn(move || {
            drop(client);
            let _ = left.send(());
        });
        let _ = has_left.recv_timeout(WORKER_LEAVE_TIMEOUT);
    }
}

impl Consumer {
    /// Does not wait for the brokers: reading does.
    pub fn new(args: &WorkerArgs, metrics: WorkerMetrics) -> KafkaResult<Consumer> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &args.kafka_brokers)
            .set("group.id", &args.kafka_group)
            .set("client.id", "poker-worker")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            // A topic created later is found within this time.
            .set("topic.metadata.refresh.interval.ms", "5000")
            .set("statistics.interval.ms", "1000")
            .set("session.timeout.ms", "10000")
            // A database outage must not cost the group membership.
            .set("max.poll.interval.ms", "86400000")
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "2000")
            // The address of a deleted pod does not answer.
            .set("socket.connection.setup.timeout.ms", "5000")
            .set("log.connection.close", "false")
            .set("debug", "metadata")
            .set_log_level(RDKafkaLogLevel::Debug);
        let mut consumer = Consumer {
            client: None,
            recreated: CancellationToken::new(),
            config,
            metrics,
            topic: args.kafka_topic.clone(),
        };
        consumer.join()?;
        Ok(consumer)
    }

    /// Joins the group as a new member, which starts at the committed offsets or at the beginning.
    fn join(&mut self) -> KafkaResult<()> {
        let recreated = CancellationToken::new();
        let context = Context {
            metrics: self.metrics.clone(),
            topic: self.topic.clone(),
            recreated: recreated.clone(),
        };
        let client: StreamConsumer<Context> = self.config.create_with_context(context)?;
        client.subscribe(&[&self.topic])?;
        self.recreated = recreated;
        self.client = Some(Arc::new(client));
        Ok(())
    }

    /// Reads the recreated topic from its beginning.
    async fn restart(&mut self) {
        tracing::warn!(
            topic = self.topic,
            "the topic was recreated: reading it from its beginning"
        );
        if let Some(former) = self.client.take() {
            let left = on_thread(move || {
                reset_offsets(&former);
                drop(former);
            });
            let _ = tokio::time::timeout(WORKER_LEAVE_TIMEOUT, left).await;
        }
        while let Err(error) = self.join() {
            tracing::error!(%error, "cannot create a Kafka client, retrying");
            tokio::time::sleep(WORKER_RETRY_DELAY).await;
        }
    }

    /// Waits for a message; returns it with those that follow shortly.
    pub async fn batch(&mut self) -> Vec<OwnedMessage> {
        let first = loop {
            tokio::select! {
                biased;
                // Only between batches: the offsets of a batch belong to the client that read it.
                () = self.recreated.cancelled() => self.restart().await,
                message = self.message() => break message,
            }
        };
        let mut batch = vec![first];
        let end = Instant::now() + WORKER_LINGER;
        while batch.len() < WORKER_BATCH_EVENTS_MAX {
            match tokio::time::timeout_at(end, self.message()).await {
                Ok(message) => batch.push(message),
                Err(_) => break,
            }
        }
        batch
    }

    async fn message(&self) -> OwnedMessage {
        let Some(client) = &self.client else {
            return std::future::pending().await;
        };
        // The client retries by itself and queues an error each time, before the messages: read them all, log few.
        let mut log_after = Instant::now();
        loop {
            let error = match client.recv().await {
                Ok(message) => return message.detach(),
                Err(error) => error,
            };
            let now = Instant::now();
            if now < log_after {
                continue;
            }
            log_after = now + WORKER_LOG_PERIOD;
            if is_topic_missing(&error) {
                tracing::warn!(topic = self.topic, "waiting for the topic");
            } else {
                tracing::warn!(%error, "waiting for Kafka");
            }
        }
    }

    /// Call it once the batch is stored. If it fails the messages are read again, and the database deduplicates them.
    pub async fn commit(&self, batch: &[OwnedMessage]) {
        let mut offsets = TopicPartitionList::new();
        for message in batch {
            let next = Offset::Offset(message.offset() + 1);
            let partition = message.partition();
            let known = offsets.find_partition(&self.topic, partition);
            let result = match known {
                Some(mut known) => known.set_offset(next),
                None => offsets.add_partition_offset(&self.topic, partition, next),
            };
            if let Err(error) = result {
                tracing::warn!(%error, "cannot record an offset");
            }
        }
        // Queued here and sent by the client's thread; the next commit covers one that got lost.
        let Some(client) = &self.client else { return };
        if let Err(error) = client.commit(&offsets, CommitMode::Async) {
            tracing::warn!(%error, "cannot commit offsets; events will be repeated");
        }
    }

    /// Asks the brokers for the lag, which the client reports only while it reads.
    pub async fn measure_lag(&self) {
        let Some(client) = self.client.clone() else { return };
        let topic = self.topic.clone();
        match on_thread(move || lag(&client, &topic)).await {
            Ok(Ok(lag)) => {
                self.metrics.lag_events.set(lag);
            }
            Ok(Err(error)) => tracing::debug!(%error, "cannot measure the lag"),
            Err(_) => {}
        }
    }
}

/// Runs blocking work on a thread. Not as a task of the runtime, whose shutdown would wait for it: dropping a client
/// waits for the brokers.
fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
    let (sender, answer) = oneshot::channel();
    std::thread::spawn(move || sender.send(work()));
    answer
}

/// Uncommitted events of the assigned partitions. Blocks.
fn lag(client: &StreamConsumer<Context>, topic: &str) -> KafkaResult<i64> {
    let mut lag = 0;
    for committed in client.committed(WORKER_LAG_TIMEOUT)?.elements() {
        let (first, end) = client.fetch_watermarks(topic, committed.partition(), WORKER_LAG_TIMEOUT)?;
        let next = match committed.offset() {
            Offset::Offset(next) => next,
            _ => first,
        };
        lag += (end - next).max(0);
    }
    Ok(lag)
}

/// Commits the beginning of each partition. Before the client noticed the recreation, for example during a database outage,
/// it may have committed offsets of the former topic to the new one.
fn reset_offsets(client: &StreamConsumer<Context>) {
    let beginning = client.assignment().and_then(|mut partitions| {
        partitions.set_all_offsets(Offset::Offset(0))?;
        client.commit(&partitions, CommitMode::Sync)
    });
    if let Err(error) = beginning {
        tracing::warn!(%error, "cannot commit the beginning of the recreated topic");
    }
}

/// Takes the lag from the client's statistics and detects a recreated topic in its log.
struct Context {
    metrics: WorkerMetrics,
    topic: String,
    recreated: CancellationToken,
}

impl ClientContext for Context {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, message: &str) {
        if is_topic_recreated(message) {
            self.recreated.cancel();
        }
    }

    fn stats(&self, statistics: Statistics) {
        let Some(topic) = statistics.topics.get(&self.topic) else {
            return;
        };
        let lags = topic.partitions.values().map(|partition| partition.consumer_lag);
        self.metrics.lag_events.set(lags.filter(|lag| *lag > 0).sum());
    }
}

impl ConsumerContext for Context {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_recreated_when_both_ids_are_known() {
        let zero = "AAAAAAAAAAAAAAAAAAAAAA";
        let (one, other) = ("LyiR+9dWRr++yiQTKtuSzA", "B8UJgRokQcyai9ytdQd1gA");
        for (former, present, is_recreated) in [(one, other, true), (zero, one, false), (one, zero, false)] {
            let message = format!("[thrd:main]: Topic history changed id from {former} to {present}");
            assert_eq!(is_topic_recreated(&message), is_recreated, "{message}");
        }
        assert!(!is_topic_recreated(
            "[thrd:main]: Topic history with 3 partitions"
        ));
    }
}
