//! One to forty-eight hours ahead, from hourly means: a weighted middle of unlike models, with
//! intervals from how it would have done lately.
//!
//! Every model is fitted twice: without the last week, to forecast that week from several origins
//! (weights and intervals), and with it, to forecast what comes. Unlike models, some of them poor
//! alone, err in different directions; their middle beat each of them in validation (the finding
//! of the M4 competition, Makridakis et al. 2020).

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

/// The day, or week, before again.
pub fn repeat(history: &[f64], season: usize) -> Steps {
    std::array::from_fn(|step| history[history.len() - season + step % season])
}
