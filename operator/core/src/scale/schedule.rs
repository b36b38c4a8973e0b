//! Schedules: times with a higher minimum of replicas.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use poker_operator_api::autoscaling::Schedule;

use super::cron::{Cron, CronError};

/// The minimum that the schedules require now, and when it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scheduled {
    /// The active schedule with the largest minimum: its name and its minimum.
    pub minimum: Option<(String, i32)>,
    /// The next start or end of any schedule.
    pub changes_at: Option<Timestamp>,
}

/// Checks a schedule's expression and time zone.
///
/// # Errors
/// The first of them that is invalid, and what would be valid.
pub fn check(schedule: &Schedule) -> Result<(), CronError> {
    parse(schedule).map(|_| ())
}

/// Evaluates the schedules. Skips invalid ones; validation rejects them before any decision.
pub fn at(schedules: &[Schedule], now: Timestamp) -> Scheduled {
    let mut scheduled = Scheduled::default();
    for schedule in schedules {
        let Ok((cron, zone)) = parse(schedule) else {
            continue;
        };
        let duration = SignedDuration::from_mins(i64::from(schedule.duration_minutes));
        let began = cron
            .last(&zone, now)
            .filter(|began| now.duration_since(*began) < duration);
        if let Some(began) = began {
            let larger = scheduled
                .minimum
                .as_ref()
                .is_none_or(|(_, min)| schedule.min_replicas > *min);
            if larger {
                scheduled.minimum = Some((schedule.name.clone(), schedule.min_replicas));
            }
            scheduled.record_change(began.checked_add(duration).ok());
        }
        scheduled.record_change(cron.next(&zone, now));
    }
    scheduled
}

impl Scheduled {
    fn record_change(&mut self, change: Option<Timestamp>) {
        self.changes_at = [self.changes_at, change].into_iter().flatten().min();
    }
}

fn parse(schedule: &Schedule) -> Result<(Cron, TimeZone), CronError> {
    let zone =
        TimeZone::get(&schedule.time_zone).map_err(|_| CronError::TimeZone(schedule.time_zone.clone()))?;
    Ok((Cron::parse(&schedule.cron)?, zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(name: &str, cron: &str, minutes: i32, min: i32) -> Schedule {
        Schedule {
            name: name.to_owned(),
            cron: cron.to_owned(),
            duration_minutes: minutes,
            time_zone: "Europe/Berlin".to_owned(),
            min_replicas: min,
        }
    }

    #[test]
    fn the_active_schedule_with_the_largest_minimum_counts_until_its_end() {
        let schedules = [
            schedule("daily", "50 8 * * 1-5", 30, 4),
            schedule("planning", "0 9 * * mon", 120, 8),
        ];
        // Monday; Berlin is one hour ahead of UTC in November.
        let table = [
            ("2026-11-23T07:49:59Z", None, "2026-11-23T07:50:00Z"),
            ("2026-11-23T07:50:00Z", Some(("daily", 4)), "2026-11-23T08:00:00Z"),
            (
                "2026-11-23T08:10:00Z",
                Some(("planning", 8)),
                "2026-11-23T08:20:00Z",
            ),
            (
                "2026-11-23T08:30:00Z",
                Some(("planning", 8)),
                "2026-11-23T10:00:00Z",
            ),
            ("2026-11-23T10:00:00Z", None, "2026-11-24T07:50:00Z"),
        ];
        for (now, minimum, changes_at) in table {
            let scheduled = at(&schedules, now.parse().unwrap());
            assert_eq!(
                scheduled.minimum,
                minimum.map(|(n, m)| (n.to_owned(), m)),
                "{now}"
            );
            assert_eq!(scheduled.changes_at, Some(changes_at.parse().unwrap()), "{now}");
        }
    }

    #[test]
    fn an_unknown_time_zone_is_rejected_by_name() {
        let mut unknown = schedule("daily", "50 8 * * 1-5", 30, 4);
        unknown.time_zone = "Mars/Olympus".to_owned();
        assert!(check(&unknown).unwrap_err().to_string().contains("Mars/Olympus"));
        assert_eq!(
            at(&[unknown], "2026-11-23T08:00:00Z".parse().unwrap()),
            Scheduled::default()
        );
    }
}
