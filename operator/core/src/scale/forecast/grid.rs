//! From samples at any spacing to means over bins of one width.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::limits::{CARRY_BINS, RECENT_BINS, VALUE_MAX};

/// The latest bins and the one that is being filled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    bin_seconds: i64,
    /// Number of the open bin since the epoch, with sum and count of its samples.
    open: Option<(i64, f64, u32)>,
    /// Means of closed bins, the last closed just before the open one; `None` is missing.
    recent: VecDeque<Option<f32>>,
}

impl Grid {
    pub fn new(bin_seconds: i64) -> Self {
        Grid {
            bin_seconds,
            open: None,
            recent: VecDeque::new(),
        }
    }

    pub fn bin_seconds(&self) -> i64 {
        self.bin_seconds
    }

    /// Takes a sample and returns how many bins it closed. What is not finite or negative (the
    /// rate of a counter that was reset) says nothing; a sample older than the open bin is dropped.
    pub fn observe(&mut self, at: Timestamp, value: f64) -> usize {
        if !value.is_finite() || value < 0.0 {
            return 0;
        }
        let value = value.min(VALUE_MAX);
        let bin = at.as_second().div_euclid(self.bin_seconds);
        match &mut self.open {
            Some((open, sum, count)) if *open == bin => {
                *sum += value;
                *count = count.saturating_add(1);
                0
            }
            Some((open, _, _)) if *open > bin => 0,
            Some((open, sum, count)) => {
                let (mean, empty) = (*sum / f64::from(*count), bin - *open - 1);
                self.open = Some((bin, value, 1));
                self.close(mean, usize::try_from(empty).unwrap_or(usize::MAX))
            }
            None => {
                self.open = Some((bin, value, 1));
                0
            }
        }
    }

    /// Closes a bin and the empty ones after it.
    fn close(&mut self, mean: f64, empty: usize) -> usize {
        self.push(Some(mean as f32));
        let carried = (empty <= CARRY_BINS).then_some(mean as f32);
        for _ in 0..empty.min(RECENT_BINS) {
            self.push(carried);
        }
        1 + empty.min(RECENT_BINS)
    }

    fn push(&mut self, mean: Option<f32>) {
        if self.recent.len() == RECENT_BINS {
            self.recent.pop_front();
        }
        self.recent.push_back(mean);
    }

    /// Mean of the last `count` bins that ended `back` bins before the open one; `None` when all
    /// are missing.
    pub fn mean(&self, back: usize, count: usize) -> Option<f64> {
        let known = self.recent.iter().rev().skip(back).take(count).flatten();
        let (sum, n) = known.fold((0.0, 0u32), |(s, n), v| (s + f64::from(*v), n + 1));
        (n > 0).then(|| sum / f64::from(n))
    }
}
