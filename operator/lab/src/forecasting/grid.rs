//! Turns samples at any spacing into means over bins of one width, and stores them.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::limits::{
    BIN_SECONDS_MAX, BIN_SECONDS_MIN, CARRY_BINS, DAY_SECONDS, HISTORY_DAYS, HOUR_SECONDS,
    LATE_SAMPLES_COUNT_MAX, RECENT_BINS, SLOT_SECONDS, VALUE_MAX,
};
use poker_operator_core::scale::base64_floats;

/// A bin, and a slot, without a value.
const NO_BIN: f32 = -1.0;
const NO_SLOT: u16 = u16::MAX;

/// The last hours bin by bin, and the last weeks in slots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    bin_seconds: i64,
    bins_per_slot: i64,
    /// Number of the bin after the last pushed one.
    end: i64,
    open: Option<Open>,
    /// Samples in a row from before the open bin.
    late: u32,
    /// Means of the bins before the open one, latest last.
    #[serde(with = "base64_floats")]
    recent: VecDeque<f32>,
    /// Means of whole slots, latest last, [`encode`]d.
    #[serde(with = "base64_floats")]
    slots: VecDeque<u16>,
}

/// The bin that is being filled, numbered since the epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Open {
    bin: i64,
    #[serde(with = "base64_floats::bits")]
    sum: f64,
    count: u32,
}

/// What follows the known bins: one with this mean and a gap after it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Closed {
    mean: f32,
    gap: i64,
}

impl Closed {
    /// The means in the order of time; a short gap is bridged by the value before it.
    pub fn bins(self) -> impl Iterator<Item = f32> {
        let carried = if self.gap <= CARRY_BINS { self.mean } else { NO_BIN };
        std::iter::once(self.mean).chain((0..self.gap).map(move |_| carried))
    }
}

fn bins_per_slot(bin_seconds: i64) -> i64 {
    (SLOT_SECONDS / bin_seconds).max(1)
}

impl Grid {
    /// For samples about every `step` seconds: the narrowest bins that hold one and join to slots of five minutes, or,
    /// where they are longer, to whole hours.
    pub fn for_step(step: i64) -> Self {
        let step = step.clamp(BIN_SECONDS_MIN, BIN_SECONDS_MAX);
        let joins = |bin: &i64| SLOT_SECONDS % bin == 0 || *bin > SLOT_SECONDS && HOUR_SECONDS % bin == 0;
        Grid::new((step..HOUR_SECONDS).find(joins).unwrap_or(HOUR_SECONDS))
    }

    fn new(bin_seconds: i64) -> Self {
        Grid {
            bin_seconds,
            bins_per_slot: bins_per_slot(bin_seconds),
            end: 0,
            open: None,
            late: 0,
            recent: VecDeque::new(),
            slots: VecDeque::new(),
        }
    }

    /// Whether it started, or restarted, and no bin is complete yet.
    pub fn is_new(&self) -> bool {
        self.recent.is_empty()
    }

    pub fn bin_seconds(&self) -> i64 {
        self.bin_seconds
    }

    pub fn bins_per_slot(&self) -> usize {
        self.bins_per_slot as usize
    }

    pub fn slot_seconds(&self) -> i64 {
        self.bin_seconds * self.bins_per_slot
    }

    /// Takes a sample and returns the bins that it closes, to be pushed one after the other. Values that are not finite,
    /// or negative (the rate of a counter that was reset), are dropped. A sample older than the open bin is dropped too,
    /// until there are so many that the clock must have been set back. Then, and after a gap longer than the history,
    /// the grid restarts.
    pub fn observe(&mut self, at: Timestamp, value: f64) -> Option<Closed> {
        if !value.is_finite() || value < 0.0 {
            return None;
        }
        let bin = at.as_second().div_euclid(self.bin_seconds);
        let mut fresh = Open {
            bin,
            sum: value.min(VALUE_MAX),
            count: 1,
        };
        let Some(open) = &mut self.open else {
            *self = Grid {
                open: Some(fresh),
                end: bin,
                ..Grid::new(self.bin_seconds)
            };
            return None;
        };
        self.late = if bin < open.bin { self.late + 1 } else { 0 };
        let gap = bin - open.bin - 1;
        if self.late > LATE_SAMPLES_COUNT_MAX || gap > HISTORY_DAYS * DAY_SECONDS / self.bin_seconds {
            *self = Grid {
                open: Some(fresh),
                end: bin,
                ..Grid::new(self.bin_seconds)
            };
            return None;
        }
        if bin > open.bin {
            std::mem::swap(open, &mut fresh);
            let mean = (fresh.sum / f64::from(fresh.count)) as f32;
            return Some(Closed { mean, gap });
        }
        if bin == open.bin {
            open.sum += fresh.sum;
            open.count = open.count.saturating_add(1);
        }
        None
    }
    /// Closes the bin that is being filled.
    pub fn close(&mut self) -> Option<Closed> {
        let open = self.open.take()?;
        let mean = (open.sum / f64::from(open.count)) as f32;
        Some(Closed { mean, gap: 0 })
    }

    /// Appends the mean of the next bin; true when that completes a slot.
    pub fn push(&mut self, mean: f32) -> bool {
        if self.recent.len() == RECENT_BINS {
            self.recent.pop_front();
        }
        self.recent.push_back(mean);
        self.end += 1;
        if self.end % self.bins_per_slot != 0 {
            return false;
        }
        if self.slots.len() as i64 == HISTORY_DAYS * DAY_SECONDS / self.slot_seconds() {
            self.slots.pop_front();
        }
        let mean = self.mean(0, self.bins_per_slot());
        self.slots.push_back(mean.map_or(NO_SLOT, encode));
        true
    }

    /// The bin `back` before the last one.
    pub fn bin(&self, back: usize) -> Option<f64> {
        self.bins(back).next().flatten()
    }

    /// The bins from the one `back` before the last one backwards in time.
    pub fn bins(&self, back: usize) -> impl Iterator<Item = Option<f64>> {
        let known = |mean: &f32| (*mean != NO_BIN).then_some(f64::from(*mean));
        self.recent.iter().rev().skip(back).map(known)
    }

    /// Mean of the known bins among `count` bins that end `back` before the last one.
    pub fn mean(&self, back: usize, count: usize) -> Option<f64> {
        average(self.bins(back).take(count))
    }

    /// Middle of the bin `back` before the last one, in seconds since the epoch.
    pub fn second(&self, back: usize) -> i64 {
        (self.end - 1 - back as i64) * self.bin_seconds + self.bin_seconds / 2
    }

    /// Mean of the slot that holds `second` since the epoch.
    pub fn slot(&self, second: i64) -> Option<f64> {
        let last = self.end.div_euclid(self.bins_per_slot) - 1;
        let back = usize::try_from(last - second.div_euclid(self.slot_seconds())).ok()?;
        decode(*self.slots.get(self.slots.len().checked_sub(back + 1)?)?)
    }

    /// Hourly means from the first known one on, latest last. A missing hour has the value of the day before, or else of
    /// the hour before.
    pub fn hours(&self) -> Vec<f64> {
        let count = usize::try_from(HOUR_SECONDS / self.slot_seconds())
            .unwrap_or(1)
            .max(1);
        let first = self.slots.len() % count;
        let slots: Vec<Option<f64>> = self.slots.range(first..).map(|code| decode(*code)).collect();
        let mut hours: Vec<f64> = Vec::with_capacity(slots.len() / count);
        for hour in slots.chunks(count) {
            let before = hours
                .len()
                .checked_sub(24)
                .and_then(|i| hours.get(i))
                .or(hours.last());
            if let Some(mean) = average(hour.iter().copied()).or(before.copied()) {
                hours.push(mean);
            }
        }
        hours
    }
}

fn average(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (sum, count) = values
        .flatten()
        .fold((0.0, 0u32), |(sum, count), v| (sum + v, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// A value ≥ 0 in 16 bits, as exact as one part in 512: the upper half of a float without its sign.
fn encode(value: f64) -> u16 {
    (((value as f32).to_bits() + (1 << 14)) >> 15) as u16
}

fn decode(code: u16) -> Option<f64> {
    (code != NO_SLOT).then(|| f64::from(f32::from_bits(u32::from(code) << 15)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(grid: &mut Grid, samples: &[(i64, f64)]) {
        for (second, value) in samples {
            if let Some(closed) = grid.observe(Timestamp::from_second(*second).unwrap(), *value) {
                closed.bins().for_each(|mean| {
                    grid.push(mean);
                });
            }
        }
    }

    fn bins(grid: &Grid) -> Vec<Option<f64>> {
        let mut bins: Vec<_> = grid.bins(0).collect();
        bins.reverse();
        bins
    }

    #[test]
    fn samples_of_a_bin_are_averaged_and_short_gaps_bridged() {
        let mut grid = Grid::new(60);
        feed(
            &mut grid,
            &[
                (0, 1.0),
                (59, 3.0),
                (60, 5.0),
                (240, 7.0),
                (60 * 20, 9.0),
                (60 * 21, 1.0),
            ],
        );
        let mut expected = vec![Some(2.0), Some(5.0), Some(5.0), Some(5.0), Some(7.0)];
        expected.extend(vec![None; 15]);
        expected.push(Some(9.0));
        assert_eq!(bins(&grid), expected);
        assert_eq!(grid.second(0), 20 * 60 + 30);
    }

    #[test]
    fn slots_are_found_by_time() {
        let mut grid = Grid::new(60);
        feed(
            &mut grid,
            &(0..=60).map(|i| (60 * i, (i / 5) as f64)).collect::<Vec<_>>(),
        );
        assert_eq!((grid.slot(17 * 60), grid.slot(15 * 60)), (Some(3.0), Some(3.0)));
        assert_eq!((grid.slot(-600), grid.slot(90 * 60)), (None, None));
        assert_eq!(grid.hours(), [5.5]);
    }

    #[test]
    fn invalid_samples_are_dropped() {
        let mut grid = Grid::new(60);
        feed(
            &mut grid,
            &[
                (0, 1.0),
                (5, f64::NAN),
                (6, -1.0),
                (7, f64::INFINITY),
                (60, 2.0),
                (30, 100.0),
                (120, 3.0),
            ],
        );
        assert_eq!(bins(&grid), [Some(1.0), Some(2.0)]);
    }

    #[test]
    fn a_clock_that_was_set_back_restarts_the_grid() {
        let mut grid = Grid::new(60);
        feed(&mut grid, &[(1 << 37, 1.0)]);
        feed(&mut grid, &(0..200).map(|i| (60 * i, 2.0)).collect::<Vec<_>>());
        assert_eq!(grid.bin(0), Some(2.0));
        assert!(grid.recent.len() < 100);
    }

    #[test]
    fn sixteen_bits_are_exact_enough() {
        for value in [0.0, 1e-30, 0.1, 1.0, 123.456, 9e9, VALUE_MAX] {
            let error = (decode(encode(value)).unwrap() - value).abs();
            assert!(error <= value / 500.0, "{value} is off by {error}");
        }
    }
}
