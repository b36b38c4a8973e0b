//! Verdicts of rollouts, measured on simulated rollouts.

pub mod bench;
