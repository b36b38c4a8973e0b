//! Rolling-origin evaluation: every five minutes of the second half, a forecast from the samples until then is compared
//! with the outcome.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::forecasting::{Forecaster, Prediction};
use jiff::Timestamp;
use serde::Serialize;

use super::faults::Fault;

pub const HORIZONS_MINUTES: [i64; 4] = [5, 15, 30, 60];
const ISSUE_SECONDS: i64 = 300;
/// A horizon with fewer outcomes is skipped.
const OUTCOMES_COUNT_MIN: usize = 50;

type Points = [(Timestamp, f64)];

/// One file at one horizon. Ratios are to the last value with the same scale and calibrator: 1 if neither is ever wrong,
/// absent if only the last value never is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    pub file: String,
    pub horizon_minutes: i64,
    pub faults: &'static str,
    pub outcomes: usize,
    pub nmae: f64,
    pub nmae_ratio: Option<f64>,
    pub pinball95_ratio: Option<f64>,
    pub headroom99: f64,
    pub headroom99_ratio: Option<f64>,
    pub violations99: f64,
}

/// The errors of one forecaster at one horizon, summed over the outcomes.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    error: f64,
    pinball95: f64,
    unused: f64,
    above: usize,
}

impl Sums {
    fn add(&mut self, given: &Given, outcome: f64) {
        self.error += (outcome - given.point).abs();
        let miss = outcome - given.upper95;
        self.pinball95 += (0.95 * miss).max(-0.05 * miss);
        self.unused += (given.upper99 - outcome).max(0.0);
        self.above += usize::from(outcome > given.upper99);
    }
}

#[derive(Clone, Copy, Debug)]
struct Given {
    point: f64,
    upper95: f64,
    upper99: f64,
}

/// A forecast by the model and one by the last value for the bin `target`.
struct Issue {
    horizon: usize,
    target: i64,
    model: Given,
    last: Given,
}

/// Judges a series with a fault at every horizon that is a whole number of its steps.
pub fn judge(file: &str, points: &Points, step: Duration, fault: Fault) -> Vec<Score> {
    let bin_seconds = Forecaster::new(step).bin_seconds();
    let (inputs, outcomes) = fault.inject(points, bin_seconds);
    let outcomes = means(&outcomes, bin_seconds);
    let issues = issue(&inputs, step, bin_seconds);
    HORIZONS_MINUTES
        .iter()
        .enumerate()
        .filter(|(_, minutes)| *minutes * 60 % bin_seconds == 0)
        .filter_map(|(horizon, minutes)| {
            let due = issues.iter().filter(|issue| issue.horizon == horizon);
            let pairs = due.filter_map(|issue| Some((issue, *outcomes.get(&issue.target)?)));
            score(file, *minutes, fault.name(), pairs)
        })
        .collect()
}

/// Means over bins, by bin number.
fn means(points: &Points, bin_seconds: i64) -> BTreeMap<i64, f64> {
    let mut sums: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for (at, value) in points {
        let sum = sums.entry(at.as_second().div_euclid(bin_seconds)).or_default();
        *sum = (sum.0 + value, sum.1 + 1.0);
    }
    sums.into_iter()
        .map(|(bin, (sum, count))| (bin, sum / count))
        .collect()
}

/// Feeds the series to the forecaster and collects its forecasts at every complete bin of the second half.
fn issue(inputs: &Points, step: Duration, bin_seconds: i64) -> Vec<Issue> {
    let mut issues = Vec::new();
    let (Some((first, _)), Some((end, _))) = (inputs.first(), inputs.last()) else {
        return issues;
    };
    let half = first.as_second() + (end.as_second() - first.as_second()) / 2;
    let mut forecaster = Forecaster::new(step);
    let mut turn = i64::MIN;
    for (at, value) in inputs {
        forecaster.observe(*at, *value);
        let now = at.as_second();
        let turned = now.div_euclid(ISSUE_SECONDS.max(bin_seconds));
        if turned == turn {
            continue;
        }
        turn = turned;
        if now < half {
            continue;
        }
        for (horizon, minutes) in HORIZONS_MINUTES.iter().enumerate() {
            let ahead = minutes * 60 / bin_seconds;
            let horizon_time = Duration::from_secs((ahead * bin_seconds).unsigned_abs());
            let given = |ask: &dyn Fn(f64) -> Option<Prediction>| {
                let (upper95, upper99) = (ask(0.95)?, ask(0.99)?);
                Some(Given {
                    point: upper95.point,
                    upper95: upper95.upper,
                    upper99: upper99.upper,
                })
            };
            let model = given(&|quantile| forecaster.forecast(horizon_time, quantile));
            let last = given(&|quantile| forecaster.last_value(horizon_time, quantile));
            if let (true, Some(model), Some(last)) = (ahead > 0, model, last) {
                let target = now.div_euclid(bin_seconds) - 1 + ahead;
                issues.push(Issue {
                    horizon,
                    target,
                    model,
                    last,
                });
            }
        }
    }
    issues
}

fn score<'a>(
    file: &str,
    horizon_minutes: i64,
    faults: &'static str,
    pairs: impl Iterator<Item = (&'a Issue, f64)>,
) -> Option<Score> {
    let (mut model, mut last) = (Sums::default(), Sums::default());
    let (mut outcomes, mut load) = (0, 0.0);
    // The forecaster ignores negative values too: a load is never negative.
    for (issue, outcome) in pairs.filter(|(_, outcome)| *outcome >= 0.0) {
        model.add(&issue.model, outcome);
        last.add(&issue.last, outcome);
        outcomes += 1;
        load += outcome;
    }
    let per_load = |sum: f64| if load > 0.0 { sum / load } else { 0.0 };
    let is_none = |sum: f64| load == 0.0 || sum <= 1e-12 * load;
    let ratio = |own: f64, other: f64| match is_none(other) {
        true => is_none(own).then_some(1.0),
        false => Some(own / other),
    };
    (outcomes >= OUTCOMES_COUNT_MIN).then(|| Score {
        file: file.to_owned(),
        horizon_minutes,
        faults,
        outcomes,
        nmae: per_load(model.error),
        nmae_ratio: ratio(model.error, last.error),
        pinball95_ratio: ratio(model.pinball95, last.pinball95),
        headroom99: per_load(model.unused),
        headroom99_ratio: ratio(model.unused, last.unused),
        violations99: model.above as f64 / outcomes as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four days of minutes with a daily cycle and noise from a fixed sequence.
    fn daily() -> Vec<(Timestamp, f64)> {
        (0..4 * 1_440_i64)
            .map(|i| {
                let cycle = (i as f64 / 1_440.0 * std::f64::consts::TAU).sin();
                let noise = (i as f64 * 0.618_033_988_75).fract() - 0.5;
                (
                    Timestamp::from_second(60 * i).unwrap(),
                    100.0 + 60.0 * cycle + 4.0 * noise,
                )
            })
            .collect()
    }

    #[test]
    fn a_daily_cycle_is_forecast_better_than_by_the_last_value() {
        let scores = judge("daily", &daily(), Duration::from_secs(60), Fault::None);
        assert_eq!(scores.len(), HORIZONS_MINUTES.len());
        let hour = scores.last().unwrap();
        assert!(hour.nmae_ratio.unwrap() < 0.6, "{hour:?}");
        assert!(hour.headroom99_ratio.unwrap() < 0.8, "{hour:?}");
        assert!((450..=576).contains(&hour.outcomes), "{hour:?}");
    }

    #[test]
    fn horizons_that_are_not_a_whole_number_of_steps_are_skipped() {
        for (step_minutes, horizons) in [(30, &[30, 60][..]), (10, &[30, 60]), (15, &[15, 30, 60])] {
            let coarse: Vec<_> = daily().into_iter().step_by(step_minutes).collect();
            let step = Duration::from_secs(60 * step_minutes as u64);
            let scores = judge("coarse", &coarse, step, Fault::None);
            let minutes: Vec<i64> = scores.iter().map(|s| s.horizon_minutes).collect();
            assert_eq!(minutes, horizons, "{step_minutes}");
        }
    }

    #[test]
    fn a_series_of_zeros_is_forecast_as_well_by_its_last_value() {
        let zeros: Vec<_> = daily().into_iter().map(|(at, _)| (at, 0.0)).collect();
        for score in judge("zeros", &zeros, Duration::from_secs(60), Fault::None) {
            assert_eq!(
                (score.nmae, score.violations99, score.nmae_ratio),
                (0.0, 0.0, Some(1.0))
            );
        }
    }
}
