//! The course after earlier days that resemble the last one: nearest neighbours by shape and level (the analogue method,
//! Lorenz 1969).

use super::{DAY, HORIZON, Steps};

/// The weight of a day's level relative to its shape when days are compared.
const LEVEL_WEIGHT: f64 = 0.3;

/// Mean course after earlier windows of `window` hours at the same time of day, each weighted by
/// exp(−`sharpness` × (its distance ÷ that of the nearest − 1)), shifted to the current level.
pub fn forecast(history: &[f64], window: usize, sharpness: f64) -> Steps {
    let n = history.len();
    let level = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let now = &history[n - window..];
    let now_level = level(now);
    let ends = (1..)
        .map(|days| n.saturating_sub(days * DAY))
        .take_while(|end| *end >= window);
    let windows: Vec<(usize, f64, f64)> = ends
        .map(|end| {
            let then = &history[end - window..end];
            let then_level = level(then);
            let squares = then
                .iter()
                .zip(now)
                .map(|(a, b)| (a - then_level - b + now_level).powi(2));
            let shape = (squares.sum::<f64>() / window as f64).sqrt();
            (
                end,
                then_level,
                shape + LEVEL_WEIGHT * (then_level - now_level).abs(),
            )
        })
        .collect();
    let nearest = windows
        .iter()
        .map(|w| w.2)
        .fold(f64::INFINITY, f64::min)
        .max(1e-9);
    let weighted: Vec<(usize, f64, f64)> = windows
        .into_iter()
        .map(|(end, level, distance)| {
            (
                end,
                level,
                (-sharpness * (distance / nearest - 1.0)).exp().max(1e-12),
            )
        })
        .collect();
    let mut steps = [0.0; HORIZON];
    for (step, value) in steps.iter_mut().enumerate() {
        let known = weighted.iter().filter(|(end, ..)| end + step < n);
        let (sum, weights) = known.fold((0.0, 0.0), |(sum, weights), (end, level, weight)| {
            (sum + weight * (history[end + step] - level), weights + weight)
        });
        *value = if weights > 0.0 {
            now_level + sum / weights
        } else {
            history[n - DAY + step % DAY]
        };
    }
    steps
}
