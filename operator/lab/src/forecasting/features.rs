//! The features of the forecast of minutes: the current level relative to the last hours, and the course of the load at
//! the same time on previous days and weeks.

use super::grid::Grid;
use super::limits::DAY_SECONDS;

/// Days before whose course from now to the horizon is a feature, and those whose level is.
const COURSE_DAYS: [i64; 5] = [1, 2, 3, 7, 14];
const LEVEL_DAYS: [i64; 3] = [1, 7, 14];
const WINDOWS_MINUTES: [i64; 4] = [10, 30, 60, 180];
/// Number of features.
pub const COUNT: usize = 2 + WINDOWS_MINUTES.len() + COURSE_DAYS.len() + LEVEL_DAYS.len() + 4;

/// The logarithm on which the load is modelled. `floor`, a fraction of the mean load, keeps times of low load from
/// looking volatile.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub floor: f64,
}

impl Scale {
    pub fn log(self, value: f64) -> f64 {
        (value + self.floor).ln()
    }

    pub fn value(self, log: f64) -> f64 {
        (log.exp() - self.floor).max(0.0)
    }
}

/// The view of the load `back` bins before the last one.
#[derive(Clone, Copy, Debug)]
pub struct Features {
    /// The level of the last bins, on the logarithmic scale.
    pub level: f64,
    /// On the logarithmic scale and relative to the level. Unknown features are 0, so that a model without any predicts
    /// the level.
    pub values: [f64; COUNT],
}

/// The level: three bins, or one when bins are coarse.
fn level_bins(grid: &Grid) -> usize {
    if grid.bin_seconds() > 300 { 1 } else { 3 }
}

/// Features for a forecast `horizon` bins ahead of the bin `back` before the last one; `None` if the level is unknown.
pub fn features(grid: &Grid, scale: Scale, back: usize, horizon: usize) -> Option<Features> {
    let (level, windows) = recent_logs(grid, scale, back)?;
    let mut values = [0.0; COUNT];
    let mut slots = values.iter_mut();
    let mut put = |value: Option<f64>| {
        if let (Some(slot), Some(value)) = (slots.next(), value) {
            *slot = value;
        }
    };
    put(Some(1.0));
    put(grid.bin(back).map(|last| scale.log(last) - level));
    for mean in windows {
        put(mean.map(|mean| level - mean));
    }
    let now = grid.second(back);
    let ahead = horizon as i64 * grid.bin_seconds();
    // Not smoothed: scheduled load comes in the same minutes each day.
    let load = |second: i64| grid.slot(second).map(|mean| scale.log(mean));
    for day in COURSE_DAYS.map(|days| days * DAY_SECONDS) {
        let then = load(now - day);
        put(load(now + ahead - day)
            .zip(then)
            .map(|(later, then)| later - then));
    }
    for day in LEVEL_DAYS.map(|days| days * DAY_SECONDS) {
        put(load(now - day).map(|then| level - then));
    }
    let turn = now.rem_euclid(DAY_SECONDS) as f64 / DAY_SECONDS as f64 * std::f64::consts::TAU;
    // Scaled to the size of the other features, since one ridge holds for all.
    for wave in [turn.sin(), turn.cos(), (2.0 * turn).sin(), (2.0 * turn).cos()] {
        put(Some(0.3 * wave));
    }
    Some(Features { level, values })
}

/// Means of the logarithms over the level's bins and over the longer windows, in one pass.
fn recent_logs(
    grid: &Grid,
    scale: Scale,
    back: usize,
) -> Option<(f64, [Option<f64>; WINDOWS_MINUTES.len()])> {
    let shortest = level_bins(grid);
    let counts = WINDOWS_MINUTES.map(|minutes| (minutes * 60 / grid.bin_seconds()) as usize);
    // Four values share a logarithm; taken relative to one of them, their product stays finite.
    let unit = grid.bins(back).take(shortest).flatten().next()? + scale.floor;
    let (mut sum, mut known) = (0.0, 0u32);
    let (mut product, mut factors) = (1.0_f64, 0);
    let mut level = None;
    let mut means = [None; WINDOWS_MINUTES.len()];
    let longest = counts.into_iter().fold(shortest, usize::max);
    for (i, value) in grid.bins(back).take(longest).enumerate() {
        if let Some(value) = value {
            product *= (value + scale.floor) / unit;
            factors += 1;
            known += 1;
        }
        let ends = i + 1 == shortest || counts.contains(&(i + 1));
        if factors == 4 || ends {
            sum += product.max(f64::MIN_POSITIVE).ln();
            (product, factors) = (1.0, 0);
        }
        if !ends {
            continue;
        }
        let mean = (known > 0).then(|| unit.ln() + sum / f64::from(known));
        if i + 1 == shortest {
            level = mean;
        }
        for (slot, count) in means.iter_mut().zip(counts) {
            if i + 1 == count && count > shortest {
                *slot = mean;
            }
        }
    }
    level.map(|level| (level, means))
}
