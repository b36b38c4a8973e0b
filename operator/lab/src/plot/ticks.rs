//! Round values for the axes.

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub const VALUES_COUNT_MAX: usize = 7;
pub const TIMES_COUNT_MAX: usize = 9;
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Round distances between two times, in seconds.
const TIME_STEPS: [i64; 24] = [
    1,
    2,
    5,
    10,
    15,
    30,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
    28 * DAY,
    56 * DAY,
    112 * DAY,
];
/// The first Monday of Unix time: weekly ticks are Mondays.
const MONDAY: i64 = 4 * DAY;

/// Multiples of 1, 2 or 5 times a power of ten within a range that is not empty.
pub fn values(low: f64, high: f64) -> Vec<f64> {
    let least = (high - low) / (VALUES_COUNT_MAX - 1) as f64;
    let power = 10_f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|step| *step >= least)
        .unwrap_or(10.0 * power);
    let (first, last) = ((low / step).ceil(), (high / step).floor());
    (0..=VALUES_COUNT_MAX)
        .map(|i| first + i as f64)
        .take_while(|multiple| *multiple <= last)
        .map(|multiple| multiple * step)
        .collect()
}

/// Round times (UTC) of an axis in Unix seconds, and the format of their labels.
pub struct Times {
    pub seconds: Vec<f64>,
    format: &'static str,
}

impl Times {
    pub fn new(from: f64, to: f64) -> Times {
        let span = to - from;
        let step = TIME_STEPS
            .into_iter()
            .find(|step| span / *step as f64 <= (TIMES_COUNT_MAX - 1) as f64)
            .unwrap_or_else(|| DAY * (span / (DAY * (TIMES_COUNT_MAX as i64 - 1)) as f64).ceil() as i64);
        let origin = if step % (7 * DAY) == 0 { MONDAY } else { 0 };
        let first = ((from - origin as f64) / step as f64).ceil() as i64;
        let seconds = (first..)
            .map(|multiple| (origin + multiple * step) as f64)
            .take_while(|second| *second <= to)
            .collect();
        let format = match step {
            s if s >= DAY => "%d %b",
            _ if span > DAY as f64 => "%d %b %H:%M",
            s if s >= MINUTE => "%H:%M",
            _ => "%H:%M:%S",
        };
        Times { seconds, format }
    }

    pub fn label(&self, second: f64) -> String {
        Timestamp::from_second(second as i64)
            .map(|at| at.to_zoned(TimeZone::UTC).strftime(self.format).to_string())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_round() {
        for (low, high, expected) in [
            (0.0, 1.0, &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0][..]),
            (0.0, 20_140.0, &[0.0, 5_000.0, 10_000.0, 15_000.0, 20_000.0]),
            (-3.1, 7.4, &[-2.0, 0.0, 2.0, 4.0, 6.0]),
            (0.0, 0.011, &[0.0, 0.002, 0.004, 0.006, 0.008, 0.01]),
        ] {
            let ticks = values(low, high);
            assert_eq!(ticks.len(), expected.len(), "{ticks:?}");
            for (tick, value) in ticks.iter().zip(expected) {
                assert!((tick - value).abs() < 1e-9 * high, "{ticks:?}");
            }
        }
    }

    #[test]
    fn times_are_round_and_their_labels_short() {
        let day = 86_400.0;
        // Wednesday, 2 February 2022, 10:07:13 UTC.
        let from = 1_643_796_433.0;
        for (span, first, count) in [
            (40.0, "10:07:15", 8),
            (3_000.0, "10:10", 5),
            (20_000.0, "11:00", 5),
            (1.5 * day, "02 Feb 12:00", 6),
            (7.0 * day, "03 Feb", 7),
            (30.0 * day, "07 Feb", 4),
            (3_000.0 * day, "", 8),
        ] {
            let times = Times::new(from, from + span);
            let labels: Vec<String> = times.seconds.iter().map(|s| times.label(*s)).collect();
            assert_eq!(labels.len(), count, "{span}: {labels:?}");
            assert!(labels[0].starts_with(first), "{span}: {labels:?}");
        }
    }

    #[test]
    fn ticks_lie_within_any_range_and_are_few() {
        for i in 0..2_000 {
            let span = 1.3_f64.powi(i % 100);
            let low = 1e6 * f64::from(i - 1_000);
            let ticks = values(low, low + span);
            assert!(
                (2..=VALUES_COUNT_MAX).contains(&ticks.len()),
                "{low} {span}: {ticks:?}"
            );
            let slack = 1e-9 * (low.abs() + span);
            assert!(
                ticks
                    .iter()
                    .all(|t| *t >= low - slack && *t <= low + span + slack)
            );
            let times = Times::new(low, low + span).seconds;
            assert!(times.len() <= TIMES_COUNT_MAX, "{low} {span}: {times:?}");
            assert!(times.iter().all(|t| *t >= low && *t <= low + span));
        }
    }
}
