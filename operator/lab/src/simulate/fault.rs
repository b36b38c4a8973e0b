//! What can be wrong with a source of metrics.

use std::str::FromStr;

use super::Setup;
use super::demand::Demand;

/// A fault of the metric source. [`super::source`] tells what each does to a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The answer holds no series.
    Empty,
    /// One replica reports NaN, and so does every sum over it.
    Nan,
    /// One replica reports infinity.
    Inf,
    /// Scrapes have stopped; the last value is still given, with its time.
    Stale,
    /// Every query fails with a status of 500 and above.
    ServerError,
    /// Answers come after the timeout: there is no new sample.
    Slow,
    /// Half of the replicas are not scraped.
    Partial,
    /// Every replica is scraped by two targets and counts twice.
    Duplicate,
    /// All counters start again: their rate misses a quarter of one averaging window.
    Reset,
    /// The clock of the source is five minutes ahead, in every second fault behind.
    Skew,
    /// Every second minute has no sample.
    Gap,
    /// Far too many series: the answer exceeds its bound.
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
            format!("there is no fault {name}: use one of {}", names.join(", "))
        })
    }
}

/// The first fault begins so long after the history,
const FIRST_SECONDS: i64 = 1_200;
/// lasts so long, unless it is a reset: that is over after one averaging window,
const LENGTH_SECONDS: i64 = 600;
/// and the next begins so much later: at another time of the day.
const PERIOD_SECONDS: i64 = 7 * 3_600;

/// When the source is faulty.
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

    /// Whether a fault is on, or ended fewer than [`Setup::windows_after`] scale-in windows ago.
    pub fn reaches(&self, second: i64, setup: &Setup, scale_in_window: i64) -> bool {
        let after = i64::from(setup.windows_after) * scale_in_window;
        self.since(second)
            .is_some_and(|(_, since)| since < self.length + after)
    }

    /// The number of the last fault that began, and how long ago.
    pub fn since(&self, second: i64) -> Option<(i64, i64)> {
        let passed = second - self.first;
        let begun = self.is_on && passed >= 0;
        begun.then_some((passed / PERIOD_SECONDS, passed % PERIOD_SECONDS))
    }
}
