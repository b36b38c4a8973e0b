//! Cron expressions: `minute hour day-of-month month day-of-week`, by the wall clock of a time zone.
//!
//! `jiff-cron` does not replace this module: if both kinds of day are restricted, it requires both to match, where cron
//! and Kubernetes require either of them. It also requires a field for seconds.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use thiserror::Error;

use super::limits::CRON_SEARCH_DAYS_MAX;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CronError {
    #[error("cron {0:?} must have five fields: minute hour day-of-month month day-of-week")]
    Fields(String),
    #[error(
        "cron field {field:?} is invalid: use numbers from {low} to {high}, lists, ranges or steps such as 1-5 or */15"
    )]
    Field { field: String, low: u32, high: u32 },
    #[error("time zone {0:?} is unknown: use an IANA name such as Europe/Berlin")]
    TimeZone(String),
}

/// One field as a set of numbers. Bit n represents n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    bits: u64,
    /// Whether it starts with `*`, which affects how the two kinds of day combine.
    star: bool,
}

impl Field {
    fn contains(&self, number: i8) -> bool {
        u32::try_from(number).is_ok_and(|n| self.bits & (1 << n) != 0)
    }
}

/// A parsed expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: Field,
    hours: Field,
    days: Field,
    months: Field,
    weekdays: Field,
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Cron {
    /// # Errors
    /// There are not five fields, or a field is invalid.
    pub fn parse(text: &str) -> Result<Cron, CronError> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            return Err(CronError::Fields(text.to_owned()));
        };
        let mut weekdays = parse_field(weekdays, 0, 7, &WEEKDAYS, 0)?;
        // Sunday is 0 or 7.
        weekdays.bits = (weekdays.bits | weekdays.bits >> 7) & 0x7f;
        Ok(Cron {
            minutes: parse_field(minutes, 0, 59, &[], 0)?,
            hours: parse_field(hours, 0, 23, &[], 0)?,
            days: parse_field(days, 1, 31, &[], 0)?,
            months: parse_field(months, 1, 12, &MONTHS, 1)?,
            weekdays,
        })
    }

    /// The last time at or before `now`.
    pub fn last(&self, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
        let local = now.to_zoned(zone.clone());
        let mut date = local.date();
        for _ in 0..CRON_SEARCH_DAYS_MAX {
            if self.is_on(date)
                && let Some(at) = self.times(zone, date).into_iter().rev().find(|at| *at <= now)
            {
                return Some(at);
            }
            date = date.yesterday().ok()?;
        }
        None
    }

    /// The first time after `now`.
    pub fn next(&self, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
        let mut date = now.to_zoned(zone.clone()).date();
        for _ in 0..CRON_SEARCH_DAYS_MAX {
            if self.is_on(date)
                && let Some(at) = self.times(zone, date).into_iter().find(|at| *at > now)
            {
                return Some(at);
            }
            date = date.checked_add(1.day()).ok()?;
        }
        None
    }

    /// If both kinds of day are restricted, either may match, as in cron.
    fn is_on(&self, date: Date) -> bool {
        let day = self.days.contains(date.day());
        let weekday = self.weekdays.contains(date.weekday().to_sunday_zero_offset());
        let on_day = if self.days.star || self.weekdays.star {
            day && weekday
        } else {
            day || weekday
        };
        on_day && self.months.contains(date.month())
    }

    /// All times of a day in order. A time in a gap moves after the gap. An ambiguous time counts once, at its first
    /// occurrence.
    fn times(&self, zone: &TimeZone, date: Date) -> Vec<Timestamp> {
        let mut times = Vec::new();
        for hour in (0..24).filter(|h| self.hours.contains(*h)) {
            for minute in (0..60).filter(|m| self.minutes.contains(*m)) {
                let local = Time::new(hour, minute, 0, 0).map(|time| date.to_datetime(time));
                if let Ok(zoned) = local.and_then(|local| local.to_zoned(zone.clone())) {
                    times.push(zoned.timestamp());
                }
            }
        }
        times.sort_unstable();
        times
    }
}

/// Parses a field. `names[0]` is a name for the number `first`.
fn parse_field(text: &str, low: u32, high: u32, names: &[&str], first: u32) -> Result<Field, CronError> {
    let error = || CronError::Field {
        field: text.to_owned(),
        low,
        high,
    };
    let number = |word: &str| {
        let name = names.iter().position(|n| n.eq_ignore_ascii_case(word));
        let number = match name {
            Some(at) => u32::try_from(at).ok()? + first,
            None => word.parse().ok()?,
        };
        (low..=high).contains(&number).then_some(number)
    };
    let mut bits = 0_u64;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (
                range,
                step.parse::<u32>().ok().filter(|s| *s > 0).ok_or_else(error)?,
            ),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((from, to)) => (number(from).ok_or_else(error)?, number(to).ok_or_else(error)?),
            None => {
                let from = number(range).ok_or_else(error)?;
                // `5/15` means every 15, starting at 5.
                (from, if part.contains('/') { high } else { from })
            }
        };
        if from > to {
            return Err(error());
        }
        for n in (from..=to).step_by(step as usize) {
            bits |= 1 << n;
        }
    }
    Ok(Field {
        bits,
        star: text.starts_with('*'),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}|([0-9*/,a-z-]{0,6} ){4}[0-9*/,a-z-]{0,6}") {
            if let Ok(cron) = Cron::parse(&text) {
                let now = Timestamp::UNIX_EPOCH;
                prop_assert!(cron.next(&TimeZone::UTC, now).is_none_or(|at| at > now));
                prop_assert!(cron.last(&TimeZone::UTC, now).is_none_or(|at| at <= now));
            }
        }

        #[test]
        fn a_daily_time_is_within_a_day(minute in 0_i64..60, hour in 0_i64..24, since in 0_i64..2_000_000_000) {
            let cron = Cron::parse(&format!("{minute} {hour} * * *")).unwrap();
            let now = Timestamp::from_second(since).unwrap();
            let at = cron.next(&TimeZone::UTC, now).unwrap().as_second();
            prop_assert!(at > since && at - since <= 86_400);
            prop_assert_eq!(at % 86_400, hour * 3_600 + minute * 60);
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn next_and_last_follow_the_time_zone() {
        let table = [
            (
                "50 8 * * 1-5",
                "Europe/Berlin",
                "2026-11-20T12:00:00Z",
                "2026-11-20T07:50:00Z",
                "2026-11-23T07:50:00Z",
            ),
            (
                "*/15 * * * *",
                "UTC",
                "2026-01-01T00:07:00Z",
                "2026-01-01T00:00:00Z",
                "2026-01-01T00:15:00Z",
            ),
            (
                "0 9 1 * *",
                "UTC",
                "2026-01-15T00:00:00Z",
                "2026-01-01T09:00:00Z",
                "2026-02-01T09:00:00Z",
            ),
            (
                "0 0 29 2 *",
                "UTC",
                "2026-01-15T00:00:00Z",
                "2024-02-29T00:00:00Z",
                "2028-02-29T00:00:00Z",
            ),
            (
                "0 0 13 * fri",
                "UTC",
                "2026-01-02T00:00:00Z",
                "2026-01-02T00:00:00Z",
                "2026-01-09T00:00:00Z",
            ),
            (
                "0 12 * jan,JUL sun",
                "UTC",
                "2026-02-01T00:00:00Z",
                "2026-01-25T12:00:00Z",
                "2026-07-05T12:00:00Z",
            ),
            (
                "0 12 * * 7",
                "UTC",
                "2026-11-22T11:00:00Z",
                "2026-11-15T12:00:00Z",
                "2026-11-22T12:00:00Z",
            ),
        ];
        for (text, zone, now, last, next) in table {
            let (cron, zone) = (Cron::parse(text).unwrap(), TimeZone::get(zone).unwrap());
            assert_eq!(cron.last(&zone, at(now)), Some(at(last)), "{text} last");
            assert_eq!(cron.next(&zone, at(now)), Some(at(next)), "{text} next");
        }
    }

    #[test]
    fn a_time_in_a_gap_moves_after_the_gap() {
        let (cron, zone) = (
            Cron::parse("30 2 * * *").unwrap(),
            TimeZone::get("Europe/Berlin").unwrap(),
        );
        let next = cron.next(&zone, at("2026-03-28T23:00:00Z"));
        assert_eq!(next, Some(at("2026-03-29T01:30:00Z")));
    }

    #[test]
    fn invalid_expressions_are_rejected() {
        for text in [
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "5-1 * * * *",
            "*/0 * * * *",
            "x * * * *",
        ] {
            assert!(Cron::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_impossible_date_has_no_times() {
        let cron = Cron::parse("0 0 31 2 *").unwrap();
        assert_eq!(cron.next(&TimeZone::UTC, at("2026-01-01T00:00:00Z")), None);
        assert_eq!(cron.last(&TimeZone::UTC, at("2026-01-01T00:00:00Z")), None);
    }
}
