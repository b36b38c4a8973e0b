//! The largest of the recent values, without keeping all of them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::memory::TimedValue;

/// Recent values, each larger than all later ones. The others cannot be the largest any more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Peaks(Vec<TimedValue>);

impl Peaks {
    pub fn push(&mut self, value: f64, at: Timestamp) {
        let kept = self.0.partition_point(|peak| peak.value > value);
        self.0.truncate(kept);
        self.0.push(TimedValue { value, at });
    }

    pub fn forget_before(&mut self, at: Timestamp) {
        self.0.retain(|peak| peak.at > at);
    }

    pub fn largest(&self) -> Option<f64> {
        Some(self.0.first()?.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_recent_value_is_kept() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut peaks = Peaks::default();
        for (second, value) in [(0, 5.0), (1, 9.0), (2, 4.0), (3, 6.0), (4, 6.0)] {
            peaks.push(value, at(second));
        }
        assert_eq!((peaks.largest(), peaks.0.len()), (Some(9.0), 2));
        peaks.forget_before(at(1));
        assert_eq!(peaks.largest(), Some(6.0));
        peaks.forget_before(at(4));
        assert_eq!(peaks.largest(), None);
    }
}
