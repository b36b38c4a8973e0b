//! Reads batches from Kafka and commits their offsets once they are stored.

use std::sync::{Arc, mpsc};

use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, Statistics, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, StreamConsumer},
    error::{KafkaError, KafkaResult},
    message::OwnedMessage,
};
use tokio::{sync::oneshot, time::Instant};
use tokio_util::sync::CancellationToken;

use super::limits::{
    WORKER_BATCH_EVENTS_MAX, WORKER_LAG_TIMEOUT, WORKER_LEAVE_TIMEOUT, WORKER_LINGER, WORKER_LOG_PERIOD,
    WORKER_PROBE_PERIOD, WORKER_PROBE_TIMEOUT, WORKER_RETRY_DELAY,
};
use crate::{
    cli::WorkerArgs,
    events::{is_topic_missing, log_client, log_client_error},
    metrics::WorkerMetrics,
};

/// A member of the consumer group.
pub struct Consumer {
    /// `None` only while it is dropped.
    client: Option<Arc<StreamConsumer<Context>>>,
    /// Cancelled when the topic was recreated under the same name. The client would continue from its offset in the
    /// former topic and skip everything below it.
    recreated: CancellationToken,
    config: ClientConfig,
    /// For a client that asks about the group without joining it.
    probe: ClientConfig,
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
        let mut probe = ClientConfig::new();
        probe
            .set("bootstrap.servers", &args.kafka_brokers)
            .set("group.id", &args.kafka_group)
            .set("client.id", "poker-worker-probe")
            .set_log_level(RDKafkaLogLevel::Warning);
        let mut config = probe.clone();
        config
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
            probe,
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

    /// Leaves the group and joins it again with a new client. `leaving` runs before the former one is dropped.
    async fn rejoin(&mut self, leaving: impl FnOnce(&StreamConsumer<Context>) + Send + 'static) {
        if let Some(former) = self.client.take() {
            let left = on_thread(move || {
                leaving(&former);
                drop(former);
            });
            let _ = tokio::time::timeout(WORKER_LEAVE_TIMEOUT, left).await;
        }
        while let Err(error) = self.join() {
            tracing::error!(%error, "cannot create a Kafka client, retrying");
            tokio::time::sleep(WORKER_RETRY_DELAY).await;
        }
    }

    /// Reads the recreated topic from its beginning.
    async fn restart(&mut self) {
        tracing::warn!(
            topic = self.topic,
            "the topic was recreated: reading it from its beginning"
        );
        self.rejoin(reset_offsets).await;
    }

    /// A librdkafka client may get stuck for good, for example when a broker is fenced for a moment and its metadata lists no
    /// broker.
    async fn replace(&mut self) {
        tracing::warn!(
            topic = self.topic,
            "events wait in Kafka and none arrives: continuing with a new client"
        );
        self.rejoin(|_| {}).await;
    }

    /// Completes when events have been waiting for this member for [`WORKER_PROBE_PERIOD`]. Call it while none arrives.
    async fn stalled(&self) {
        loop {
            tokio::time::sleep(WORKER_PROBE_PERIOD).await;
            if self.has_work().await {
                return tokio::time::sleep(WORKER_PROBE_PERIOD).await;
            }
        }
    }

    /// Whether events wait for this member, or for any member if it has no partition. Asks with another client, because
    /// this one may be stuck.
    async fn has_work(&self) -> bool {
        let assigned = self.client.as_ref().and_then(|client| client.assignment().ok());
        let assigned: Vec<i32> = assigned.iter().flat_map(partitions).collect();
        let (config, topic) = (self.probe.clone(), self.topic.clone());
        match on_thread(move || waiting(&config, &topic)).await {
            Ok(Ok(waiting)) => waiting
                .iter()
                .any(|partition| assigned.is_empty() || assigned.contains(partition)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "cannot ask Kafka whether events wait");
                false
            }
            Err(_) => false,
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
                () = self.stalled() => self.replace().await,
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

fn partitions(list: &TopicPartitionList) -> Vec<i32> {
    list.elements()
        .iter()
        .map(|element| element.partition())
        .collect()
}

/// Partitions with events that the group has not committed. Blocks.
fn waiting(config: &ClientConfig, topic: &str) -> KafkaResult<Vec<i32>> {
    let client: BaseConsumer<Probe> = config.create_with_context(Probe)?;
    let metadata = client.fetch_metadata(Some(topic), WORKER_PROBE_TIMEOUT)?;
    let mut all = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        all.add_partition(topic, partition.id());
    }
    let mut waiting = Vec::new();
    for committed in client.committed_offsets(all, WORKER_PROBE_TIMEOUT)?.elements() {
        let (first, end) = client.fetch_watermarks(topic, committed.partition(), WORKER_PROBE_TIMEOUT)?;
        if end > next_offset(committed.offset(), first) {
            waiting.push(committed.partition());
        }
    }
    Ok(waiting)
}

/// The offset at which a group continues in a partition whose first event is at `first`.
fn next_offset(committed: Offset, first: i64) -> i64 {
    match committed {
        Offset::Offset(next) => next.max(first),
        _ => first,
    }
}

/// Uncommitted events of the assigned partitions. Blocks.
fn lag(client: &StreamConsumer<Context>, topic: &str) -> KafkaResult<i64> {
    let mut lag = 0;
    for committed in client.committed(WORKER_LAG_TIMEOUT)?.elements() {
        let (first, end) = client.fetch_watermarks(topic, committed.partition(), WORKER_LAG_TIMEOUT)?;
        lag += (end - next_offset(committed.offset(), first)).max(0);
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
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_client(level, facility, message);
        if is_topic_recreated(message) {
            self.recreated.cancel();
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_client_error(&error, reason);
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

/// The context of a client that asks and is dropped: what it fails at is in its answers.
struct Probe;

impl ClientContext for Probe {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {}

    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl ConsumerContext for Probe {}

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
