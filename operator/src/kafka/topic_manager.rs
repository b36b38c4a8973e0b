//! Kafka topics, one per cluster. KafkaAdmin are asked by tasks of their own; reconcile reads what they found
//! and leaves wishes, and never waits for a broker.

use crate::{
    backoff,
    cluster_key::ClusterKey,
    kafka::admin::{KafkaAdmin, TopicError},
    limits,
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

/// An unreachable Kafka is tried again after this time, twice as long with each failure.
const RETRY_BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_secs(limits::BROKER_RETRY_SECONDS))
    .with_max_delay(Duration::from_secs(limits::BROKER_RETRY_MAX_SECONDS));

/// A topic and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// `host:port`, separated by commas.
    pub brokers: String,
    pub name: String,
}

impl Topic {
    /// The topic and its Kafka as the spec says.
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
    Topic(TopicObserved),
    Deleted,
}

/// How far the deletion of a topic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    Done,
    /// Not tried yet.
    Pending,
    /// Tried at least once in vain.
    Failing,
}

struct Entry {
    /// Of all entries there were, so that a job for one that is gone is told from those of its successor.
    number: u64,
    topic: Topic,
    op: TopicOp,
    found: TopicState,
    failures: u32,
    due: Instant,
    running: bool,
}

/// A op that is being carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TopicJob {
    cluster: ClusterKey,
    entry: u64,
    topic: Topic,
    op: TopicOp,
}

/// Wishes in, findings out.
#[derive(Default)]
pub struct TopicManager {
    entries: Mutex<HashMap<ClusterKey, Entry>>,
    next_number: AtomicU64,
    changed: Notify,
}

impl TopicManager {
    /// What is known of the cluster's topic; it is looked at in the background from now on.
    pub fn describe(&self, cluster: &ClusterKey, topic: &Topic) -> TopicObserved {
        match &self.entry(cluster, topic, TopicOp::Describe).found {
            TopicState::Topic(found) => found.clone(),
            TopicState::Deleted => TopicObserved::Absent,
        }
    }

    /// Has the topic made as wanted soon; the cluster is woken when that has changed it.
    pub fn ensure(&self, cluster: &ClusterKey, topic: &Topic, op: DesiredTopic) {
        self.entry(cluster, topic, TopicOp::Ensure(op));
    }

    /// Carries nothing out any more: what was not done yet is asked for again by a later pass.
    pub fn pause(&self, cluster: &ClusterKey) {
        if let Some(entry) = self.lock().get_mut(cluster)
            && matches!(entry.op, TopicOp::Ensure(_))
        {
            entry.op = TopicOp::Describe;
        }
    }

    /// How far the deletion of the topic is; it is tried in the background.
    pub fn delete(&self, cluster: &ClusterKey, topic: &Topic) -> Deletion {
        let entry = self.entry(cluster, topic, TopicOp::Delete);
        match entry.found {
            TopicState::Deleted => Deletion::Done,
            TopicState::Topic(_) if entry.failures > 0 => Deletion::Failing,
            TopicState::Topic(_) => Deletion::Pending,
        }
    }

    pub fn forget(&self, cluster: &ClusterKey) {
        self.lock().remove(cluster);
    }

    /// Makes sure that the op is known, and that a new one is not kept waiting by old failures.
    fn entry(&self, cluster: &ClusterKey, topic: &Topic, op: TopicOp) -> Entry {
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
        let snapshot = entry.snapshot();
        drop(entries);
        self.changed.notify_one();
        snapshot
    }

    /// Entries that are due and idle, marked as running; and when the next one is due.
    fn take_due(&self, room: usize, now: Instant) -> (Vec<TopicJob>, Option<Instant>) {
        let mut entries = self.lock();
        let idle = entries
            .iter_mut()
            .filter(|(_, entry)| !entry.running && entry.due <= now);
        let taken = idle.take(room).map(|(cluster, entry)| {
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

    /// Keeps what a job found; true when that is news for the cluster.
    fn keep(&self, job: &TopicJob, result: Result<TopicState, TopicError>) -> bool {
        let TopicJob { cluster, op, .. } = job;
        let mut entries = self.lock();
        let entry = entries.get_mut(cluster);
        let Some(entry) = entry.filter(|entry| entry.number == job.entry) else {
            return false;
        };
        entry.running = false;
        let (found, wait) = match result {
            Ok(found) => {
                entry.failures = 0;
                if entry.op == *op && *op != TopicOp::Delete {
                    entry.op = TopicOp::Describe;
                }
                (found, Duration::from_secs(limits::BROKER_REFRESH_SECONDS))
            }
            Err(error) => {
                entry.failures = entry.failures.saturating_add(1);
                (
                    TopicState::Topic(TopicObserved::Unknown {
                        why: Some(error.to_string()),
                    }),
                    backoff::delay(RETRY_BACKOFF, entry.failures),
                )
            }
        };
        if entry.op == *op || entry.op == TopicOp::Describe {
            entry.due = Instant::now() + wait;
        }
        let news = entry.found != found;
        entry.found = found;
        news
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ClusterKey, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn new(number: u64, topic: Topic) -> Self {
        let found = TopicState::Topic(TopicObserved::Unknown { why: None });
        Self {
            number,
            topic,
            op: TopicOp::Describe,
            found,
            failures: 0,
            due: Instant::now(),
            running: false,
        }
    }

    fn snapshot(&self) -> Self {
        Self {
            topic: self.topic.clone(),
            op: self.op.clone(),
            found: self.found.clone(),
            ..*self
        }
    }
}

/// Visits brokers until `stop`.
///
/// # Errors
/// When a job panicked.
pub async fn run(
    broker: Arc<TopicManager>,
    triggers: Triggers,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut jobs = JoinSet::new();
    loop {
        let (due, next) = broker.take_due(limits::BROKER_CONCURRENCY - jobs.len(), Instant::now());
        for job in due {
            // The library blocks, also when it is dropped.
            jobs.spawn_blocking(move || {
                let result = execute(&job.topic, &job.op);
                (job, result)
            });
        }
        let has_room = jobs.len() < limits::BROKER_CONCURRENCY;
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = broker.changed.notified(), if has_room => {}
            Some(()) = OptionFuture::from(next.map(sleep_until)), if has_room => {}
            Some(ended) = jobs.join_next() => {
                let (job, result) = ended?;
                if let Err(error) = &result {
                    let ClusterKey { namespace, name: cluster } = &job.cluster;
                    metrics.kafka_admin_errors.inc();
                    tracing::info!(namespace, cluster, %error, "topic cannot be looked after yet");
                }
                if broker.keep(&job, result) {
                    triggers.reconcile(&job.cluster, "topic observed").await;
                }
            }
        }
    }
}

fn execute(topic: &Topic, op: &TopicOp) -> Result<TopicState, TopicError> {
    let brokers = KafkaAdmin::connect(&topic.brokers)?;
    match op {
        TopicOp::Describe => {}
        TopicOp::Ensure(op) => {
            let found = brokers.describe(&op.name)?;
            if let Some(plan) = topic::plan(&op.name, &op.settings, &found) {
                brokers.ensure(&plan)?;
            }
        }
        TopicOp::Delete => {
            brokers.delete(&topic.name)?;
            return Ok(TopicState::Deleted);
        }
    }
    brokers.describe(&topic.name).map(TopicState::Topic)
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

    fn wanted(replication_factor: i32) -> DesiredTopic {
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
    fn due(broker: &TopicManager, after_seconds: u64) -> Option<TopicJob> {
        let now = Instant::now() + Duration::from_secs(after_seconds);
        let mut due = broker.take_due(4, now).0;
        assert!(due.len() <= 1, "one job at a time");
        due.pop()
    }

    /// A job for this op is due.
    fn due_for(broker: &TopicManager, after_seconds: u64, op: TopicOp) -> TopicJob {
        let job = due(broker, after_seconds).unwrap();
        assert_eq!(job.op, op);
        job
    }

    fn down() -> Result<TopicState, TopicError> {
        Err(TopicError::Unreachable("down".to_owned()))
    }

    #[test]
    fn looks_then_carries_out_then_rests() {
        let broker = TopicManager::default();
        assert!(matches!(
            broker.describe(&cluster(), &topic()),
            TopicObserved::Unknown { .. }
        ));
        let job = due_for(&broker, 0, TopicOp::Describe);
        assert_eq!(due(&broker, 0), None, "one job at a time");
        assert!(broker.keep(&job, Ok(TopicState::Topic(TopicObserved::Absent))));
        assert_eq!(broker.describe(&cluster(), &topic()), TopicObserved::Absent);
        assert_eq!(due(&broker, 1), None, "nothing new to do");

        broker.ensure(&cluster(), &topic(), wanted(1));
        let job = due_for(&broker, 0, TopicOp::Ensure(wanted(1)));
        assert!(broker.keep(&job, Ok(TopicState::Topic(PRESENT))));
        assert_eq!(broker.describe(&cluster(), &topic()), PRESENT);
        assert_eq!(due(&broker, 1), None);
        due_for(&broker, limits::BROKER_REFRESH_SECONDS, TopicOp::Describe);
    }

    #[test]
    fn failures_wait_longer_and_longer_and_a_new_wish_does_not_wait() {
        let broker = TopicManager::default();
        broker.describe(&cluster(), &topic());
        let job = due_for(&broker, 0, TopicOp::Describe);
        assert!(broker.keep(&job, down()), "the reason is news");
        broker.describe(&cluster(), &topic());
        assert_eq!(due(&broker, 0), None, "looking does not hurry");
        let job = due_for(&broker, limits::BROKER_RETRY_SECONDS, TopicOp::Describe);
        assert!(!broker.keep(&job, down()), "the same reason is none");
        let second = due(&broker, limits::BROKER_RETRY_SECONDS);
        assert_eq!(second, None, "the second wait is longer");

        let deletion = || broker.delete(&cluster(), &topic());
        assert_eq!(
            deletion(),
            Deletion::Pending,
            "what failed before was no deletion"
        );
        let job = due_for(&broker, 0, TopicOp::Delete);
        broker.keep(&job, down());
        assert_eq!(deletion(), Deletion::Failing);
        let job = due_for(&broker, limits::BROKER_RETRY_SECONDS, TopicOp::Delete);
        assert!(broker.keep(&job, Ok(TopicState::Deleted)));
        assert_eq!(deletion(), Deletion::Done);
    }

    #[test]
    fn a_corrected_wish_replaces_a_refused_one_at_once() {
        let broker = TopicManager::default();
        broker.ensure(&cluster(), &topic(), wanted(3));
        let job = due_for(&broker, 0, TopicOp::Ensure(wanted(3)));
        let too_many = Err(TopicError::Refused("InvalidReplicationFactor".to_owned()));
        broker.keep(&job, too_many);
        broker.ensure(&cluster(), &topic(), wanted(3));
        assert_eq!(due(&broker, 0), None, "the same op waits");
        broker.ensure(&cluster(), &topic(), wanted(1));
        due_for(&broker, 0, TopicOp::Ensure(wanted(1)));
    }

    #[test]
    fn a_wish_that_failed_rests_while_the_cluster_is_paused() {
        let broker = TopicManager::default();
        broker.ensure(&cluster(), &topic(), wanted(1));
        let job = due_for(&broker, 0, TopicOp::Ensure(wanted(1)));
        broker.keep(&job, down());
        broker.pause(&cluster());
        due_for(&broker, limits::BROKER_RETRY_MAX_SECONDS, TopicOp::Describe);
    }

    #[test]
    fn a_result_that_comes_too_late_is_dropped() {
        let broker = TopicManager::default();
        let is_unknown = |topic: &Topic| {
            let found = broker.describe(&cluster(), topic);
            matches!(found, TopicObserved::Unknown { .. })
        };
        assert!(is_unknown(&topic()));
        let job = due_for(&broker, 0, TopicOp::Describe);
        broker.forget(&cluster());
        assert!(is_unknown(&topic()));
        let next = due_for(&broker, 0, TopicOp::Describe);
        assert!(!broker.keep(&job, Ok(TopicState::Topic(PRESENT))), "forgotten");
        assert!(is_unknown(&topic()));
        let other = Topic {
            brokers: "other:9092".to_owned(),
            ..topic()
        };
        assert!(is_unknown(&other));
        assert!(
            !broker.keep(&next, Ok(TopicState::Topic(PRESENT))),
            "of another topic"
        );
        assert!(is_unknown(&other));
    }
}
