//! One to forty-eight hours ahead, from hourly means: a weighted, trimmed mean of different models, with intervals from
//! a backtest.
//!
//! Every model is fitted twice: without the last week, to forecast that week from several origins (weights and
//! intervals), and with it, to forecast the future. Different models, some of them poor on their own, err in different
//! directions; in validation their combination was better than each of them (as in the M4 competition, Makridakis et al.
//! 2020).

mod analogue;
mod autoregression;
mod combine;
mod profile;

pub use combine::forecast;

/// Steps of a forecast path.
pub const HORIZON: usize = super::limits::HOURS_COUNT_MAX;
pub const DAY: usize = 24;
pub const WEEK: usize = 168;

/// A path of [`HORIZON`] values on the logarithmic scale.
pub type Steps = [f64; HORIZON];

/// The previous day, or week, repeated.
pub fn repeat(history: &[f64], season: usize) -> Steps {
    std::array::from_fn(|step| history[history.len() - season + step % season])
}
