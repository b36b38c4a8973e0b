//! Writes that the API server rejected. Each has its own backoff, so that it delays no other write and is not sent too
//! often.

use crate::{backoff, cache::expectations::Kind};
use backon::ExponentialBuilder;
use poker_operator_core::plan_result::Failure;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::Instant;

/// How long a rejected write waits: a quarter of a second to 15 s, and with jitter up to twice as long.
const WRITE_BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(250))
    .with_max_delay(Duration::from_secs(15))
    .with_jitter();

/// Identifies a write. `by`, a field manager or a deletion, distinguishes the writes of one object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Write {
    pub kind: Kind,
    pub name: String,
    pub by: &'static str,
}

struct Rejected {
    /// The content that was rejected: other content is written at once.
    content: String,
    failures: u32,
    retry_at: Instant,
    /// `None` for a conflict with another client, which the next write resolves.
    failure: Option<Failure>,
}

/// The rejected writes of one cluster.
#[derive(Default)]
pub struct RejectedWrites {
    rejected: BTreeMap<Write, Rejected>,
    /// The writes of the current reconcile.
    current: BTreeSet<Write>,
}

impl RejectedWrites {
    /// Whether the same content waits for its next attempt.
    pub fn is_waiting(&mut self, write: &Write, content: &str, now: Instant) -> bool {
        self.current.insert(write.clone());
        let rejected = self.rejected.get(write);
        rejected.is_some_and(|rejected| rejected.content == content && now < rejected.retry_at)
    }

    pub fn reject(&mut self, write: Write, content: &str, failure: Option<Failure>, now: Instant) {
        let before = self.rejected.get(&write).map_or(0, |rejected| rejected.failures);
        let failures = before.saturating_add(1);
        let rejected = Rejected {
            content: content.to_owned(),
            failures,
            retry_at: now + backoff::delay(WRITE_BACKOFF, failures),
            failure,
        };
        self.rejected.insert(write, rejected);
    }

    pub fn accept(&mut self, write: &Write) {
        self.rejected.remove(write);
    }

    /// Retries all at once: a deletion may have freed the quota that they need.
    pub fn retry_now(&mut self, now: Instant) {
        for rejected in self.rejected.values_mut() {
            rejected.retry_at = now;
        }
    }

    /// Ends a reconcile: forgets the writes that are no longer planned. Returns the failures and the time to the next
    /// attempt.
    pub fn finish(&mut self, now: Instant) -> (Vec<Failure>, Option<Duration>) {
        let current = std::mem::take(&mut self.current);
        self.rejected.retain(|write, _| current.contains(write));
        let failures = self.rejected.values().filter_map(|r| r.failure.clone()).collect();
        let next = self.rejected.values().map(|rejected| rejected.retry_at).min();
        (failures, next.map(|at| at.saturating_duration_since(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(name: &str) -> Write {
        Write {
            kind: "Ingress",
            name: name.to_owned(),
            by: "apply",
        }
    }

    fn failure(message: &str) -> Option<Failure> {
        Some(Failure {
            reason: "ApplyFailed",
            message: message.to_owned(),
        })
    }

    #[test]
    fn only_the_rejected_content_waits() {
        let (mut writes, now) = (RejectedWrites::default(), Instant::now());
        writes.reject(write("a"), "one", failure("denied"), now);
        assert!(writes.is_waiting(&write("a"), "one", now));
        assert!(!writes.is_waiting(&write("a"), "two", now));
        assert!(!writes.is_waiting(&write("b"), "one", now));
        assert!(!writes.is_waiting(&write("a"), "one", now + Duration::from_millis(501)));
        writes.retry_now(now);
        assert!(!writes.is_waiting(&write("a"), "one", now));
    }

    #[test]
    fn each_failure_waits_longer_and_an_accepted_write_is_forgotten() {
        let (mut writes, now) = (RejectedWrites::default(), Instant::now());
        for _ in 0..20 {
            writes.reject(write("a"), "one", failure("denied"), now);
        }
        assert!(writes.is_waiting(&write("a"), "one", now + Duration::from_secs(14)));
        assert!(!writes.is_waiting(&write("a"), "one", now + Duration::from_secs(31)));
        let (failures, next) = writes.finish(now);
        assert_eq!(failures, [failure("denied").unwrap()]);
        assert!(next.unwrap() >= Duration::from_secs(15));
        writes.is_waiting(&write("a"), "one", now);
        writes.accept(&write("a"));
        assert_eq!(writes.finish(now), (vec![], None));
    }

    #[test]
    fn writes_that_are_no_longer_planned_are_forgotten_and_conflicts_are_not_reported() {
        let (mut writes, now) = (RejectedWrites::default(), Instant::now());
        writes.reject(write("a"), "one", failure("denied"), now);
        writes.reject(write("b"), "one", None, now);
        writes.is_waiting(&write("b"), "one", now);
        let (failures, next) = writes.finish(now);
        assert_eq!(failures, []);
        assert!(next.is_some());
    }
}
