//! Verdicts of rollouts, judged against simulated ones.

pub mod bench;
