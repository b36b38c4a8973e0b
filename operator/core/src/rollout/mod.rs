//! Canary, blue-green, rolling and A/B rollouts, with the team as the unit.
//!
//! [`cohort`] says which teams the new version serves, [`analysis`] what the counts of both versions
//! prove, [`steps`] what to do next.

pub mod analysis;
pub mod cohort;
mod limits;
pub mod steps;

pub use limits::{CLEARING_EVIDENCE, WEIGHT_BASIS_POINTS_MAX};
