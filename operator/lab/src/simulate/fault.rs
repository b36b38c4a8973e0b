//! Faults of a metric source.

use std::str::FromStr;

use super::Setup;
use super::demand::Demand;

/// A fault of the metric source. [`super::source`] defines its effect on a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The response has no series.
    Empty,
    /// One replica reports NaN, so every sum over the replicas is NaN.
    Nan,
    /// One replica reports infinity.
    Inf,
    /// Scrapes have stopped; queries return the last value with its time.
    Stale,
    /// Every query fails with a 5xx status.
    ServerError,
    /// Responses come after the timeout: there is no new sample.
    Slow,
    /// Half of the replicas are not scraped.
    Partial,
    /// Every replica is scraped twice and counts twice.
    Duplicate,
    /// All counters restart: their rate misses a quarter of one averaging window.
    Reset,
    /// The clock of the source is five minutes ahead, in every second fault five minutes behind.
    Skew,
    /// Every second minute has no sample.
    Gap,
    /// Far too many series: the response exceeds its size limit.
    Flood,
}

impl Fault {
    pub const ALL: [Fault; 12] = [
        Fault::Empty,
        Fault::Nan,
        Fault::Inf,
        Fault::Stale,
        Fault::ServerError,
        Fault::Slow,
        Fault::Partial,
        Fault::Duplicate,
        Fault::Reset,
        Fault::Skew,
        Fault::Gap,
        Fault::Flood,
    ];

    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::Empty => "empty",
            Fault::Nan => "nan",
            Fault::Inf => "inf",
            Fault::Stale => "stale",
            Fault::ServerError => "5xx",
            Fault::Slow => "slow",
            Fault::Partial => "partial",
            Fault::Duplicate => "duplicate",
            Fault::Reset => "reset",
            Fault::Skew => "skew",
            Fault::Gap => "gap",
            Fault::Flood => "flood",
        }
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(name: &str) -> Result<Fault, String> {
        let found = Fault::ALL.into_iter().find(|f| f.as_str() == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = Fault::ALL.iter().map(|f| f.as_str()).collect();
            format!("{name} is not a fault: use one of {}", names.join(", "))
        })
    }
}

/// From the end of the history to the first fault.
const FIRST_SECONDS: i64 = 1_200;
/// The duration of a fault, except of a reset, which lasts for one averaging window.
const LENGTH_SECONDS: i64 = 600;
/// From the start of a fault to that of the next, at another time of the day.
const PERIOD_SECONDS: i64 = 7 * 3_600;

/// The times at which the source is faulty.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultWindows {
    first: i64,
    length: i64,
    is_on: bool,
}

impl FaultWindows {
    pub fn new(setup: &Setup, demand: &Demand) -> FaultWindows {
        let end = demand.second(demand.steps());
        let first = setup.history_seconds + FIRST_SECONDS;
        let is_reset = setup.fault == Some(Fault::Reset);
        FaultWindows {
            length: if is_reset {
                setup.window_seconds
            } else {
                LENGTH_SECONDS
            },
            first,
            is_on: setup.fault.is_some() && first < end,
        }
    }

    pub fn is_inside(&self, second: i64) -> bool {
        self.since(second).is_some_and(|(_, since)| since < self.length)
    }

    /// Whether a fault is active or ended fewer than [`Setup::grace_windows`] scale-in windows ago.
    pub fn reaches(&self, second: i64, setup: &Setup, scale_in_window: i64) -> bool {
        let after = i64::from(setup.grace_windows) * scale_in_window;
        self.since(second)
            .is_some_and(|(_, since)| since < self.length + after)
    }

    /// The number of the latest fault, and the seconds since its start.
    pub fn since(&self, second: i64) -> Option<(i64, i64)> {
        let passed = second - self.first;
        let begun = self.is_on && passed >= 0;
        begun.then_some((passed / PERIOD_SECONDS, passed % PERIOD_SECONDS))
    }
}
