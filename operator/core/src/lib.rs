//! The decisions of the operator as pure functions: no IO, no clock, no randomness.
//!
//! A reconcile calls [`validate::validate`] and [`plan::plan`], then the shell applies the plan, then it calls
//! [`status::derive`] and [`status::events::between`].

mod build;
pub mod children;
mod credentials;
pub mod drift;
pub mod hash;
pub mod lease;
pub mod limits;
mod membership;
pub mod observed;
mod orphans;
pub mod ownership;
pub mod plan;
pub mod plan_result;
pub mod revision;
mod revisions;
pub mod rollout;
pub mod scale;
pub mod servers;
mod settings;
pub mod status;
#[cfg(test)]
mod testing;
pub mod topic;
pub mod validate;
