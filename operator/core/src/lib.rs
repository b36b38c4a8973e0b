//! The decisions of the operator as pure functions: no IO, no clock, no randomness.
//!
//! A reconcile calls [`validate::validate`] and [`plan::plan`], then the shell applies the plan, then it calls
//! [`status::derive`] and [`status::events::between`].

mod build;
pub mod children;
pub mod hash;
pub mod lease;
pub mod limits;
mod membership;
pub mod observed;
mod orphans;
pub mod ownership;
pub mod plan;
pub mod plan_result;
mod revision;
pub mod rollout;
pub mod scale;
pub mod servers;
pub mod status;
#[cfg(test)]
mod testing;
pub mod topic;
pub mod validate;
