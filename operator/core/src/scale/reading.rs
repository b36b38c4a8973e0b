//! What the answers of a metric source say: when a value can be acted on.

use std::time::Duration;

use jiff::Timestamp;

use super::Sample;
use super::limits::STALE_SECONDS;

/// The last that is known of a metric.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// `series` is how many series went into the value, where that is known.
    Fresh {
        value: f64,
        at: Timestamp,
        series: Option<u64>,
    },
    Stale {
        at: Timestamp,
    },
    Missing {
        why: String,
    },
}

/// The age at which a value is too old to act on, for samples that are asked for every `interval`.
pub fn stale_after(interval: Duration) -> Duration {
    Duration::from_secs(STALE_SECONDS).max(interval * 3)
}

impl Reading {
    /// A value measured at `at`, as the source gave it when its own clock said `asked`: ages are told
    /// by the clock of the source alone, so that ours may differ.
    pub fn aged(
        value: f64,
        at: Timestamp,
        asked: Timestamp,
        series: Option<u64>,
        stale_after: Duration,
    ) -> Reading {
        if asked.duration_since(at).unsigned_abs() > stale_after && at < asked {
            Reading::Stale { at }
        } else {
            Reading::Fresh { value, at, series }
        }
    }

    /// The sample for decisions. A sum over fewer series than pods serve is not a small sum, it is
    /// none; more are no fault, a draining pod may still report.
    pub fn whole(self, ready_pods: u64) -> Sample {
        match self {
            Reading::Fresh {
                series: Some(series), ..
            } if series < ready_pods => Sample::Missing {
                why: format!("only {series} of {ready_pods} pods are scraped"),
            },
            Reading::Fresh { value, at, .. } => Sample::Fresh { value, at },
            Reading::Stale { at } => Sample::Stale { at },
            Reading::Missing { why } => Sample::Missing { why },
        }
    }
}
