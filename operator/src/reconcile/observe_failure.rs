//! How long a cluster cannot be observed, and what of that was reported.

use std::time::Duration;
use tokio::time::Instant;

/// A report that could not be written is tried again after this time.
const REPORT_RETRY: Duration = Duration::from_secs(10);

/// A period in which a cluster cannot be observed.
#[derive(Debug)]
pub struct ObserveFailure {
    since: Instant,
    tried: Option<Instant>,
    reported: Option<String>,
}

impl ObserveFailure {
    pub fn since(now: Instant) -> Self {
        Self {
            since: now,
            tried: None,
            reported: None,
        }
    }

    /// Whether to report `why` now: the failure has lasted for `report_after`, `why` is not reported yet, and the last
    /// attempt to report it was not just now.
    pub fn report_due(&mut self, why: &str, report_after: Duration, now: Instant) -> bool {
        let just_tried = self.tried.is_some_and(|at| now.duration_since(at) < REPORT_RETRY);
        let is_due = now.duration_since(self.since) >= report_after
            && self.reported.as_deref() != Some(why)
            && !just_tried;
        if is_due {
            self.tried = Some(now);
        }
        is_due
    }

    pub fn record_report(&mut self, why: &str) {
        self.reported = Some(why.to_owned());
    }

    /// Whether the status reports that the cluster cannot be observed.
    pub fn is_reported(&self) -> bool {
        self.reported.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_to_observe_is_reported_once_for_each_cause() {
        let begun = Instant::now();
        let mut failure = ObserveFailure::since(begun);
        let report_after = REPORT_RETRY;
        let at = |retries| begun + REPORT_RETRY * retries;
        assert!(!failure.report_due("refused", report_after, begun), "it may pass");
        assert!(failure.report_due("refused", report_after, at(1)));
        assert!(!failure.report_due("refused", report_after, at(1)), "just tried");
        assert!(
            failure.report_due("refused", report_after, at(2)),
            "not written yet"
        );
        failure.record_report("refused");
        assert!(!failure.report_due("refused", report_after, at(3)) && failure.is_reported());
        assert!(failure.report_due("gone", report_after, at(3)));
    }
}
