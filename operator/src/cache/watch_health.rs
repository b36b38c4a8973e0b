//! What cannot be observed, and since when. Watches that are lost: those that fail again and again, so that their
//! caches grow old; one that is only opened anew, or that an API server drops as it restarts, is not. And clusters
//! that cannot be looked at.

use super::expectations::Kind;
use crate::{error, limits};
use kube::runtime::watcher;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

#[derive(Debug, Default)]
pub struct WatchHealth {
    losses: Mutex<BTreeMap<Kind, WatchFailure>>,
}

#[derive(Debug)]
struct WatchFailure {
    first: Instant,
    last: Instant,
    why: String,
    /// It has lasted long enough to be told.
    lasts: bool,
}

impl WatchHealth {
    /// The watch of `kind` has failed. Returns whether it counts as lost from now on.
    pub fn failed(&self, kind: Kind, error: &watcher::Error, now: Instant) -> bool {
        let cause = cause(error);
        let (patience, advice) = match cause {
            Some(cause) => (error::patience(cause), error::advice(cause)),
            None => (limits::BLIND_PATIENCE, error::TRIES_AGAIN),
        };
        let words = cause.map_or_else(|| error.to_string(), error::words);
        self.missed(
            kind,
            format!("the watch of {kind} fails ({words}): {advice}"),
            patience,
            now,
        )
    }

    fn missed(&self, kind: Kind, why: String, patience: Duration, now: Instant) -> bool {
        let mut losses = self.lock();
        drop_recovered(&mut losses, now);
        let loss = losses.entry(kind).or_insert_with(|| WatchFailure {
            first: now,
            last: now,
            why: String::new(),
            lasts: false,
        });
        loss.last = now;
        let begins = !loss.lasts && now.duration_since(loss.first) >= patience;
        if begins {
            loss.lasts = true;
            tracing::warn!(kind, "{why}");
        }
        loss.why = why;
        begins
    }

    /// The watch of `kind` has told something. Returns whether it counted as lost until now.
    pub fn recovered(&self, kind: Kind) -> bool {
        let lasted = self.lock().remove(kind).is_some_and(|loss| loss.lasts);
        if lasted {
            tracing::info!(kind, "watch works again");
        }
        lasted
    }

    /// Why each of the watches that are lost is.
    pub fn failing(&self, now: Instant) -> Vec<(Kind, String)> {
        let mut losses = self.lock();
        drop_recovered(&mut losses, now);
        let lost = losses.iter().filter(|(_, loss)| loss.lasts);
        lost.map(|(kind, loss)| (*kind, loss.why.clone())).collect()
    }

    /// Why these kinds are not heard of, and how long that may last before people are told.
    pub fn explain(&self, kinds: &[Kind], now: Instant) -> (String, Duration) {
        let lost = self.failing(now);
        let why = kinds.iter().map(|kind| {
            let known = lost
                .iter()
                .find(|(lost, _)| lost == kind)
                .map(|(_, why)| why.clone());
            known.unwrap_or_else(|| format!("the watch of {kind} is silent: {}", error::TRIES_AGAIN))
        });
        let why: Vec<_> = why.collect();
        let patience = if kinds.iter().any(|kind| lost.iter().any(|(lost, _)| lost == kind)) {
            Duration::ZERO // it was had with the watch
        } else {
            limits::BLIND_PATIENCE
        };
        (why.join("; "), patience)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Kind, WatchFailure>> {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A watch that works again may have nothing to tell for long: it is known by no failure that follows.
fn drop_recovered(losses: &mut BTreeMap<Kind, WatchFailure>, now: Instant) {
    losses.retain(|kind, loss| {
        let fails = now.duration_since(loss.last) < limits::WATCH_RETRY_MAX;
        if !fails && loss.lasts {
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

/// A time in which a cluster cannot be observed.
#[derive(Debug)]
pub struct Blind {
    since: Instant,
    tried: Option<Instant>,
    told: Option<String>,
}

impl Blind {
    pub fn since(now: Instant) -> Self {
        Self {
            since: now,
            tried: None,
            told: None,
        }
    }

    /// Whether it is time to tell `why`: it has lasted longer than `patience`, and was not told yet nor tried to just
    /// now.
    pub fn is_due(&mut self, why: &str, patience: Duration, now: Instant) -> bool {
        let tried = |at: Instant| now.duration_since(at) < limits::BLIND_RETRY;
        let is_due = now.duration_since(self.since) >= patience
            && self.told.as_deref() != Some(why)
            && !self.tried.is_some_and(tried);
        if is_due {
            self.tried = Some(now);
        }
        is_due
    }

    pub fn told(&mut self, why: &str) {
        self.told = Some(why.to_owned());
    }

    pub fn was_told(&self) -> bool {
        self.told.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_that_cannot_be_observed_is_told_once_for_each_cause() {
        let begun = Instant::now();
        let mut blind = Blind::since(begun);
        let patience = limits::BLIND_RETRY;
        let at = |retries| begun + limits::BLIND_RETRY * retries;
        assert!(!blind.is_due("refused", patience, begun), "it may pass");
        assert!(blind.is_due("refused", patience, at(1)));
        assert!(!blind.is_due("refused", patience, at(1)), "tried just now");
        assert!(blind.is_due("refused", patience, at(2)), "in vain so far");
        blind.told("refused");
        assert!(!blind.is_due("refused", patience, at(3)) && blind.was_told());
        assert!(blind.is_due("gone", patience, at(3)));
    }

    #[test]
    fn a_watch_is_lost_once_it_has_failed_for_long_and_until_it_tells_something() {
        let watch_health = WatchHealth::default();
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let patience = Duration::from_secs(10);
        let fails = |seconds| watch_health.missed("Service", "refused".to_owned(), patience, at(seconds));
        assert!(!fails(0) && watch_health.failing(at(0)).is_empty(), "opened anew");
        assert!(!fails(5));
        assert!(fails(11), "lost");
        assert!(!fails(20), "told once");
        assert_eq!(watch_health.failing(at(21)), [("Service", "refused".to_owned())]);
        assert!(watch_health.recovered("Service") && watch_health.failing(at(22)).is_empty());
        assert!(!watch_health.recovered("Service"), "told once");
        assert!(!fails(30), "another failure begins anew");
        assert!(fails(45));
        let quiet = at(45) + limits::WATCH_RETRY_MAX;
        assert!(
            watch_health.failing(quiet).is_empty(),
            "nothing to tell, and no failure either"
        );
    }
}
