//! Every decision of the operator as pure functions: no IO, no clock, no randomness.
//!
//! One pass: [`validate::validate`], then [`plan::plan`], then the shell applies, then
//! [`status::derive`] and [`events::between`].

pub mod backoff;
mod build;
pub mod children;
pub mod events;
mod gateways;
pub mod lease;
pub mod limits;
pub mod observed;
mod orphans;
pub mod outcome;
pub mod plan;
mod revision;
pub mod rollout;
pub mod scale;
mod shards;
pub mod simulate;
pub mod status;
#[cfg(test)]
mod testing;
pub mod topic;
pub mod troubles;
pub mod validate;
