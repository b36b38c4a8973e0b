//! The producer of history events, and what all Kafka clients of the app share.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join_all;
use rdkafka::{
    ClientConfig, ClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    producer::{FutureProducer, FutureRecord},
};
use tokio::time::{Instant, timeout_at};

use super::{
    SinkError,
    limits::{KAFKA_ANSWER_TIMEOUT, KAFKA_SEND_TIMEOUT, KAFKA_STALL_MAX},
};

/// Sends to one topic with the team as key, so that a team's events stay in order on one partition. Cheap to clone.
///
/// A client for which no event was acknowledged while events wait is replaced by a new one: librdkafka clients are known to
/// get stuck for good, for example when a broker is fenced for a moment and its metadata lists no broker.
#[derive(Clone)]
pub struct KafkaSink {
    config: Arc<ClientConfig>,
    topic: Arc<str>,
    current: Arc<Mutex<Current>>,
}

struct Current {
    client: Arc<Client>,
    /// When the oldest attempt since the last acknowledgement began; `None`: nothing was attempted since.
    waiting_since: Option<Instant>,
}

impl KafkaSink {
    /// Does not wait for the brokers: sending does.
    pub fn new(brokers: &str, topic: &str) -> Result<KafkaSink, SinkError> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", brokers)
            .set("client.id", "poker-shard")
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("allow.auto.create.topics", "false")
            .set("linger.ms", "5")
            .set("message.timeout.ms", KAFKA_SEND_TIMEOUT.as_millis().to_string())
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "2000")
            // The address of a deleted pod does not answer.
            .set("socket.connection.setup.timeout.ms", "5000")
            .set("log.connection.close", "false")
            .set_log_level(RDKafkaLogLevel::Warning);
        let client = Client::new(&config)?;
        Ok(KafkaSink {
            config: Arc::new(config),
            topic: topic.into(),
            current: Arc::new(Mutex::new(Current {
                client: Arc::new(client),
                waiting_since: None,
            })),
        })
    }

    pub(super) async fn deliver(&self, team: &str, events: &[Vec<u8>]) -> (usize, Option<SinkError>) {
        let client = self.client(Instant::now());
        let (delivered, error) = client.deliver(&self.topic, team, events).await;
        if delivered > 0 {
            self.current().waiting_since = None;
        } else if error.is_some() {
            self.replace_if_stuck(&client, Instant::now());
        }
        (delivered, error.map(SinkError::from))
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client for an attempt that begins.
    fn client(&self, now: Instant) -> Arc<Client> {
        let mut current = self.current();
        current.waiting_since.get_or_insert(now);
        current.client.clone()
    }

    /// Call it when an attempt with `client` has failed.
    fn replace_if_stuck(&self, client: &Arc<Client>, now: Instant) {
        let mut current = self.current();
        let is_stuck = current
            .waiting_since
            .is_some_and(|since| now - since >= KAFKA_STALL_MAX);
        if !is_stuck || !Arc::ptr_eq(&current.client, client) {
            return;
        }
        match Client::new(&self.config) {
            Ok(client) => {
                tracing::warn!(
                    "Kafka acknowledged no event for {} s: continuing with a new client",
                    KAFKA_STALL_MAX.as_secs()
                );
                *current = Current {
                    client: Arc::new(client),
                    waiting_since: None,
                };
            }
            Err(error) => tracing::error!(%error, "cannot create a Kafka client, retrying"),
        }
    }
}

/// One librdkafka client. Dropping it waits for its threads, so a thread does that.
struct Client(Option<FutureProducer<LogContext>>);

impl Drop for Client {
    fn drop(&mut self) {
        let producer = self.0.take();
        std::thread::spawn(move || drop(producer));
    }
}

impl Client {
    fn new(config: &ClientConfig) -> KafkaResult<Client> {
        Ok(Client(Some(config.create_with_context(LogContext)?)))
    }

    /// Returns how many events were acknowledged, counted from the first, and the error that stopped the others.
    async fn deliver(&self, topic: &str, team: &str, events: &[Vec<u8>]) -> (usize, Option<KafkaError>) {
        let Some(producer) = &self.0 else {
            return (0, Some(KafkaError::Canceled));
        };
        let end = Instant::now() + KAFKA_ANSWER_TIMEOUT;
        let mut deliveries = Vec::with_capacity(events.len());
        let mut refused = None;
        for event in events {
            let record = FutureRecord::to(topic).key(team).payload(event);
            match producer.send_result(record) {
                Ok(delivery) => deliveries.push(timeout_at(end, delivery)),
                Err((error, _)) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let results = join_all(deliveries).await.into_iter().map(|result| match result {
            Ok(Ok(Ok(_))) => Ok(()),
            Ok(Ok(Err((error, _)))) => Err(error),
            Ok(Err(_)) => Err(KafkaError::Canceled),
            // librdkafka missed its own deadline for this event.
            Err(_) => Err(KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut)),
        });
        let mut delivered = 0;
        for result in results {
            match result {
                Ok(()) => delivered += 1,
                Err(error) => return (delivered, Some(error)),
            }
        }
        (delivered, refused)
    }
}

/// Whether the topic does not exist (yet).
pub fn is_topic_missing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)
    )
}

struct LogContext;

impl ClientContext for LogContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_client(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_client_error(&error, reason);
    }
}

/// Passes the log of a librdkafka client on, from level warning.
pub fn log_client(level: RDKafkaLogLevel, facility: &str, message: &str) {
    if level as i32 <= RDKafkaLogLevel::Warning as i32 {
        tracing::warn!(facility, text = message, "log of a Kafka client");
    }
}

/// An error that concerns a client as a whole. While brokers are down it is reported several times a second; the log of the
/// client has its cause.
pub fn log_client_error(error: &KafkaError, reason: &str) {
    tracing::debug!(%error, reason, "error of a Kafka client");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_client_without_an_acknowledgement_is_replaced_once() {
        let sink = KafkaSink::new("127.0.0.1:1", "history").unwrap();
        let begin = Instant::now();
        let first = sink.client(begin);
        let almost = begin + KAFKA_STALL_MAX - SECOND;
        sink.replace_if_stuck(&first, almost);
        assert!(Arc::ptr_eq(&first, &sink.client(almost)));
        let end = begin + KAFKA_STALL_MAX;
        sink.replace_if_stuck(&first, end);
        let second = sink.client(end);
        assert!(!Arc::ptr_eq(&first, &second));
        // Other attempts with the first client fail as well.
        let later = end + KAFKA_STALL_MAX;
        sink.replace_if_stuck(&first, later);
        assert!(Arc::ptr_eq(&second, &sink.client(later)));
    }

    #[test]
    fn a_client_is_kept_after_an_acknowledgement() {
        let sink = KafkaSink::new("127.0.0.1:1", "history").unwrap();
        let begin = Instant::now();
        let client = sink.client(begin);
        sink.current().waiting_since = None;
        let later = begin + KAFKA_STALL_MAX;
        assert!(Arc::ptr_eq(&client, &sink.client(later)));
        sink.replace_if_stuck(&client, later + SECOND);
        assert!(Arc::ptr_eq(&client, &sink.client(later + SECOND)));
    }
}
