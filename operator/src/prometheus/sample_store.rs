//! The store of metrics: what clusters want to know goes in, the last readings come out. Reconcile reads it and never
//! waits for a Prometheus.

use crate::{cluster_key::ClusterKey, limits, prometheus::promql};
use jiff::Timestamp;
use poker_operator_api::autoscaling::BuiltinMetric;
use poker_operator_core::scale::reading::{Reading, stale_after};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// One Prometheus as one cluster reaches it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    pub url: String,
    pub token: Option<String>,
}

pub const BUILTINS: [(BuiltinMetric, &str); 2] = [
    (BuiltinMetric::Participants, "poker_shard_participants"),
    (BuiltinMetric::Connections, "poker_gateway_connections"),
];

/// One round of questions: at most one of each is under way.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Round {
    /// One query answers for all clusters.
    Builtins(Source),
    /// The past of metrics that are forecast.
    Histories(Source),
    /// The custom queries of one cluster.
    Queries(Source, ClusterKey),
}

impl Round {
    pub fn source(&self) -> &Source {
        match self {
            Round::Builtins(source) | Round::Histories(source) | Round::Queries(source, _) => source,
        }
    }
}

/// What a cluster wants to know.
#[derive(Clone, PartialEq, Eq)]
pub struct Subscription {
    pub source: Source,
    pub interval: Duration,
    /// Custom queries by metric name, ready to be sent.
    pub queries: BTreeMap<String, String>,
    /// Queries of the past of metrics that are forecast, by component and metric.
    pub histories: BTreeMap<String, String>,
    /// Whether new values lead to decisions, so that the cluster is woken.
    pub wakes: bool,
}

#[derive(Debug, Clone)]
struct Kept {
    reading: Reading,
    received: Instant,
}

/// The past of a metric: when it was asked for last, and the answer until it is taken.
#[derive(Debug, Clone)]
struct Past {
    asked: Instant,
    points: Option<Vec<(Timestamp, f64)>>,
    answered: bool,
}

#[derive(Default)]
struct State {
    pasts: HashMap<ClusterKey, HashMap<String, Past>>,
    needs: BTreeMap<ClusterKey, Subscription>,
    kept: HashMap<ClusterKey, HashMap<String, Kept>>,
}

/// Needs in, readings out. Cheap to share.
#[derive(Default)]
pub struct SampleStore {
    state: Mutex<State>,
    changed: Notify,
}

impl SampleStore {
    /// What `cluster` wants from now on; `None` ends it.
    pub fn need(&self, cluster: &ClusterKey, need: Option<Subscription>) {
        let mut state = self.lock();
        if state.needs.get(cluster) == need.as_ref() {
            return;
        }
        state.kept.remove(cluster);
        state.pasts.remove(cluster);
        match need {
            Some(need) => state.needs.insert(cluster.clone(), need),
            None => state.needs.remove(cluster),
        };
        drop(state);
        self.changed.notify_one();
    }

    /// The last reading of `metric`, stale when it is too old to act on.
    pub fn read(&self, cluster: &ClusterKey, metric: &str, now: Instant) -> Reading {
        let state = self.lock();
        let (Some(need), Some(kept)) = (
            state.needs.get(cluster),
            state.kept.get(cluster).and_then(|kept| kept.get(metric)),
        ) else {
            return Reading::Missing {
                why: "not asked for yet".to_owned(),
            };
        };
        match &kept.reading {
            Reading::Fresh { at, .. } if now.duration_since(kept.received) > stale_after(need.interval) => {
                Reading::Stale { at: *at }
            }
            reading => reading.clone(),
        }
    }

    /// The past of a metric, once.
    pub fn take_history(&self, cluster: &ClusterKey, metric: &str) -> Option<Vec<(Timestamp, f64)>> {
        self.lock().pasts.get_mut(cluster)?.get_mut(metric)?.points.take()
    }

    /// Pasts of this source to ask for now; they count as asked.
    pub fn due_histories(&self, source: &Source, now: Instant) -> Vec<(ClusterKey, String, String)> {
        let mut state = self.lock();
        let State { needs, pasts, .. } = &mut *state;
        let mut due = Vec::new();
        for (cluster, need) in needs.iter().filter(|(_, need)| need.source == *source) {
            for (metric, query) in &need.histories {
                let past = pasts.entry(cluster.clone()).or_default().get(metric);
                let retry = Duration::from_secs(limits::HISTORY_RETRY_SECONDS);
                if past.is_none_or(|past| !past.answered && now.duration_since(past.asked) >= retry) {
                    let asked = Past {
                        asked: now,
                        points: None,
                        answered: false,
                    };
                    pasts
                        .entry(cluster.clone())
                        .or_default()
                        .insert(metric.clone(), asked);
                    due.push((cluster.clone(), metric.clone(), query.clone()));
                }
            }
        }
        due
    }

    /// Keeps a past that is still wanted.
    pub fn keep_history(&self, cluster: &ClusterKey, metric: &str, points: Vec<(Timestamp, f64)>) {
        let mut state = self.lock();
        let past = state
            .pasts
            .get_mut(cluster)
            .and_then(|pasts| pasts.get_mut(metric));
        if let Some(past) = past {
            past.answered = true;
            past.points = Some(points);
        }
    }

    /// What is to be asked for, and how often: each source by the shortest interval of its clusters.
    pub fn rounds(&self) -> BTreeMap<Round, Duration> {
        let mut rounds = BTreeMap::new();
        for (cluster, need) in &self.lock().needs {
            for round in [
                Round::Builtins(need.source.clone()),
                Round::Histories(need.source.clone()),
            ] {
                let interval = rounds.entry(round).or_insert(need.interval);
                *interval = need.interval.min(*interval);
            }
            if !need.queries.is_empty() {
                rounds.insert(
                    Round::Queries(need.source.clone(), cluster.clone()),
                    need.interval,
                );
            }
        }
        rounds
    }

    /// Returns once other rounds may be wanted.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    pub fn need_of(&self, cluster: &ClusterKey) -> Option<Subscription> {
        self.lock().needs.get(cluster).cloned()
    }

    pub fn needs_of(&self, source: &Source) -> BTreeMap<ClusterKey, Subscription> {
        let state = self.lock();
        let mine = state.needs.iter().filter(|(_, need)| need.source == *source);
        mine.map(|(cluster, need)| (cluster.clone(), need.clone()))
            .collect()
    }

    /// Keeps the readings of a round and returns the clusters to wake.
    pub fn keep(&self, source: &Source, round: Vec<(ClusterKey, String, Reading)>) -> Vec<ClusterKey> {
        let mut state = self.lock();
        let State { needs, kept, .. } = &mut *state;
        let mut wake = HashSet::new();
        for (cluster, metric, reading) in round {
            let Some(need) = needs.get(&cluster).filter(|need| need.source == *source) else {
                continue;
            };
            let new = Kept {
                reading,
                received: Instant::now(),
            };
            let before = kept
                .entry(cluster.clone())
                .or_default()
                .insert(metric, new.clone());
            if need.wakes && before.is_none_or(|before| !promql::same_value(&before.reading, &new.reading)) {
                wake.insert(cluster);
            }
        }
        wake.into_iter().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ClusterKey {
        ClusterKey::new("ns", "demo")
    }

    #[test]
    fn readings_age_and_wake_only_when_they_change() {
        let sampler = SampleStore::default();
        let source = Source {
            url: "http://prometheus".into(),
            token: None,
        };
        let interval = Duration::from_secs(5);
        let need = Subscription {
            source: source.clone(),
            interval,
            queries: BTreeMap::new(),
            histories: BTreeMap::from([("shard/participants".to_owned(), "sum(x)".to_owned())]),
            wakes: true,
        };
        sampler.need(&key(), Some(need));
        assert!(matches!(
            sampler.read(&key(), "participants", Instant::now()),
            Reading::Missing { .. }
        ));
        let at = Timestamp::from_second(990).unwrap();
        let fresh = |value| Reading::Fresh {
            value,
            at,
            series: Some(3),
        };
        let keep = |value| sampler.keep(&source, vec![(key(), "participants".to_owned(), fresh(value))]);
        assert_eq!(keep(1.0), [key()]);
        assert!(keep(1.0).is_empty());
        assert_eq!(keep(2.0), [key()]);
        assert_eq!(sampler.read(&key(), "participants", Instant::now()), fresh(2.0));
        let later = Instant::now() + stale_after(interval) + Duration::from_secs(1);
        assert_eq!(sampler.read(&key(), "participants", later), Reading::Stale { at });
        let asked = Instant::now();
        assert_eq!(sampler.due_histories(&source, asked).len(), 1);
        assert_eq!(sampler.due_histories(&source, asked).len(), 0, "asked already");
        let retry = asked + Duration::from_secs(limits::HISTORY_RETRY_SECONDS);
        assert_eq!(sampler.due_histories(&source, retry).len(), 1, "no answer came");
        sampler.keep_history(&key(), "shard/participants", vec![(at, 5.0)]);
        assert_eq!(sampler.due_histories(&source, retry + interval * 100).len(), 0);
        assert_eq!(
            sampler.take_history(&key(), "shard/participants"),
            Some(vec![(at, 5.0)])
        );
        assert_eq!(sampler.take_history(&key(), "shard/participants"), None, "once");
        sampler.need(&key(), None);
        assert!(
            keep(3.0).is_empty(),
            "a round that ends after the cluster is forgotten"
        );
    }
}
