//! Demand over time from a trace.

use jiff::Timestamp;

/// The step of a simulation; one second for a finer trace, so that every decision falls on a step.
const STEP_SECONDS_MAX: i64 = 5;
/// More than a year of one-minute values.
const STEPS_MAX: usize = 8_000_000;

/// Sums and products of larger values might overflow.
const DEMAND_MAX: f64 = 1e100;

/// The reason why a trace cannot be simulated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TraceError {
    #[error("a trace needs at least two values, this one has {0}")]
    TooShort(usize),
    #[error("the times of a trace must increase: {0} is not later than the time before it")]
    NotRising(Timestamp),
    #[error("demand must be from 0 to {}, is {value} at {at}", DEMAND_MAX)]
    NotDemand { at: Timestamp, value: f64 },
    #[error("the trace takes more than {} steps: shorten it", STEPS_MAX)]
    TooLong,
}

/// Demand at every step, interpolated linearly between the values of the trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    start: Timestamp,
    step_seconds: i64,
    values: Vec<f64>,
    /// The sum of all values before each step.
    sums: Vec<f64>,
}

impl Demand {
    /// Demand from points in order of time, each value multiplied by `factor`.
    ///
    /// # Errors
    /// The points are not valid demand.
    pub fn new(points: &[(Timestamp, f64)], factor: f64) -> Result<Demand, TraceError> {
        let (Some(first), Some(last)) = (points.first(), points.last().filter(|_| points.len() > 1)) else {
            return Err(TraceError::TooShort(points.len()));
        };
        for (place, (at, value)) in points.iter().enumerate() {
            let value = factor * value;
            if !(0.0..=DEMAND_MAX).contains(&value) {
                return Err(TraceError::NotDemand { at: *at, value });
            }
            if place > 0 && *at <= points[place - 1].0 {
                return Err(TraceError::NotRising(*at));
            }
        }
        let spacing = points[1].0.duration_since(first.0).as_secs();
        let step_seconds = match spacing >= STEP_SECONDS_MAX {
            true => STEP_SECONDS_MAX,
            false => 1,
        };
        let steps = last.0.duration_since(first.0).as_secs() / step_seconds + 1;
        let steps = usize::try_from(steps).unwrap_or(usize::MAX);
        if steps > STEPS_MAX {
            return Err(TraceError::TooLong);
        }
        let values = interpolate(points, step_seconds, steps, factor);
        let sums = values
            .iter()
            .scan(0.0, |sum, value| Some(std::mem::replace(sum, *sum + value)));
        Ok(Demand {
            start: first.0,
            step_seconds,
            sums: sums.collect(),
            values,
        })
    }

    pub fn start(&self) -> Timestamp {
        self.start
    }

    pub fn steps(&self) -> usize {
        self.values.len()
    }

    pub fn step_seconds(&self) -> i64 {
        self.step_seconds
    }

    /// Seconds from the start to a step.
    pub fn second(&self, step: usize) -> i64 {
        step as i64 * self.step_seconds
    }

    pub fn at(&self, step: usize) -> f64 {
        self.values[step]
    }

    /// The mean over the `window` seconds that end at a second, or over those of them that exist.
    pub fn mean(&self, second: i64, window: i64) -> f64 {
        let end = usize::try_from(second / self.step_seconds)
            .unwrap_or(0)
            .min(self.values.len() - 1);
        let length = usize::try_from(window / self.step_seconds)
            .unwrap_or(1)
            .clamp(1, end + 1);
        let begin = end + 1 - length;
        (self.sums[end] + self.values[end] - self.sums[begin]) / length as f64
    }

    pub fn largest(&self) -> f64 {
        self.values.iter().copied().fold(0.0, f64::max)
    }
}

fn interpolate(points: &[(Timestamp, f64)], step_seconds: i64, steps: usize, factor: f64) -> Vec<f64> {
    let start = points[0].0;
    let second = |i: usize| points[i].0.duration_since(start).as_secs_f64();
    let mut next = 1;
    (0..steps)
        .map(|step| {
            let at = (step as i64 * step_seconds) as f64;
            while next + 1 < points.len() && second(next) < at {
                next += 1;
            }
            let (from, to) = (second(next - 1), second(next));
            let share = ((at - from) / (to - from)).clamp(0.0, 1.0);
            factor * (points[next - 1].1 * (1.0 - share) + points[next].1 * share)
        })
        .collect()
}
