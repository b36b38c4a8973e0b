//! The sum of a gauge over pods, in which what moves from one pod to another counts once.
//!
//! Pods are scraped at different times. A room that moves between the scrapes of two shards is in the newest samples of
//! both, so a plain sum counts its people twice. This sum is that of one instant, the oldest of the newest samples. A pod
//! that was scraped later counts with the smaller of its values before and after that instant: it may have received rooms
//! since. At a constant number of people the sum is therefore never too large, as long as the rooms of a pod move in one
//! direction between two of its scrapes. A rise is seen up to one scrape interval later.
//!
//! Only pods of expected Deployments count. A shard that drains is none: its rooms are counted at their new owners.
//!
//! More pods with new samples than exist are also those of another Kubernetes cluster, with a PokerCluster of the same
//! namespace and name in the same store. Which samples are whose cannot be told, so there is no sum: it would be neither an
//! upper nor a lower bound.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::limits::{POD_SAMPLES_COUNT_MAX, POD_SCRAPES_MISSED, ROOMS_MOVED_WITHIN, STALE_SECONDS};
use super::memory::TimedValue;
use super::sample_change::clock_went_back;
use super::{Cause, Sample};

/// The newest sample of one pod.
#[derive(Clone, Debug, PartialEq)]
pub struct PodValue {
    pub deployment: String,
    pub pod: String,
    pub value: f64,
    /// When the pod was scraped, by the clock of the source.
    pub at: Timestamp,
}

/// The number of ready pods by Deployment, of those that count.
pub type ReadyPods = BTreeMap<String, u64>;

/// The recent samples of the pods of one cluster.
#[derive(Clone, Debug, Default)]
pub struct PodSum {
    pods: BTreeMap<(String, String), Pod>,
    /// `None` before the first answer.
    queried: Option<Timestamp>,
    ready: Option<ReadyPods>,
    /// When `ready` changed, by the clock of the source.
    changed_at: Option<Timestamp>,
    /// The pods that exist, ready or not.
    existing: BTreeSet<String>,
    /// The first answer since `existing` changed. Pods that were scraped later exist.
    unchanged_since: Option<Timestamp>,
    /// How many pods have new samples, if more than exist.
    too_many: Option<usize>,
}

#[derive(Clone, Debug)]
struct Pod {
    newest: TimedValue,
    /// The samples before it, the newest first.
    earlier: VecDeque<TimedValue>,
    /// It was not in the first answer, so it had no people before its first sample.
    is_new: bool,
}

impl PodSum {
    /// Takes an answer with the newest sample of every pod, evaluated at `queried`.
    pub fn insert(&mut self, values: Vec<PodValue>, queried: Timestamp) {
        if self
            .queried
            .is_some_and(|before| clock_went_back(before, queried))
        {
            self.pods.clear();
            self.changed_at = None;
            self.unchanged_since = None;
            self.queried = None;
        }
        let is_first = self.queried.replace(queried).is_none();
        let mut before = std::mem::take(&mut self.pods);
        for PodValue {
            deployment,
            pod,
            value,
            at,
        } in values
        {
            let (key, sample) = ((deployment, pod), TimedValue { value, at });
            let pod = match before.remove(&key) {
                Some(pod) => pod.after(sample),
                None => Pod {
                    newest: sample,
                    earlier: VecDeque::new(),
                    is_new: !is_first,
                },
            };
            self.pods.insert(key, pod);
        }
        self.compare_with_existing(queried);
    }

    /// Sets the pods that exist, ready or not, whether or not they count.
    pub fn set_existing(&mut self, pods: BTreeSet<String>) {
        if self.existing != pods {
            self.existing = pods;
            self.unchanged_since = None;
        }
    }

    fn compare_with_existing(&mut self, queried: Timestamp) {
        let ready: u64 = self.ready.iter().flat_map(BTreeMap::values).sum();
        let existing = self.existing.len().max(usize::try_from(ready).unwrap_or(0));
        let since = *self.unchanged_since.get_or_insert(queried) + ROOMS_MOVED_WITHIN;
        let scraped = self.pods.values().filter(|pod| pod.newest.at > since).count();
        let all_scraped = since + Duration::from_secs(STALE_SECONDS);
        if scraped > existing && existing > 0 {
            self.too_many = Some(scraped);
        } else if queried >= all_scraped {
            self.too_many = None;
        }
    }

    /// Sets which Deployments count, with their numbers of ready pods, at `now` by the clock of the source.
    pub fn expect(&mut self, ready: ReadyPods, now: Option<Timestamp>) {
        if self.ready.as_ref().is_some_and(|before| *before != ready) {
            self.changed_at = now;
        }
        self.ready = Some(ready);
    }

    /// The sum, and how old it is.
    pub fn sample(&self, stale_after: Duration) -> Sample {
        let Some(queried) = self.queried else {
            return Sample::pending();
        };
        let none = ReadyPods::new();
        let ready = self.ready.as_ref().unwrap_or(&none);
        let expected: u64 = ready.values().sum();
        if expected == 0 {
            return Sample::no_value("no pod is ready");
        }
        if let Some(scraped) = self.too_many {
            return Sample::Missing {
                cause: Cause::TooManySeries,
                why: format!(
                    "Prometheus scrapes {scraped} pods with the namespace and name of this cluster, but only {} exist: if \
                     it holds several Kubernetes clusters, select this one with spec.prometheus.matchers",
                    self.existing.len()
                ),
            };
        }
        let known = self.freshest(ready);
        let Some(newest) = known.iter().map(|pod| pod.newest.at).max() else {
            return Sample::no_value("Prometheus has no finite value of it: check that it scrapes the pods");
        };
        let is_stale = |at: Timestamp| {
            queried.duration_since(at) > SignedDuration::try_from(stale_after).unwrap_or(SignedDuration::MAX)
        };
        if is_stale(newest) {
            return Sample::Stale { at: newest };
        }
        let is_scraped = |pod: &&&Pod| !is_stale(pod.newest.at) && !pod.is_missed(&known);
        let scraped: Vec<&Pod> = known.iter().filter(is_scraped).copied().collect();
        // At least one pod remains: no other pod was scraped later than the one with the newest sample.
        let at = scraped.iter().map(|pod| pod.newest.at).min().unwrap_or(newest);
        let moved_at = self.changed_at.map(|changed| changed + ROOMS_MOVED_WITHIN);
        let has_settled = moved_at.is_none_or(|moved| at >= moved);
        let since = moved_at.filter(|_| has_settled);
        let values: Vec<Option<f64>> = scraped.iter().map(|pod| pod.value_at(at, since)).collect();
        let value = values.iter().flatten().sum();
        let series = u64::try_from(values.iter().flatten().count()).unwrap_or(u64::MAX);
        let why = if series < expected {
            format!("only {series} of {expected} pods are scraped")
        } else if !has_settled {
            "not all pods were scraped since the pods last changed".to_owned()
        } else {
            return Sample::Fresh {
                value,
                at,
                series: Some(series),
            };
        };
        Sample::Partial { value, at, why }
    }

    /// As many pods of each Deployment as are ready, those with the newest samples: others have ended.
    fn freshest(&self, ready: &ReadyPods) -> Vec<&Pod> {
        let mut by_deployment: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
        for ((deployment, _), pod) in &self.pods {
            by_deployment.entry(deployment).or_default().push(pod);
        }
        let mut freshest = Vec::new();
        for (deployment, ready) in ready {
            let mut pods = by_deployment.remove(deployment.as_str()).unwrap_or_default();
            pods.sort_by_key(|pod| std::cmp::Reverse(pod.newest.at));
            pods.truncate(usize::try_from(*ready).unwrap_or(usize::MAX));
            freshest.extend(pods);
        }
        freshest
    }
}

impl Pod {
    /// The pod after one more sample. An answer may repeat one, or be late.
    fn after(mut self, sample: TimedValue) -> Pod {
        if sample.at > self.newest.at {
            self.earlier.push_front(self.newest);
            self.earlier.truncate(POD_SAMPLES_COUNT_MAX);
            self.newest = sample;
        }
        self
    }

    /// All samples, the newest first.
    fn samples(&self) -> impl Iterator<Item = &TimedValue> {
        std::iter::once(&self.newest).chain(&self.earlier)
    }

    /// Whether another pod was scraped so often since that this one should have been as well.
    fn is_missed(&self, others: &[&Pod]) -> bool {
        let is_later = |sample: &&TimedValue| sample.at > self.newest.at;
        let scrapes_since = |pod: &&Pod| pod.samples().filter(is_later).count();
        others.iter().any(|pod| scrapes_since(pod) >= POD_SCRAPES_MISSED)
    }

    /// The value at an instant that is no later than the newest sample: the smaller of those before and after it. `None`
    /// before the first sample of a new pod. Samples before `since` do not count: rooms have moved.
    fn value_at(&self, at: Timestamp, since: Option<Timestamp>) -> Option<f64> {
        let next = self.samples().take_while(|sample| sample.at >= at).last()?;
        if next.at == at {
            return Some(next.value);
        }
        match self.samples().find(|sample| sample.at < at) {
            Some(before) if since.is_some_and(|since| before.at < since) => Some(next.value),
            Some(before) => Some(next.value.min(before.value)),
            None => Some(next.value).filter(|_| !self.is_new),
        }
    }
}

#[cfg(test)]
mod tests;
