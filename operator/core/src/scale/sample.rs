//! What is known of a metric: one type from the source of a value to the decision.

use std::time::Duration;

use jiff::Timestamp;

use super::limits::STALE_SECONDS;

/// The newest that is known of a metric. Empty, infinite and undefined answers are `Missing`; missing never means zero.
#[derive(Clone, Debug, PartialEq)]
pub enum Sample {
    /// The whole component's value, in the metric's own unit, measured at `at`. `series` is how many series went into
    /// it, where that is known.
    Fresh {
        value: f64,
        at: Timestamp,
        series: Option<u64>,
    },
    /// A lower bound: `value` is the sum over only a part of the pods. It can add replicas but never remove one.
    Partial { value: f64, at: Timestamp, why: String },
    /// The last value is too old to act on.
    Stale { at: Timestamp },
    /// There is no value; the text says why and becomes part of messages.
    Missing { cause: Cause, why: String },
}

/// Why a metric has no sample before its query has run.
pub const PENDING: &str = "its query has not run yet";

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The query has not run yet.
    Pending,
    /// The source answered, without a finite value.
    NoValue,
    /// The source did not answer as it should.
    QueryFailed,
    /// The answer has series of more pods than exist.
    TooManySeries,
}

/// The age at which a value is too old to act on, for metrics that are polled every `interval`.
pub fn stale_after(interval: Duration) -> Duration {
    Duration::from_secs(STALE_SECONDS).max(interval * 3)
}

impl Sample {
    /// A value measured at `at`.
    pub fn fresh(value: f64, at: Timestamp) -> Sample {
        Sample::Fresh {
            value,
            at,
            series: None,
        }
    }

    /// No value because the query failed.
    pub fn missing(why: impl Into<String>) -> Sample {
        Sample::Missing {
            cause: Cause::QueryFailed,
            why: why.into(),
        }
    }

    /// No value because the answer holds none.
    pub fn no_value(why: impl Into<String>) -> Sample {
        Sample::Missing {
            cause: Cause::NoValue,
            why: why.into(),
        }
    }

    /// No value yet.
    pub fn pending() -> Sample {
        Sample::Missing {
            cause: Cause::Pending,
            why: PENDING.to_owned(),
        }
    }

    /// A value measured at `at`, which the source returned when its own clock showed `queried`. Ages are differences of
    /// the source's clock alone, so that ours may differ.
    pub fn aged(
        value: f64,
        at: Timestamp,
        queried: Timestamp,
        series: Option<u64>,
        stale_after: Duration,
    ) -> Sample {
        if queried.duration_since(at).unsigned_abs() > stale_after && at < queried {
            Sample::Stale { at }
        } else {
            Sample::Fresh { value, at, series }
        }
    }

    /// Partial when fewer series than `ready_pods` went into the value: a sum over a part of the pods is not a small
    /// sum. More series are no fault: a draining pod may still report.
    pub fn complete(self, ready_pods: u64) -> Sample {
        match self {
            Sample::Fresh {
                value,
                at,
                series: Some(series),
            } if series < ready_pods => Sample::Partial {
                value,
                at,
                why: format!("only {series} of {ready_pods} pods are scraped"),
            },
            sample => sample,
        }
    }

    /// Whether nothing has changed for a decision; the time of the value alone does not count.
    pub fn is_same_for_decisions(&self, other: &Sample) -> bool {
        match (self, other) {
            (
                Sample::Fresh { value, series, .. },
                Sample::Fresh {
                    value: other,
                    series: others,
                    ..
                },
            ) => value == other && series == others,
            (
                Sample::Partial { value, why, .. },
                Sample::Partial {
                    value: other,
                    why: others,
                    ..
                },
            ) => value == other && why == others,
            (Sample::Stale { .. }, Sample::Stale { .. }) => true,
            (one, other) => one == other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_sum_over_a_part_of_the_pods_is_a_lower_bound() {
        let sum = |series| Sample::Fresh {
            value: 12.0,
            at: at(0),
            series,
        };
        let partial = Sample::Partial {
            value: 12.0,
            at: at(0),
            why: "only 2 of 3 pods are scraped".to_owned(),
        };
        assert_eq!(sum(Some(2)).complete(3), partial);
        for series in [Some(3), Some(4), None] {
            assert_eq!(sum(series).complete(3), sum(series));
        }
        let missing = Sample::missing("gone");
        assert_eq!(missing.clone().complete(3), missing);
    }

    #[test]
    fn a_value_is_stale_by_the_clock_of_its_source() {
        let age = |measured, queried| {
            let stale_after = Duration::from_secs(75);
            Sample::aged(1.0, at(measured), at(queried), None, stale_after)
        };
        assert_eq!(age(0, 75), Sample::fresh(1.0, at(0)));
        assert_eq!(age(0, 76), Sample::Stale { at: at(0) });
        assert_eq!(age(500, 0), Sample::fresh(1.0, at(500)), "its clock was set back");
    }

    #[test]
    fn only_the_time_of_a_value_does_not_matter_for_decisions() {
        let one = Sample::fresh(1.0, at(0));
        assert!(one.is_same_for_decisions(&Sample::fresh(1.0, at(9))));
        assert!(!one.is_same_for_decisions(&Sample::fresh(2.0, at(0))));
        assert!(!one.is_same_for_decisions(&Sample::missing("gone")));
        assert!(!Sample::missing("gone").is_same_for_decisions(&Sample::missing("late")));
    }
}
