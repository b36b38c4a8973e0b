//! The highest memory use of each of the last days.
//!
//! The vertical pod autoscaler puts these peaks into buckets; eight of them are so few that they are kept as
//! they are, which saves the up to 5 % (below 100 MB far more) by which a bucket's end is above its values.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::limits::{
    HALF_LIFE_SECONDS, OOM_BUMP_BYTES, OOM_BUMP_RATIO, PEAK_INTERVAL_SECONDS, PEAKS_COUNT_MAX,
};

const INTERVAL: SignedDuration = SignedDuration::from_secs(PEAK_INTERVAL_SECONDS);

/// One interval, in whole bytes: fractions do not survive being written as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Peak {
    end: Timestamp,
    used: f64,
    /// What would have been needed where it ran out of memory; zero where it did not.
    needed: f64,
}

/// Oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Peaks(Vec<Peak>);

impl Peaks {
    pub fn record(&mut self, bytes: f64, at: Timestamp) {
        if let Some(peak) = self.peak(at) {
            peak.used = peak.used.max(bytes.ceil());
        }
    }

    /// Killed at this limit. What was needed is a guess from what was used, never from an earlier guess: a
    /// series of kills must not run away. A report that comes late counts for its own day.
    pub fn record_out_of_memory(&mut self, limit: f64, at: Timestamp) {
        let seen = self.0.iter().rev().find(|peak| peak.end - INTERVAL <= at);
        let used = seen.map_or(limit, |peak| peak.used.max(limit));
        if let Some(peak) = self.peak(at) {
            let needed = (used + OOM_BUMP_BYTES).max(used * OOM_BUMP_RATIO);
            peak.needed = peak.needed.max(needed.ceil());
        }
    }

    /// The peak of the interval that holds this time; `None` before the first interval that is kept.
    fn peak(&mut self, at: Timestamp) -> Option<&mut Peak> {
        let end = match self.0.last() {
            None => at + INTERVAL,
            Some(last) => {
                let behind = at.duration_since(last.end).as_secs();
                let intervals = behind.div_euclid(PEAK_INTERVAL_SECONDS) + 1;
                if intervals <= -(PEAKS_COUNT_MAX as i64) {
                    return None;
                }
                last.end + SignedDuration::from_secs(intervals * PEAK_INTERVAL_SECONDS)
            }
        };
        if let Err(place) = self.0.binary_search_by_key(&end, |peak| peak.end) {
            let (used, needed) = (0.0, 0.0);
            self.0.insert(place, Peak { end, used, needed });
            let oldest = self.0.last()?.end - INTERVAL * PEAKS_COUNT_MAX as i32;
            self.0.retain(|peak| peak.end > oldest);
        }
        self.0.iter_mut().find(|peak| peak.end == end)
    }

    /// The peak below which this share of the weight lies; a peak weighs half of the next day's.
    pub fn percentile(&self, share: f64) -> Option<f64> {
        let newest = self.0.last()?.end;
        let weigh = |peak: &Peak| {
            let age = newest.duration_since(peak.end).as_secs_f64();
            (peak.used.max(peak.needed), (-age / HALF_LIFE_SECONDS).exp2())
        };
        let mut peaks: Vec<(f64, f64)> = self.0.iter().map(weigh).collect();
        peaks.sort_by(|a, b| a.0.total_cmp(&b.0));
        let threshold = share * peaks.iter().map(|(_, weight)| weight).sum::<f64>();
        let mut sum = 0.0;
        let reached = peaks.iter().find(|(_, weight)| {
            sum += weight;
            sum >= threshold
        });
        reached.or(peaks.last()).map(|(bytes, _)| *bytes)
    }

    /// What the present interval is known to need because it ran out of memory; zero where it did not.
    pub fn needed(&self) -> f64 {
        self.0.last().map_or(0.0, |peak| peak.needed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: f64 = 1024.0 * 1024.0;

    fn hour(n: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(n)
    }

    fn highest(peaks: &Peaks) -> f64 {
        peaks.percentile(1.0).unwrap() / MB
    }

    #[test]
    fn an_interval_has_one_peak() {
        let mut peaks = Peaks::default();
        for (at, bytes) in [(0, 5.0), (12, 10.0), (24, 2.0)] {
            peaks.record(bytes, hour(at));
        }
        let kept: Vec<(Timestamp, f64)> = peaks.0.iter().map(|peak| (peak.end, peak.used)).collect();
        assert_eq!(kept, [(hour(24), 10.0), (hour(48), 2.0)]);
    }

    /// The vertical autoscaler's known values: `(used, limit at the kill) -> peak`, in MiB.
    #[test]
    fn out_of_memory_is_the_known_bump() {
        let table = [
            (None, 1000.0, 1200.0),
            (None, 1.0, 101.0),
            (Some(3000.0), 1000.0, 3600.0),
        ];
        for (used, limit, peak) in table {
            let mut peaks = Peaks::default();
            if let Some(used) = used {
                peaks.record(used * MB, hour(0));
            }
            peaks.record_out_of_memory(limit * MB, hour(0));
            assert_eq!(highest(&peaks), peak, "{used:?} {limit}");
        }
    }

    #[test]
    fn repeated_kills_do_not_run_away() {
        let mut peaks = Peaks::default();
        for (limit, peak) in [
            (1000.0, 1200.0),
            (999.0, 1200.0),
            (999.0, 1200.0),
            (2000.0, 2400.0),
        ] {
            peaks.record_out_of_memory(limit * MB, hour(0));
            assert_eq!(highest(&peaks), peak);
        }
    }

    #[test]
    fn a_kill_in_a_new_interval_knows_what_was_used_before() {
        let mut peaks = Peaks::default();
        peaks.record(2000.0 * MB, hour(0));
        peaks.record_out_of_memory(1000.0 * MB, hour(48));
        assert_eq!(peaks.needed(), 2400.0 * MB);
    }

    #[test]
    fn a_late_report_counts_for_its_day_and_a_very_late_one_not() {
        let mut peaks = Peaks::default();
        peaks.record(1000.0 * MB, hour(0));
        peaks.record_out_of_memory(1000.0 * MB, hour(-30));
        assert_eq!((highest(&peaks), peaks.needed()), (1200.0, 0.0));
        assert_eq!(peaks.percentile(0.5), Some(1000.0 * MB));
        peaks.record_out_of_memory(9000.0 * MB, hour(-8 * 24));
        assert_eq!(highest(&peaks), 1200.0);
    }

    #[test]
    fn eight_intervals_are_kept() {
        let mut peaks = Peaks::default();
        (0..30).for_each(|day| peaks.record(f64::from(100 - day), hour(24 * i64::from(day))));
        assert_eq!(peaks.0.len(), PEAKS_COUNT_MAX);
        assert_eq!(peaks.percentile(1.0), Some(78.0));
        peaks.record(1.0, hour(24 * 60));
        assert_eq!(peaks.0.len(), 1);
    }

    /// Weights of the last three days: 1, 1/2, 1/4.
    #[test]
    fn yesterday_weighs_half() {
        let mut peaks = Peaks::default();
        for (day, bytes) in [(0, 30.0), (1, 20.0), (2, 10.0)] {
            peaks.record(bytes, hour(24 * day));
        }
        for (share, bytes) in [(0.5, 10.0), (0.6, 20.0), (0.85, 20.0), (0.9, 30.0)] {
            assert_eq!(peaks.percentile(share), Some(bytes), "{share}");
        }
    }
}
