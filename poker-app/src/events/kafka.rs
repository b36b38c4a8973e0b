//! The producer of history events.

use futures::future::join_all;
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{FutureProducer, FutureRecord},
};

use super::{SinkError, limits::KAFKA_SEND_TIMEOUT};

/// Sends to one topic with the team as key, so that a team's events stay in order on one partition. Cheap to clone.
#[derive(Clone)]
pub struct KafkaSink {
    producer: FutureProducer,
    topic: String,
}

impl KafkaSink {
    /// Does not wait for the brokers: sending does.
    pub fn new(brokers: &str, topic: &str) -> Result<KafkaSink, SinkError> {
        let producer = ClientConfig::new()
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
            .create()?;
        Ok(KafkaSink {
            producer,
            topic: topic.into(),
        })
    }

    pub(super) async fn deliver(&self, team: &str, events: &[Vec<u8>]) -> (usize, Option<SinkError>) {
        let mut deliveries = Vec::with_capacity(events.len());
        let mut refused = None;
        for event in events {
            let record = FutureRecord::to(&self.topic).key(team).payload(event);
            match self.producer.send_result(record) {
                Ok(delivery) => deliveries.push(delivery),
                Err((error, _)) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let results = join_all(deliveries).await.into_iter().map(|result| match result {
            Ok(Ok(_)) => Ok(()),
            Ok(Err((error, _))) => Err(error),
            Err(_) => Err(KafkaError::Canceled),
        });
        let mut delivered = 0;
        for result in results {
            match result {
                Ok(()) => delivered += 1,
                Err(error) => return (delivered, Some(error.into())),
            }
        }
        (delivered, refused.map(SinkError::from))
    }
}

/// Whether the topic does not exist (yet).
pub fn is_topic_missing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)
    )
}
