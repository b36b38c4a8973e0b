//! Batches from Kafka, with offsets committed by hand.

use std::sync::mpsc;

use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, Statistics, TopicPartitionList,
    consumer::{CommitMode, Consumer as _, ConsumerContext, StreamConsumer},
    error::KafkaResult,
    message::OwnedMessage,
};
use tokio::time::Instant;

use crate::{
    cli::WorkerArgs,
    log::is_topic_missing,
    metrics::WorkerMetrics,
    shard::limits::{WORKER_BATCH_EVENTS_MAX, WORKER_LEAVE_TIMEOUT, WORKER_LINGER, WORKER_TELL_INTERVAL},
};

/// A member of the consumer group.
pub struct Consumer {
    /// None only while it is dropped.
    consumer: Option<StreamConsumer<Context>>,
    topic: String,
}

/// Leaving the group waits for brokers, for ever when they are gone: then the group finds out by itself.
impl Drop for Consumer {
    fn drop(&mut self) {
        let consumer = self.consumer.take();
        let (left, has_left) = mpsc::channel();
        std::thread::spawn(move || {
            drop(consumer);
            let _ = left.send(());
        });
        let _ = has_left.recv_timeout(WORKER_LEAVE_TIMEOUT);
    }
}

impl Consumer {
    /// Does not wait for the brokers: reading does.
    pub fn new(args: &WorkerArgs, metrics: WorkerMetrics) -> KafkaResult<Consumer> {
        let context = Context {
            metrics,
            topic: args.kafka_topic.clone(),
        };
        let consumer: StreamConsumer<Context> = ClientConfig::new()
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
            .set("log.connection.close", "false")
            .create_with_context(context)?;
        consumer.subscribe(&[&args.kafka_topic])?;
        Ok(Consumer {
            consumer: Some(consumer),
            topic: args.kafka_topic.clone(),
        })
    }

    /// Waits for messages; returns what has come shortly after the first of them.
    pub async fn batch(&self) -> Vec<OwnedMessage> {
        let mut batch = vec![self.message().await];
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
        let Some(consumer) = &self.consumer else {
            return std::future::pending().await;
        };
        // The client tries again by itself and queues an error each time, before the messages: all are taken as
        // they come, few are told.
        let mut tell_after = Instant::now();
        loop {
            let error = match consumer.recv().await {
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
        let Some(consumer) = &self.consumer else { return };
        if let Err(error) = consumer.commit(&offsets, CommitMode::Async) {
            tracing::warn!(%error, "cannot commit offsets; events will be repeated");
        }
    }
}

/// Takes the lag from the client's statistics.
struct Context {
    metrics: WorkerMetrics,
    topic: String,
}

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        let Some(topic) = statistics.topics.get(&self.topic) else {
            return;
        };
        let lags = topic.partitions.values().map(|partition| partition.consumer_lag);
        self.metrics.lag_events.set(lags.filter(|lag| *lag > 0).sum());
    }
}

impl ConsumerContext for Context {}
