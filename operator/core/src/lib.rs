//! Every decision of the operator as pure functions: no IO, no clock, no randomness.
//!
//! One pass: [`validate::validate`], then [`plan::plan`], then the shell applies, then
//! [`status::derive`] and [`status::events::between`].

mod build;
pub mod children;
pub mod lease;
pub mod limits;
mod membership;
pub mod observed;
mod orphans;
pub mod plan;
pub mod plan_result;
mod revision;
pub mod rollout;
pub mod scale;
pub mod status;
#[cfg(test)]
mod testing;
pub mod topic;
pub mod validate;
