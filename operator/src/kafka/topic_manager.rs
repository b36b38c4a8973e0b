//! Kafka topics, one per cluster. A reconcile requests an operation and reads the last known state of the topic.
//! Background jobs talk to Kafka, so that no reconcile waits for it.

use crate::{
    backoff,
    cluster_key::ClusterKey,
    kafka::{
        admin::{KafkaAdmin, TopicError},
        limits,
    },
    metrics::Metrics,
    triggers::Triggers,
};
use backon::ExponentialBuilder;
use futures::future::OptionFuture;
use poker_operator_api::{ClusterNames, Component, PokerCluster};
use poker_operator_core::{limits::PORT_KAFKA, observed::TopicObserved, plan_result::DesiredTopic, topic};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// A failed operation is retried after this time, twice as long with each failure.
const RETRY_BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_secs(limits::TOPIC_RETRY_SECONDS))
    .with_max_delay(Duration::from_secs(limits::TOPIC_RETRY_MAX_SECONDS));

/// A topic and its Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Bootstrap servers: `host:port`, separated by commas.
    pub brokers: String,
    pub name: String,
}

impl Topic {
    /// The topic that the spec names.
    pub fn of(cluster: &PokerCluster, names: &ClusterNames) -> Self {
        let kafka = &cluster.spec.kafka;
        let brokers = match &kafka.external {
            Some(external) => external.bootstrap_servers.join(","),
            None => format!("{}:{PORT_KAFKA}", names.host(&names.component(Component::Kafka))),
        };
        Self {
            brokers,
            name: topic::name(names, &kafka.topic),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum TopicOp {
    Describe,
    Ensure(DesiredTopic),
    Delete,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum TopicState {
    Known(TopicObserved),
    Deleted,
}

/// Progress of the deletion of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    Done,
    /// Not tried yet.
    Pending,
    /// Failed at least once.
    Failing,
}

struct Entry {
    /// Unique, so that the result of a job for a forgotten entry does not reach its successor.
    number: u64,
    topic: Topic,
    op: TopicOp,
    state: TopicState,
    failures: u32,
    due: Instant,
    running: bool,
}

/// An operation that is running.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TopicJob {
    cluster: ClusterKey,
    entry: u64,
    topic: Topic,
    op: TopicOp,
}

/// Operations in, states out.
#[derive(Default)]
pub struct TopicManager {
    entries: Mutex<HashMap<ClusterKey, Entry>>,
    next_number: AtomicU64,
    changed: Notify,
}

impl TopicManager {
    /// The last known state of the cluster's topic. It is refreshed in the background from now on.
    pub fn describe(&self, cluster: &ClusterKey, topic: &Topic) -> TopicObserved {
        match self.request(cluster, topic, TopicOp::Describe).0 {
            TopicState::Known(topic) => topic,
            TopicState::Deleted => TopicObserved::Absent,
        }
    }

    /// Creates or alters the topic in the background. A change of its state triggers a reconcile.
    pub fn ensure(&self, cluster: &ClusterKey, topic: &Topic, desired: DesiredTopic) {
        self.request(cluster, topic, TopicOp::Ensure(desired));
    }

    /// Stops changing the topic. A later reconcile requests again what has not been done.
    pub fn pause(&self, cluster: &ClusterKey) {
        if let Some(entry) = self.lock().get_mut(cluster)
            && matches!(entry.op, TopicOp::Ensure(_))
        {
            entry.op = TopicOp::Describe;
        }
    }

    /// Deletes the topic in the background and returns how far that is.
    pub fn delete(&self, cluster: &ClusterKey, topic: &Topic) -> Deletion {
        match self.request(cluster, topic, TopicOp::Delete) {
            (TopicState::Deleted, _) => Deletion::Done,
            (TopicState::Known(_), 0) => Deletion::Pending,
            (TopicState::Known(_), _) => Deletion::Failing,
        }
    }

    pub fn forget(&self, cluster: &ClusterKey) {
        self.lock().remove(cluster);
    }

    /// Keeps the operation for the next job and returns the topic's state and the failures in a row. A new operation
    /// does not wait for the retry of an old one.
    fn request(&self, cluster: &ClusterKey, topic: &Topic, op: TopicOp) -> (TopicState, u32) {
        let mut entries = self.lock();
        let new = || Entry::new(self.next_number.fetch_add(1, Ordering::Relaxed), topic.clone());
        let entry = entries.entry(cluster.clone()).or_insert_with(new);
        if entry.topic != *topic {
            *entry = new();
        }
        if entry.op != op && op != TopicOp::Describe {
            entry.op = op;
            entry.failures = 0;
            entry.due = Instant::now();
        }
        let known = (entry.state.clone(), entry.failures);
        drop(entries);
        self.changed.notify_one();
        known
    }

    /// At most `free` jobs of entries that are due and idle, marked as running; and when the next one is due.
    fn take_due(&self, free: usize, now: Instant) -> (Vec<TopicJob>, Option<Instant>) {
        let mut entries = self.lock();
        let idle = entries
            .iter_mut()
            .filter(|(_, entry)| !entry.running && entry.due <= now);
        let taken = idle.take(free).map(|(cluster, entry)| {
            entry.running = true;
            TopicJob {
                cluster: cluster.clone(),
                entry: entry.number,
                topic: entry.topic.clone(),
                op: entry.op.clone(),
            }
        });
        let taken = taken.collect();
        let next = entries
            .values()
            .filter(|entry| !entry.running)
            .map(|entry| entry.due)
            .min();
        (taken, next)
    }

    /// Keeps the result of a job; true when it changes the topic's state.
    fn complete(&self, job: &TopicJob, result: Result<TopicState, TopicError>) -> bool {
        let TopicJob { cluster, op, .. } = job;
        let mut entries = self.lock();
        let entry = entries.get_mut(cluster);
        let Some(entry) = entry.filter(|entry| entry.number == job.entry) else {
            return false;
        };
        entry.running = false;
        let (state, wait) = match result {
            Ok(state) => {
                entry.failures = 0;
                if entry.op == *op && *op != TopicOp::Delete {
                    entry.op = TopicOp::Describe;
                }
                (state, Duration::from_secs(limits::TOPIC_REFRESH_SECONDS))
            }
            Err(error) => {
                entry.failures = entry.failures.saturating_add(1);
                (
                    TopicState::Known(TopicObserved::Unknown {
                        why: Some(error.to_string()),
                    }),
                    backoff::delay(RETRY_BACKOFF, entry.failures),
                )
            }
        };
        if entry.op == *op || entry.op == TopicOp::Describe {
            entry.due = Instant::now() + wait;
        }
        let has_changed = entry.state != state;
        entry.state = state;
        has_changed
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ClusterKey, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn new(number: u64, topic: Topic) -> Self {
        Self {
            number,
            topic,
            op: TopicOp::Describe,
            state: TopicState::Known(TopicObserved::Unknown { why: None }),
            failures: 0,
            due: Instant::now(),
            running: false,
        }
    }
}

/// Runs jobs until `stop`.
///
/// # Errors
/// When a job panicked.
pub async fn run(
    topics: Arc<TopicManager>,
    triggers: Triggers,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut jobs = JoinSet::new();
    loop {
        let (due, next) = topics.take_due(limits::TOPIC_JOBS_AT_ONCE - jobs.len(), Instant::now());
        for job in due {
            // The library blocks, also when it is dropped.
            jobs.spawn_blocking(move || {
                let result = execute(&job.topic, &job.op);
                (job, result)
            });
        }
        let is_free = jobs.len() < limits::TOPIC_JOBS_AT_ONCE;
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = topics.changed.notified(), if is_free => {}
            Some(()) = OptionFuture::from(next.map(sleep_until)), if is_free => {}
            Some(ended) = jobs.join_next() => {
                let (job, result) = ended?;
                if let Err(error) = &result {
                    let ClusterKey { namespace, name: cluster } = &job.cluster;
                    metrics.kafka_admin_errors.inc();
                    tracing::info!(namespace, cluster, %error, "topic operation failed");
                }
                if topics.complete(&job, result) {
                    triggers.reconcile(&job.cluster, "topic changed").await;
                }
            }
        }
    }
}

fn execute(topic: &Topic, op: &TopicOp) -> Result<TopicState, TopicError> {
    let kafka = KafkaAdmin::connect(&topic.brokers)?;
    match op {
        TopicOp::Describe => {}
        TopicOp::Ensure(desired) => {
            let observed = kafka.describe(&desired.name)?;
            if let Some(plan) = topic::plan(&desired.name, &desired.settings, &observed) {
                kafka.ensure(&plan)?;
            }
        }
        TopicOp::Delete => {
            kafka.delete(&topic.name)?;
            return Ok(TopicState::Deleted);
        }
    }
    kafka.describe(&topic.name).map(TopicState::Known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> ClusterKey {
        ClusterKey::new("ns", "demo")
    }

    fn topic() -> Topic {
        Topic {
            brokers: "kafka:9092".to_owned(),
            name: "ns.demo.history".to_owned(),
        }
    }

    fn desired(replication_factor: i32) -> DesiredTopic {
        DesiredTopic {
            name: topic().name,
            settings: poker_operator_api::servers::Topic {
                replication_factor,
                ..Default::default()
            },
        }
    }

    const PRESENT: TopicObserved = TopicObserved::Present {
        partitions: 12,
        replication_factor: 1,
        retention_ms: Some(1),
    };

    /// The one job that is due.
    fn due(topics: &TopicManager, after_seconds: u64) -> Option<TopicJob> {
        let now = Instant::now() + Duration::from_secs(after_seconds);
        let mut due = topics.take_due(4, now).0;
        assert!(due.len() <= 1, "one job at a time");
        due.pop()
    }

    /// The job for this operation, which is due.
    fn due_for(topics: &TopicManager, after_seconds: u64, op: TopicOp) -> TopicJob {
        let job = due(topics, after_seconds).unwrap();
        assert_eq!(job.op, op);
        job
    }

    fn down() -> Result<TopicState, TopicError> {
        Err(TopicError::Unreachable("down".to_owned()))
    }

    #[test]
    fn a_topic_is_described_then_ensured_then_refreshed() {
        let topics = TopicManager::default();
        assert!(matches!(
            topics.describe(&cluster(), &topic()),
            TopicObserved::Unknown { .. }
        ));
        let job = due_for(&topics, 0, TopicOp::Describe);
        assert_eq!(due(&topics, 0), None, "one job at a time");
        assert!(topics.complete(&job, Ok(TopicState::Known(TopicObserved::Absent))));
        assert_eq!(topics.describe(&cluster(), &topic()), TopicObserved::Absent);
        assert_eq!(due(&topics, 1), None, "nothing new to do");

        topics.ensure(&cluster(), &topic(), desired(1));
        let job = due_for(&topics, 0, TopicOp::Ensure(desired(1)));
        assert!(topics.complete(&job, Ok(TopicState::Known(PRESENT))));
        assert_eq!(topics.describe(&cluster(), &topic()), PRESENT);
        assert_eq!(due(&topics, 1), None);
        due_for(&topics, limits::TOPIC_REFRESH_SECONDS, TopicOp::Describe);
    }

    #[test]
    fn retries_back_off_and_a_new_operation_does_not_wait() {
        let topics = TopicManager::default();
        topics.describe(&cluster(), &topic());
        let job = due_for(&topics, 0, TopicOp::Describe);
        assert!(topics.complete(&job, down()), "the reason is new");
        topics.describe(&cluster(), &topic());
        assert_eq!(due(&topics, 0), None, "a description does not shorten the wait");
        let job = due_for(&topics, limits::TOPIC_RETRY_SECONDS, TopicOp::Describe);
        assert!(!topics.complete(&job, down()), "the same reason is not");
        let second = due(&topics, limits::TOPIC_RETRY_SECONDS);
        assert_eq!(second, None, "the second wait is longer");

        let deletion = || topics.delete(&cluster(), &topic());
        assert_eq!(deletion(), Deletion::Pending, "no deletion has failed yet");
        let job = due_for(&topics, 0, TopicOp::Delete);
        topics.complete(&job, down());
        assert_eq!(deletion(), Deletion::Failing);
        let job = due_for(&topics, limits::TOPIC_RETRY_SECONDS, TopicOp::Delete);
        assert!(topics.complete(&job, Ok(TopicState::Deleted)));
        assert_eq!(deletion(), Deletion::Done);
    }

    #[test]
    fn a_corrected_topic_does_not_wait_for_the_retry_of_a_refused_one() {
        let topics = TopicManager::default();
        topics.ensure(&cluster(), &topic(), desired(3));
        let job = due_for(&topics, 0, TopicOp::Ensure(desired(3)));
        let too_many = Err(TopicError::Refused("InvalidReplicationFactor".to_owned()));
        topics.complete(&job, too_many);
        topics.ensure(&cluster(), &topic(), desired(3));
        assert_eq!(due(&topics, 0), None, "the same operation waits");
        topics.ensure(&cluster(), &topic(), desired(1));
        due_for(&topics, 0, TopicOp::Ensure(desired(1)));
    }

    #[test]
    fn a_failed_operation_is_not_retried_while_the_cluster_is_paused() {
        let topics = TopicManager::default();
        topics.ensure(&cluster(), &topic(), desired(1));
        let job = due_for(&topics, 0, TopicOp::Ensure(desired(1)));
        topics.complete(&job, down());
        topics.pause(&cluster());
        due_for(&topics, limits::TOPIC_RETRY_MAX_SECONDS, TopicOp::Describe);
    }

    #[test]
    fn the_result_of_a_forgotten_job_is_dropped() {
        let topics = TopicManager::default();
        let is_unknown = |topic: &Topic| {
            let observed = topics.describe(&cluster(), topic);
            matches!(observed, TopicObserved::Unknown { .. })
        };
        assert!(is_unknown(&topic()));
        let job = due_for(&topics, 0, TopicOp::Describe);
        topics.forget(&cluster());
        assert!(is_unknown(&topic()));
        let next = due_for(&topics, 0, TopicOp::Describe);
        assert!(
            !topics.complete(&job, Ok(TopicState::Known(PRESENT))),
            "forgotten"
        );
        assert!(is_unknown(&topic()));
        let other = Topic {
            brokers: "other:9092".to_owned(),
            ..topic()
        };
        assert!(is_unknown(&other));
        assert!(
            !topics.complete(&next, Ok(TopicState::Known(PRESENT))),
            "of another topic"
        );
        assert!(is_unknown(&other));
    }
}
