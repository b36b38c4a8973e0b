//! Faults that are injected into a series before it is judged.

use jiff::{SignedDuration, Timestamp};

type Point = (Timestamp, f64);

/// A fault of a series. Values that the forecaster does not see still count as outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// One sample in ten is lost.
    Gaps,
    /// Two hours are lost in the middle of the second half.
    TwoHours,
    /// Ten times the load for ten minutes in the middle of the second half.
    Spike,
    /// Twice the load from the middle of the second half on.
    Shift,
    /// Only the last three days are known.
    ThreeDays,
}

impl Fault {
    pub const ALL: [Fault; 6] = [
        Fault::None,
        Fault::Gaps,
        Fault::TwoHours,
        Fault::Spike,
        Fault::Shift,
        Fault::ThreeDays,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Fault::None => "none",
            Fault::Gaps => "gaps 10 %",
            Fault::TwoHours => "gap 2 h",
            Fault::Spike => "spike x10",
            Fault::Shift => "shift x2",
            Fault::ThreeDays => "history 3 d",
        }
    }

    /// The samples that the forecaster sees, and the outcomes.
    pub fn inject(self, points: &[Point], bin_seconds: i64) -> (Vec<Point>, Vec<Point>) {
        let (Some((first, _)), Some((last, _))) = (points.first(), points.last()) else {
            return (Vec::new(), Vec::new());
        };
        let at = |part: f64| {
            let span = last.duration_since(*first).as_secs_f64();
            first
                .saturating_add(SignedDuration::from_secs((span * part) as i64))
                .unwrap_or(*last)
        };
        let from = at(0.75);
        let within = |time: Timestamp, seconds: i64| {
            time >= from && time.duration_since(from) < SignedDuration::from_secs(seconds)
        };
        let whole = points.to_vec();
        let changed = |factor: f64, seconds: i64| -> Vec<Point> {
            let of = |(at, value): &Point| {
                (
                    *at,
                    if within(*at, seconds) {
                        value * factor
                    } else {
                        *value
                    },
                )
            };
            points.iter().map(of).collect()
        };
        match self {
            Fault::None => (whole.clone(), whole),
            Fault::Gaps => {
                let kept = points
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| !lost(*i))
                    .map(|(_, p)| *p);
                (kept.collect(), whole)
            }
            Fault::TwoHours => (
                points.iter().filter(|p| !within(p.0, 7_200)).copied().collect(),
                whole,
            ),
            Fault::Spike => {
                let spiked = changed(10.0, bin_seconds.max(600));
                (spiked.clone(), spiked)
            }
            Fault::Shift => {
                let shifted = changed(2.0, i64::MAX / 2);
                (shifted.clone(), shifted)
            }
            Fault::ThreeDays => {
                let from = last
                    .saturating_sub(SignedDuration::from_hours(72))
                    .unwrap_or(*first);
                let late: Vec<Point> = points.iter().filter(|p| p.0 >= from).copied().collect();
                (late.clone(), late)
            }
        }
    }
}

/// Pseudo-randomly one in ten (SplitMix64 of the number).
fn lost(index: usize) -> bool {
    let mut z = (index as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)).is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_changes_the_series_as_named() {
        let points: Vec<Point> = (0..14_400)
            .map(|i| (Timestamp::from_second(60 * i).unwrap(), 1.0))
            .collect();
        for fault in Fault::ALL {
            let (seen, true_ones) = fault.inject(&points, 60);
            let sum: f64 = seen.iter().map(|p| p.1).sum();
            let expected = match fault {
                Fault::None => 14_400.0,
                Fault::Gaps => 12_960.0,
                Fault::TwoHours => 14_280.0,
                Fault::Spike => 14_490.0,
                Fault::Shift => 18_000.0,
                Fault::ThreeDays => 4_321.0,
            };
            let slack = if fault == Fault::Gaps { 150.0 } else { 2.0 };
            assert!((sum - expected).abs() <= slack, "{}: {sum}", fault.name());
            assert!(seen.len() <= true_ones.len());
            assert_eq!(fault.inject(&[], 60), (Vec::new(), Vec::new()));
        }
    }
}
