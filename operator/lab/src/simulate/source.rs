//! The metric source that the controller reads.

use jiff::{SignedDuration, Timestamp};

use super::Setup;
use super::demand::Demand;
use super::fault::Fault;
use poker_operator_core::scale::{Sample, stale_after};

/// A reset of all counters lowers their rate by this fraction for one averaging window.
const RESET_FRACTION: f64 = 0.25;
const SKEW: SignedDuration = SignedDuration::from_mins(5);
const GAP_SECONDS: i64 = 60;

/// The demand as a metric, and the last sample that came.
pub struct Source<'a> {
    demand: &'a Demand,
    setup: &'a Setup,
    last: Option<CachedSample>,
}

struct CachedSample {
    value: f64,
    at: Timestamp,
    received: i64,
}

impl<'a> Source<'a> {
    pub fn new(demand: &'a Demand, setup: &'a Setup) -> Source<'a> {
        Source {
            demand,
            setup,
            last: None,
        }
    }

    /// The sample at a second; `since` is the number of the fault and the seconds since its start.
    pub fn read(
        &mut self,
        second: i64,
        ready: i32,
        fault: Option<Fault>,
        since: Option<(i64, i64)>,
    ) -> Sample {
        let setup = self.setup;
        let series = u64::from(ready.unsigned_abs());
        let seen = (second - setup.late_seconds).div_euclid(setup.scrape_seconds) * setup.scrape_seconds;
        let at = self.demand.start() + SignedDuration::from_secs(seen);
        let value = self.demand.mean(seen.max(0), setup.window_seconds);
        let fresh = |value: f64, at: Timestamp, series: u64| Sample::Fresh {
            value,
            at,
            series: Some(series),
        };
        let (number, lasts) = since.unwrap_or((0, 0));
        let sample = match fault {
            None => fresh(value, at, series),
            Some(Fault::Empty) => Sample::no_value("the query gives no series"),
            Some(Fault::Nan | Fault::Inf) => Sample::no_value("the query gives no finite value"),
            Some(Fault::ServerError) => Sample::missing("Prometheus answered with status 503"),
            Some(Fault::Flood) => Sample::missing("the answer is too large"),
            Some(Fault::Stale) => self.stopped(at),
            Some(Fault::Slow) => self.late(second),
            Some(Fault::Partial) => fresh(value / 2.0, at, series / 2),
            Some(Fault::Duplicate) => fresh(value * 2.0, at, series * 2),
            Some(Fault::Reset) => fresh(value * (1.0 - RESET_FRACTION), at, series),
            Some(Fault::Skew) if number % 2 == 0 => fresh(value, at + SKEW, series),
            Some(Fault::Skew) => fresh(value, at - SKEW, series),
            Some(Fault::Gap) if lasts / GAP_SECONDS % 2 == 0 => {
                Sample::missing("there is no sample of this minute")
            }
            Some(Fault::Gap) => fresh(value, at, series),
        };
        if let (Sample::Fresh { value, at, .. }, None) = (&sample, fault) {
            self.last = Some(CachedSample {
                value: *value,
                at: *at,
                received: second,
            });
        }
        sample.complete(series)
    }

    /// The last value with its own time, by the clock of the source.
    fn stopped(&self, asked: Timestamp) -> Sample {
        match &self.last {
            Some(last) => Sample::aged(last.value, last.at, asked, None, stale_after(self.interval())),
            None => Sample::missing("nothing was scraped yet"),
        }
    }

    /// The last sample, as long as it is young enough.
    fn late(&self, second: i64) -> Sample {
        let limit = i64::try_from(stale_after(self.interval()).as_secs()).unwrap_or(i64::MAX);
        match &self.last {
            Some(last) if second - last.received <= limit => Sample::fresh(last.value, last.at),
            Some(last) => Sample::Stale { at: last.at },
            None => Sample::missing("no answer came yet"),
        }
    }

    fn interval(&self) -> std::time::Duration {
        std::time::Duration::from_secs(self.setup.tick_seconds.unsigned_abs())
    }
}
