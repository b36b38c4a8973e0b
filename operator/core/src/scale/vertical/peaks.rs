//! The peak memory use of each of the last days.
//!
//! The vertical pod autoscaler puts these peaks into buckets. Eight values need no buckets, and without them the
//! estimate is up to 5 % lower (far more below 100 MB), because the end of a bucket is above its values.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::limits::{
    HALF_LIFE_SECONDS, OOM_BUMP_BYTES, OOM_BUMP_RATIO, PEAK_INTERVAL_SECONDS, PEAKS_COUNT_MAX,
};

const INTERVAL: SignedDuration = SignedDuration::from_secs(PEAK_INTERVAL_SECONDS);

/// The peak of one interval in whole bytes, because fractions do not survive JSON.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Peak {
    end: Timestamp,
    used: f64,
    /// The memory needed after an out-of-memory kill, estimated. Zero without a kill.
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

    /// Records an out-of-memory kill at this limit. The needed memory is estimated from the used memory and never
    /// from an earlier estimate, so that a series of kills does not escalate. A late report counts for its own day.
    pub fn record_out_of_memory(&mut self, limit: f64, at: Timestamp) {
        let seen = self.0.iter().rev().find(|peak| peak.end - INTERVAL <= at);
        let used = seen.map_or(limit, |peak| peak.used.max(limit));
        if let Some(peak) = self.peak(at) {
            let needed = (used + OOM_BUMP_BYTES).max(used * OOM_BUMP_RATIO);
            peak.needed = peak.needed.max(needed.ceil());
        }
    }

    /// The peak of the interval with this time. `None` before the first interval in memory.
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

    /// The peak below which this share of the weight lies. Each peak weighs half as much as the one of the next day.
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

    /// The memory that the current interval needs after an out-of-memory kill. Zero without a kill.
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

    /// Known values of the vertical autoscaler: `(used, limit at the kill) -> peak`, in MiB.
    #[test]
    fn an_out_of_memory_kill_adds_the_known_amount() {
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
    fn repeated_kills_do_not_escalate() {
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
    fn a_kill_in_a_new_interval_uses_the_peak_of_the_last() {
        let mut peaks = Peaks::default();
        peaks.record(2000.0 * MB, hour(0));
        peaks.record_out_of_memory(1000.0 * MB, hour(48));
        assert_eq!(peaks.needed(), 2400.0 * MB);
    }

    #[test]
    fn a_late_report_counts_for_its_day_unless_that_was_dropped() {
        let mut peaks = Peaks::default();
        peaks.record(1000.0 * MB, hour(0));
        peaks.record_out_of_memory(1000.0 * MB, hour(-30));
        assert_eq!((highest(&peaks), peaks.needed()), (1200.0, 0.0));
        assert_eq!(peaks.percentile(0.5), Some(1000.0 * MB));
        peaks.record_out_of_memory(9000.0 * MB, hour(-8 * 24));
        assert_eq!(highest(&peaks), 1200.0);
    }

    #[test]
    fn memory_holds_eight_intervals() {
        let mut peaks = Peaks::default();
        (0..30).for_each(|day| peaks.record(f64::from(100 - day), hour(24 * i64::from(day))));
        assert_eq!(peaks.0.len(), PEAKS_COUNT_MAX);
        assert_eq!(peaks.percentile(1.0), Some(78.0));
        peaks.record(1.0, hour(24 * 60));
        assert_eq!(peaks.0.len(), 1);
    }

    /// Weights of the last three days: 1, 1/2, 1/4.
    #[test]
    fn each_day_halves_the_weight() {
        let mut peaks = Peaks::default();
        for (day, bytes) in [(0, 30.0), (1, 20.0), (2, 10.0)] {
            peaks.record(bytes, hour(24 * day));
        }
        for (share, bytes) in [(0.5, 10.0), (0.6, 20.0), (0.85, 20.0), (0.9, 30.0)] {
            assert_eq!(peaks.percentile(share), Some(bytes), "{share}");
        }
    }
}
