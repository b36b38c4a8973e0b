//! Topics of a Kafka: a thin layer over the admin client. It blocks, so it must be called off the async runtime.

use super::limits;
use futures::executor::block_on;
use poker_operator_core::{observed::TopicObserved, plan_result::TopicPlan};
use rdkafka::{
    ClientConfig,
    admin::{
        AdminClient, AdminOptions, AlterConfig, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier,
        TopicReplication,
    },
    client::DefaultClientContext,
    error::KafkaError,
    types::RDKafkaErrorCode,
};
use std::{collections::BTreeMap, time::Duration};

const RETENTION: &str = "retention.ms";
const TIMEOUT: Duration = Duration::from_secs(limits::REQUEST_TIMEOUT_SECONDS);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    #[error("Kafka cannot be reached: {0}")]
    Unreachable(String),
    #[error("Kafka refused the request: {0}")]
    Refused(String),
}

/// An admin client of one Kafka. Dropping it waits for its thread: do that off the async runtime too.
pub struct KafkaAdmin {
    admin: AdminClient<DefaultClientContext>,
    options: AdminOptions,
}

impl KafkaAdmin {
    /// # Errors
    /// When `bootstrap` is not a list of `host:port`. Nothing is contacted yet.
    pub fn connect(bootstrap: &str) -> Result<Self, TopicError> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("client.id", "poker-operator")
            .set("socket.timeout.ms", TIMEOUT.as_millis().to_string())
            .set(
                "socket.connection.setup.timeout.ms",
                TIMEOUT.as_millis().to_string(),
            );
        let admin = config
            .create()
            .map_err(|error| TopicError::Refused(error.to_string()))?;
        let options = AdminOptions::new()
            .request_timeout(Some(TIMEOUT))
            .operation_timeout(Some(TIMEOUT));
        Ok(Self { admin, options })
    }

    /// The present state of a topic.
    pub fn describe(&self, topic: &str) -> Result<TopicObserved, TopicError> {
        // All topics are listed: a request for one by name may create it.
        let metadata = self
            .admin
            .inner()
            .fetch_metadata(None, TIMEOUT)
            .map_err(classify)?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return Ok(TopicObserved::Absent);
        };
        let replicas = found
            .partitions()
            .iter()
            .map(|partition| partition.replicas().len())
            .min();
        Ok(TopicObserved::Present {
            partitions: i32::try_from(found.partitions().len()).unwrap_or(i32::MAX),
            replication_factor: i32::try_from(replicas.unwrap_or_default()).unwrap_or(i32::MAX),
            retention_ms: self
                .settings(topic)?
                .remove(RETENTION)
                .and_then(|(value, _)| value.parse().ok()),
        })
    }

    /// Creates or alters a topic.
    pub fn ensure(&self, plan: &TopicPlan) -> Result<(), TopicError> {
        match plan {
            TopicPlan::Create {
                name,
                partitions,
                replication_factor,
                retention_ms,
            } => self.create(name, *partitions, *replication_factor, *retention_ms),
            TopicPlan::Alter {
                name,
                partitions,
                retention_ms,
            } => {
                partitions.map_or(Ok(()), |partitions| self.grow(name, partitions))?;
                retention_ms.map_or(Ok(()), |retention_ms| self.retain(name, retention_ms))
            }
        }
    }

    fn create(
        &self,
        topic: &str,
        partitions: i32,
        replicas: i32,
        retention_ms: i64,
    ) -> Result<(), TopicError> {
        let retention = retention_ms.to_string();
        let new =
            NewTopic::new(topic, partitions, TopicReplication::Fixed(replicas)).set(RETENTION, &retention);
        let results = block_on(self.admin.create_topics([&new], &self.options)).map_err(classify)?;
        outcome(results, Some(RDKafkaErrorCode::TopicAlreadyExists))
    }

    fn grow(&self, topic: &str, partitions: i32) -> Result<(), TopicError> {
        let count = usize::try_from(partitions).unwrap_or_default();
        let new = NewPartitions::new(topic, count);
        let results = block_on(self.admin.create_partitions([&new], &self.options)).map_err(classify)?;
        outcome(results, None)
    }

    /// Sets the retention and keeps every other setting of the topic: the request replaces them all.
    fn retain(&self, topic: &str, retention_ms: i64) -> Result<(), TopicError> {
        let mut settings = self.settings(topic)?;
        settings.retain(|_, (_, own)| *own);
        settings.insert(RETENTION.to_owned(), (retention_ms.to_string(), true));
        let alter = settings.iter().fold(
            AlterConfig::new(ResourceSpecifier::Topic(topic)),
            |alter, (key, (value, _))| alter.set(key, value),
        );
        let results = block_on(self.admin.alter_configs([&alter], &self.options)).map_err(classify)?;
        outcome(
            results
                .into_iter()
                .map(|result| result.map(drop).map_err(|(_, code)| (topic.to_owned(), code))),
            None,
        )
    }

    pub fn delete(&self, topic: &str) -> Result<(), TopicError> {
        let results = block_on(self.admin.delete_topics(&[topic], &self.options)).map_err(classify)?;
        outcome(results, Some(RDKafkaErrorCode::UnknownTopicOrPartition))
    }

    /// Settings by name: value, and whether it was set on the topic itself.
    fn settings(&self, topic: &str) -> Result<BTreeMap<String, (String, bool)>, TopicError> {
        let specifier = ResourceSpecifier::Topic(topic);
        let results = block_on(self.admin.describe_configs([&specifier], &self.options)).map_err(classify)?;
        let mut settings = BTreeMap::new();
        for result in results {
            let resource = result.map_err(|code| TopicError::Refused(code.to_string()))?;
            for entry in resource.entries {
                let own = entry.source == ConfigSource::DynamicTopic;
                settings.extend(entry.value.map(|value| (entry.name, (value, own))));
            }
        }
        Ok(settings)
    }
}

/// Turns the results of topics into one. `harmless` means that another client was faster.
fn outcome<T>(
    results: impl IntoIterator<Item = Result<T, (String, RDKafkaErrorCode)>>,
    harmless: Option<RDKafkaErrorCode>,
) -> Result<(), TopicError> {
    for result in results {
        match result {
            Err((_, code)) if Some(code) != harmless => return Err(TopicError::Refused(code.to_string())),
            _ => {}
        }
    }
    Ok(())
}

fn classify(error: KafkaError) -> TopicError {
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::RequestTimedOut
            | RDKafkaErrorCode::Resolve
            | RDKafkaErrorCode::TimedOutQueue,
        )
        | None => TopicError::Unreachable(error.to_string()),
        Some(_) => TopicError::Refused(error.to_string()),
    }
}
