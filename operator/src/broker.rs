//! Kafka topics, one per cluster. Brokers are asked by tasks of their own; reconcile reads what they found
//! and leaves wishes, and never waits for a broker.

use crate::{
    fence::ClusterKey,
    kafka::{Brokers, TopicError},
    limits,
    metrics::Metrics,
    watches::Triggers,
};
use kube::runtime::{
    controller::{ReconcileReason, ReconcileRequest},
    reflector::ObjectRef,
};
use poker_operator_core::{observed::TopicObserved, outcome::TopicWish, topic};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

/// A topic and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// `host:port`, separated by commas.
    pub brokers: String,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wish {
    Look,
    CarryOut(TopicWish),
    Delete,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
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
    /// Of all entries there were, so that a visit for one that is gone is told from those of its successor.
    number: u64,
    topic: Topic,
    wish: Wish,
    found: Found,
    failures: u32,
    due: Instant,
    running: bool,
}

/// A wish that is being carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Visit {
    cluster: ClusterKey,
    entry: u64,
    topic: Topic,
    wish: Wish,
}

/// Wishes in, findings out.
#[derive(Default)]
pub struct Broker {
    entries: Mutex<HashMap<ClusterKey, Entry>>,
    next_number: AtomicU64,
    changed: Notify,
}

impl Broker {
    /// What is known of the cluster's topic; it is looked at in the background from now on.
    pub fn look(&self, cluster: &ClusterKey, topic: &Topic) -> TopicObserved {
        match &self.entry(cluster, topic, Wish::Look).found {
            Found::Topic(found) => found.clone(),
            Found::Deleted => TopicObserved::Absent,
        }
    }

    /// Has the topic made as wanted soon; the cluster is woken when that has changed it.
    pub fn carry_out(&self, cluster: &ClusterKey, topic: &Topic, wish: TopicWish) {
        self.entry(cluster, topic, Wish::CarryOut(wish));
    }

    /// Carries nothing out any more: what was not done yet is asked for again by a later pass.
    pub fn rest(&self, cluster: &ClusterKey) {
        if let Some(entry) = self.lock().get_mut(cluster)
            && matches!(entry.wish, Wish::CarryOut(_))
        {
            entry.wish = Wish::Look;
        }
    }

    /// How far the deletion of the topic is; it is tried in the background.
    pub fn delete(&self, cluster: &ClusterKey, topic: &Topic) -> Deletion {
        let entry = self.entry(cluster, topic, Wish::Delete);
        match entry.found {
            Found::Deleted => Deletion::Done,
            Found::Topic(_) if entry.failures > 0 => Deletion::Failing,
            Found::Topic(_) => Deletion::Pending,
        }
    }

    pub fn forget(&self, cluster: &ClusterKey) {
        self.lock().remove(cluster);
    }

    /// Makes sure that the wish is known, and that a new one is not kept waiting by old failures.
    fn entry(&self, cluster: &ClusterKey, topic: &Topic, wish: Wish) -> Entry {
        let mut entries = self.lock();
        let new = || Entry::new(self.next_number.fetch_add(1, Ordering::Relaxed), topic.clone());
        let entry = entries.entry(cluster.clone()).or_insert_with(new);
        if entry.topic != *topic {
            *entry = new();
        }
        if entry.wish != wish && wish != Wish::Look {
            entry.wish = wish;
            entry.failures = 0;
            entry.due = Instant::now();
        }
        let snapshot = entry.snapshot();
        drop(entries);
        self.changed.notify_one();
        snapshot
    }

    /// Entries that are due and idle, marked as running; and when the next one is due.
    fn take_due(&self, room: usize, now: Instant) -> (Vec<Visit>, Option<Instant>) {
        let mut entries = self.lock();
        let idle = entries
            .iter_mut()
            .filter(|(_, entry)| !entry.running && entry.due <= now);
        let taken = idle.take(room).map(|(cluster, entry)| {
            entry.running = true;
            Visit {
                cluster: cluster.clone(),
                entry: entry.number,
                topic: entry.topic.clone(),
                wish: entry.wish.clone(),
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

    /// Keeps what a visit found; true when that is news for the cluster.
    fn keep(&self, visit: &Visit, result: Result<Found, TopicError>) -> bool {
        let Visit { cluster, wish, .. } = visit;
        let mut entries = self.lock();
        let entry = entries.get_mut(cluster);
        let Some(entry) = entry.filter(|entry| entry.number == visit.entry) else {
            return false;
        };
        entry.running = false;
        let (found, wait) = match result {
            Ok(found) => {
                entry.failures = 0;
                if entry.wish == *wish && *wish != Wish::Delete {
                    entry.wish = Wish::Look;
                }
                (found, Duration::from_secs(limits::BROKER_REFRESH_SECONDS))
            }
            Err(error) => {
                entry.failures = entry.failures.saturating_add(1);
                (
                    Found::Topic(TopicObserved::Unknown {
                        why: Some(error.to_string()),
                    }),
                    retry_after(entry.failures),
                )
            }
        };
        if entry.wish == *wish || entry.wish == Wish::Look {
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
        let found = Found::Topic(TopicObserved::Unknown { why: None });
        Self {
            number,
            topic,
            wish: Wish::Look,
            found,
            failures: 0,
            due: Instant::now(),
            running: false,
        }
    }

    fn snapshot(&self) -> Self {
        Self {
            topic: self.topic.clone(),
            wish: self.wish.clone(),
            found: self.found.clone(),
            ..*self
        }
    }
}

fn retry_after(failures: u32) -> Duration {
    let factor = 2_u64.saturating_pow(failures.saturating_sub(1).min(16));
    Duration::from_secs((limits::BROKER_RETRY_SECONDS * factor).min(limits::BROKER_RETRY_MAX_SECONDS))
}

/// Visits brokers until `stop`.
///
/// # Errors
/// When a visit panicked.
pub async fn run(
    broker: Arc<Broker>,
    triggers: Triggers,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut visits = JoinSet::new();
    loop {
        let (due, next) = broker.take_due(limits::BROKER_CONCURRENCY - visits.len(), Instant::now());
        for visit in due {
            // The library blocks, also when it is dropped.
            visits.spawn_blocking(move || {
                let result = carry_out(&visit.topic, &visit.wish);
                (visit, result)
            });
        }
        let has_room = visits.len() < limits::BROKER_CONCURRENCY;
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = broker.changed.notified(), if has_room => {}
            () = sleep_until(next), if has_room => {}
            Some(ended) = visits.join_next() => {
                let (visit, result) = ended?;
                if let Err(error) = &result {
                    let (namespace, cluster) = &visit.cluster;
                    metrics.broker_errors.inc();
                    tracing::info!(namespace, cluster, %error, "topic cannot be looked after yet");
                }
                if broker.keep(&visit, result) {
                    wake(&triggers, &visit.cluster).await;
                }
            }
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn wake(triggers: &Triggers, (namespace, name): &ClusterKey) {
    let reason = ReconcileReason::Custom {
        reason: "topic looked at".to_owned(),
    };
    let obj_ref = ObjectRef::new(name).within(namespace);
    // A closed queue means that the process is stopping.
    let _ = triggers.send(ReconcileRequest { obj_ref, reason }).await;
}

fn carry_out(topic: &Topic, wish: &Wish) -> Result<Found, TopicError> {
    let brokers = Brokers::connect(&topic.brokers)?;
    match wish {
        Wish::Look => {}
        Wish::CarryOut(wish) => {
            let found = brokers.describe(&wish.name)?;
            if let Some(plan) = topic::plan(&wish.name, &wish.settings, &found) {
                brokers.carry_out(&plan)?;
            }
        }
        Wish::Delete => {
            brokers.delete(&topic.name)?;
            return Ok(Found::Deleted);
        }
    }
    brokers.describe(&topic.name).map(Found::Topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> ClusterKey {
        ("ns".to_owned(), "demo".to_owned())
    }

    fn topic() -> Topic {
        Topic {
            brokers: "kafka:9092".to_owned(),
            name: "ns.demo.history".to_owned(),
        }
    }

    fn wanted(replication_factor: i32) -> TopicWish {
        TopicWish {
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

    /// The one visit that is due.
    fn due(broker: &Broker, after_seconds: u64) -> Option<Visit> {
        let now = Instant::now() + Duration::from_secs(after_seconds);
        let mut due = broker.take_due(4, now).0;
        assert!(due.len() <= 1, "one visit at a time");
        due.pop()
    }

    /// A visit for this wish is due.
    fn due_for(broker: &Broker, after_seconds: u64, wish: Wish) -> Visit {
        let visit = due(broker, after_seconds).unwrap();
        assert_eq!(visit.wish, wish);
        visit
    }

    fn down() -> Result<Found, TopicError> {
        Err(TopicError::Unreachable("down".to_owned()))
    }

    #[test]
    fn looks_then_carries_out_then_rests() {
        let broker = Broker::default();
        assert!(matches!(
            broker.look(&cluster(), &topic()),
            TopicObserved::Unknown { .. }
        ));
        let visit = due_for(&broker, 0, Wish::Look);
        assert_eq!(due(&broker, 0), None, "one visit at a time");
        assert!(broker.keep(&visit, Ok(Found::Topic(TopicObserved::Absent))));
        assert_eq!(broker.look(&cluster(), &topic()), TopicObserved::Absent);
        assert_eq!(due(&broker, 1), None, "nothing new to do");

        broker.carry_out(&cluster(), &topic(), wanted(1));
        let visit = due_for(&broker, 0, Wish::CarryOut(wanted(1)));
        assert!(broker.keep(&visit, Ok(Found::Topic(PRESENT))));
        assert_eq!(broker.look(&cluster(), &topic()), PRESENT);
        assert_eq!(due(&broker, 1), None);
        due_for(&broker, limits::BROKER_REFRESH_SECONDS, Wish::Look);
    }

    #[test]
    fn failures_wait_longer_and_longer_and_a_new_wish_does_not_wait() {
        let broker = Broker::default();
        broker.look(&cluster(), &topic());
        let visit = due_for(&broker, 0, Wish::Look);
        assert!(broker.keep(&visit, down()), "the reason is news");
        broker.look(&cluster(), &topic());
        assert_eq!(due(&broker, 0), None, "looking does not hurry");
        let visit = due_for(&broker, limits::BROKER_RETRY_SECONDS, Wish::Look);
        assert!(!broker.keep(&visit, down()), "the same reason is none");
        let second = due(&broker, limits::BROKER_RETRY_SECONDS);
        assert_eq!(second, None, "the second wait is longer");

        let deletion = || broker.delete(&cluster(), &topic());
        assert_eq!(
            deletion(),
            Deletion::Pending,
            "what failed before was no deletion"
        );
        let visit = due_for(&broker, 0, Wish::Delete);
        broker.keep(&visit, down());
        assert_eq!(deletion(), Deletion::Failing);
        let visit = due_for(&broker, limits::BROKER_RETRY_SECONDS, Wish::Delete);
        assert!(broker.keep(&visit, Ok(Found::Deleted)));
        assert_eq!(deletion(), Deletion::Done);
    }

    #[test]
    fn a_corrected_wish_replaces_a_refused_one_at_once() {
        let broker = Broker::default();
        broker.carry_out(&cluster(), &topic(), wanted(3));
        let visit = due_for(&broker, 0, Wish::CarryOut(wanted(3)));
        let too_many = Err(TopicError::Refused("InvalidReplicationFactor".to_owned()));
        broker.keep(&visit, too_many);
        broker.carry_out(&cluster(), &topic(), wanted(3));
        assert_eq!(due(&broker, 0), None, "the same wish waits");
        broker.carry_out(&cluster(), &topic(), wanted(1));
        due_for(&broker, 0, Wish::CarryOut(wanted(1)));
    }

    #[test]
    fn a_wish_that_failed_rests_while_the_cluster_is_paused() {
        let broker = Broker::default();
        broker.carry_out(&cluster(), &topic(), wanted(1));
        let visit = due_for(&broker, 0, Wish::CarryOut(wanted(1)));
        broker.keep(&visit, down());
        broker.rest(&cluster());
        due_for(&broker, limits::BROKER_RETRY_MAX_SECONDS, Wish::Look);
    }

    #[test]
    fn a_result_that_comes_too_late_is_dropped() {
        let broker = Broker::default();
        let is_unknown = |topic: &Topic| {
            let found = broker.look(&cluster(), topic);
            matches!(found, TopicObserved::Unknown { .. })
        };
        assert!(is_unknown(&topic()));
        let visit = due_for(&broker, 0, Wish::Look);
        broker.forget(&cluster());
        assert!(is_unknown(&topic()));
        let next = due_for(&broker, 0, Wish::Look);
        assert!(!broker.keep(&visit, Ok(Found::Topic(PRESENT))), "forgotten");
        assert!(is_unknown(&topic()));
        let other = Topic {
            brokers: "other:9092".to_owned(),
            ..topic()
        };
        assert!(is_unknown(&other));
        assert!(!broker.keep(&next, Ok(Found::Topic(PRESENT))), "of another topic");
        assert!(is_unknown(&other));
    }
}
