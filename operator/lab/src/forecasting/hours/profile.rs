//! The mean week, m(t) = Σ 0.85ᵏ y(t − 168 k) ÷ Σ 0.85ᵏ over its hours (a seasonal exponential mean, as in Winters
//! 1960), and how far the load was from it: ŷ(t + h) = m(t + h) + 0.9 · (D + 0.97ʰ · (d − D)), D the mean deviation of
//! the last two days and d that of the last three hours, the newest first.

use super::{HORIZON, Steps, WEEK};

/// The weight of a week relative to the one after it, the fading of a deviation per hour, and the share of a deviation
/// that is applied.
const WEEK_KEEPS: f64 = 0.85;
const HOUR_KEEPS: f64 = 0.97;
const BELIEF: f64 = 0.9;
const DEVIATION_HOURS: usize = 48;

/// `None` for less than a week and two days.
pub fn forecast(history: &[f64]) -> Steps {
    let n = history.len();
    let mean_week = |hour: usize| {
        let weeks = (1..)
            .map(|k| hour.wrapping_sub(k * WEEK))
            .take_while(|t| *t <= hour)
            .filter(|t| *t < n);
        let (sum, weights, _) = weeks.fold((0.0, 0.0, 1.0), |(sum, weights, weight), t| {
            (sum + weight * history[t], weights + weight, weight * WEEK_KEEPS)
        });
        if weights > 0.0 {
            sum / weights
        } else {
            history[n - 1]
        }
    };
    let deviation = |hour: usize| history[hour] - mean_week(hour);
    let lasting = (n - DEVIATION_HOURS..n).map(deviation).sum::<f64>() / DEVIATION_HOURS as f64;
    let passing = 0.6 * deviation(n - 1) + 0.3 * deviation(n - 2) + 0.1 * deviation(n - 3) - lasting;
    let mut steps = [0.0; HORIZON];
    let mut fading = 1.0;
    for (step, value) in steps.iter_mut().enumerate() {
        fading *= HOUR_KEEPS;
        *value = mean_week(n + step) + BELIEF * (lasting + fading * passing);
    }
    steps
}
