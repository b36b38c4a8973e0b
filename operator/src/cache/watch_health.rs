//! Which watches keep failing, so that their caches grow stale. A routine reconnect does not count, nor does an API
//! server that restarts.

use super::{expectations::Kind, limits::WATCH_RETRY_MAX};
use crate::error::{self, HINT_RETRIED, REPORT_AFTER};
use kube::runtime::watcher;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

#[derive(Debug, Default)]
pub struct WatchHealth {
    failures: Mutex<BTreeMap<Kind, WatchFailure>>,
}

#[derive(Debug)]
struct WatchFailure {
    first: Instant,
    last: Instant,
    why: String,
    /// It has lasted long enough to be reported.
    is_reported: bool,
}

impl WatchHealth {
    /// The watch of `kind` has failed. Returns whether it counts as failing from now on.
    pub fn failed(&self, kind: Kind, error: &watcher::Error, now: Instant) -> bool {
        let (message, hint, report_after) = match cause(error) {
            Some(cause) => (
                error::api_message(cause),
                error::hint(cause),
                error::report_after(cause),
            ),
            None => (error.to_string(), HINT_RETRIED, REPORT_AFTER),
        };
        let why = format!("the watch of {kind} fails ({message}): {hint}");
        self.record(kind, why, report_after, now)
    }

    fn record(&self, kind: Kind, why: String, report_after: Duration, now: Instant) -> bool {
        let mut failures = self.lock();
        drop_recovered(&mut failures, now);
        let failure = failures.entry(kind).or_insert_with(|| WatchFailure {
            first: now,
            last: now,
            why: String::new(),
            is_reported: false,
        });
        failure.last = now;
        let is_due = !failure.is_reported && now.duration_since(failure.first) >= report_after;
        if is_due {
            failure.is_reported = true;
            tracing::warn!(kind, "{why}");
        }
        failure.why = why;
        is_due
    }

    /// The watch of `kind` has delivered an event. Returns whether it counted as failing until now.
    pub fn recovered(&self, kind: Kind) -> bool {
        let was_reported = self
            .lock()
            .remove(kind)
            .is_some_and(|failure| failure.is_reported);
        if was_reported {
            tracing::info!(kind, "watch works again");
        }
        was_reported
    }

    /// The watches that count as failing, each with the reason and a hint.
    pub fn failing(&self, now: Instant) -> Vec<(Kind, String)> {
        let mut failures = self.lock();
        drop_recovered(&mut failures, now);
        let reported = failures.iter().filter(|(_, failure)| failure.is_reported);
        reported
            .map(|(kind, failure)| (*kind, failure.why.clone()))
            .collect()
    }

    /// Why the caches of these kinds are not up to date, and after which time to report it.
    pub fn explain(&self, kinds: &[Kind], now: Instant) -> (String, Duration) {
        let failing: BTreeMap<_, _> = self.failing(now).into_iter().collect();
        let why = kinds.iter().map(|kind| match failing.get(kind) {
            Some(why) => why.clone(),
            None => format!("the watch of {kind} is silent: {HINT_RETRIED}"),
        });
        let why: Vec<_> = why.collect();
        let report_after = if kinds.iter().any(|kind| failing.contains_key(kind)) {
            Duration::ZERO // the watch has failed for long enough already
        } else {
            REPORT_AFTER
        };
        (why.join("; "), report_after)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Kind, WatchFailure>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A watch that works again may have no event to deliver for a long time. It counts as recovered if no failure follows.
fn drop_recovered(failures: &mut BTreeMap<Kind, WatchFailure>, now: Instant) {
    failures.retain(|kind, failure| {
        let fails = now.duration_since(failure.last) < WATCH_RETRY_MAX;
        if !fails && failure.is_reported {
            tracing::info!(kind, "watch works again");
        }
        fails
    });
}

fn cause(error: &watcher::Error) -> Option<&kube::Error> {
    use watcher::Error::{InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(cause) | WatchStartFailed(cause) | WatchFailed(cause) => Some(cause),
        WatchError(_) | NoResourceVersion => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_counts_as_failing_after_a_while_and_until_it_delivers_an_event() {
        let watch_health = WatchHealth::default();
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let report_after = Duration::from_secs(10);
        let fails = |seconds| watch_health.record("Service", "refused".to_owned(), report_after, at(seconds));
        assert!(!fails(0) && watch_health.failing(at(0)).is_empty(), "a reconnect");
        assert!(!fails(5));
        assert!(fails(11), "failing from now on");
        assert!(!fails(20), "reported once");
        assert_eq!(watch_health.failing(at(21)), [("Service", "refused".to_owned())]);
        assert!(watch_health.recovered("Service") && watch_health.failing(at(22)).is_empty());
        assert!(!watch_health.recovered("Service"), "reported once");
        assert!(!fails(30), "another failure");
        assert!(fails(45));
        let quiet = at(45) + WATCH_RETRY_MAX;
        assert!(
            watch_health.failing(quiet).is_empty(),
            "neither an event nor a failure"
        );
    }

    #[test]
    fn a_failing_watch_is_retried_before_it_counts_as_recovered() {
        let longest = watcher::DefaultBackoff::default().take(100).max();
        assert!(
            longest.is_some_and(|longest| longest < WATCH_RETRY_MAX),
            "{longest:?}"
        );
    }
}
