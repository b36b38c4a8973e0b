//! Canary, blue-green, rolling and A/B rollouts, with the team as the unit.
//!
//! [`cohort`] decides which teams the new version serves, [`analysis`] gives the verdict on it, and [`steps`] decides what
//! to do next. The controller uses none of them yet; `poker-lab` uses `analysis`.

pub mod analysis;
pub mod cohort;
mod limits;
pub mod steps;

pub use limits::{CLEARING_EVIDENCE, WEIGHT_BASIS_POINTS_MAX};
