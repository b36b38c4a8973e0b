//! Batches from Kafka, with offsets committed by hand.

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

use crate::{
    cli::WorkerArgs,
    log::is_topic_missing,
    metrics::WorkerMetrics,
    shard::limits::{
        WORKER_BATCH_EVENTS_MAX, WORKER_LAG_TIMEOUT, WORKER_LEAVE_TIMEOUT, WORKER_LINGER, WORKER_RETRY_DELAY,
        WORKER_TELL_INTERVAL,
    },
};

/// A member of the consumer group.
pub struct Consumer {
    /// None only while it is dropped.
    client: Option<Arc<StreamConsumer<Context>>>,
    /// The topic has become another one of the same name, as after it was deleted and made again, or Kafka was. The
    /// client goes on from its offset in the former one, and says nothing of what it leaves out.
    recreated: CancellationToken,
    config: ClientConfig,
    metrics: WorkerMetrics,
    topic: String,
}

/// Whether librdkafka logs (`rd_kafka_topic_metadata_update`) that a topic it knew is another one: there is no other
/// way to hear of it.
fn tells_of_another_topic(message: &str) -> bool {
    const NONE: &str = "AAAAAAAAAAAAAAAAAAAAAA";
    let ids = message
        .split_once(" changed id from ")
        .and_then(|(_, ids)| ids.split_once(" to "));
    ids.is_some_and(|(former, present)| former != NONE && present != NONE)
}

/// Leaving the group waits for brokers, for ever when they are gone: then the group finds out by itself.
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
            // A topic that is made later is found within this time.
            .set("topic.metadata.refresh.interval.ms", "5000")
            .set("statistics.interval.ms", "1000")
            .set("session.timeout.ms", "10000")
            // A database that is away must not cost the membership.
            .set("max.poll.interval.ms", "86400000")
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "2000")
            // The address of a pod that is gone answers nothing.
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
        consumer.begin()?;
        Ok(consumer)
    }

    /// Joins the group as a new member, which reads from the committed offsets or from the beginning.
    fn begin(&mut self) -> KafkaResult<()> {
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

    /// Reads the topic that was made anew from its beginning.
    async fn begin_anew(&mut self) {
        tracing::warn!(
            topic = self.topic,
            "the topic was made anew: reading it from its beginning"
        );
        if let Some(former) = self.client.take() {
            let left = apart(move || {
                forget_offsets(&former);
                drop(former);
            });
            let _ = tokio::time::timeout(WORKER_LEAVE_TIMEOUT, left).await;
        }
        while let Err(error) = self.begin() {
            tracing::error!(%error, "cannot make a new client, trying again");
            tokio::time::sleep(WORKER_RETRY_DELAY).await;
        }
    }

    /// Waits for messages; returns what has come shortly after the first of them.
    pub async fn batch(&mut self) -> Vec<OwnedMessage> {
        let first = loop {
            tokio::select! {
                biased;
                // Only between batches: the offsets of a batch are its own client's.
                () = self.recreated.cancelled() => self.begin_anew().await,
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
        // The client tries again by itself and queues an error each time, before the messages: all are taken as
        // they come, few are told.
        let mut tell_after = Instant::now();
        loop {
            let error = match client.recv().await {
                Ok(message) => return message.detach(),
                Err(error) => error,
            };
            let now = Instant::now();
            if now < tell_after {
                continue;
            }
            tell_after = now + WORKER_TELL_INTERVAL;
            if is_topic_missing(&error) {
                tracing::warn!(topic = self.topic, "waiting for the topic");
            } else {
                tracing::warn!(%error, "waiting for Kafka");
            }
        }
    }

    /// The batch is stored. Where this fails the messages come again, and the database recognises them.
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
                tracing::warn!(%error, "cannot note an offset");
            }
        }
        // Queued here, sent by the client's own thread; the next commit covers one that got lost.
        let Some(client) = &self.client else { return };
        if let Err(error) = client.commit(&offsets, CommitMode::Async) {
            tracing::warn!(%error, "cannot commit offsets; events will be repeated");
        }
    }

    /// Asks the brokers for the lag: the client tells it only while it reads.
    pub async fn measure_lag(&self) {
        let Some(client) = self.client.clone() else { return };
        let topic = self.topic.clone();
        match apart(move || lag(&client, &topic)).await {
            Ok(Ok(lag)) => {
                self.metrics.lag_events.set(lag);
            }
            Ok(Err(error)) => tracing::debug!(%error, "cannot ask for the lag"),
            Err(_) => {}
        }
    }
}

/// Does blocking work. Not a task of the runtime, whose end would wait for it: whoever drops a client waits for brokers.
fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
    let (sender, answer) = oneshot::channel();
    std::thread::spawn(move || sender.send(work()));
    answer
}

/// Events of the assigned partitions that are not committed. Blocks.
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

/// Commits the beginning of each partition and leaves. Until the client heard of it, offsets of the former topic may
/// have been committed in the one made anew, as while the database was away.
fn forget_offsets(client: &StreamConsumer<Context>) {
    let beginning = client.assignment().and_then(|mut partitions| {
        partitions.set_all_offsets(Offset::Offset(0))?;
        client.commit(&partitions, CommitMode::Sync)
    });
    if let Err(error) = beginning {
        tracing::warn!(%error, "cannot commit the beginning of the topic that was made anew");
    }
}

/// Takes the lag from the client's statistics, and from its log that the topic was made anew.
struct Context {
    metrics: WorkerMetrics,
    topic: String,
    recreated: CancellationToken,
}

impl ClientContext for Context {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, message: &str) {
        if tells_of_another_topic(message) {
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
    fn a_topic_is_another_one_when_both_ids_are_known() {
        let zero = "AAAAAAAAAAAAAAAAAAAAAA";
        let (one, other) = ("LyiR+9dWRr++yiQTKtuSzA", "B8UJgRokQcyai9ytdQd1gA");
        for (former, present, is_told) in [(one, other, true), (zero, one, false), (one, zero, false)] {
            let message = format!("[thrd:main]: Topic history changed id from {former} to {present}");
            assert_eq!(tells_of_another_topic(&message), is_told, "{message}");
        }
        assert!(!tells_of_another_topic(
            "[thrd:main]: Topic history with 3 partitions"
        ));
    }
}
