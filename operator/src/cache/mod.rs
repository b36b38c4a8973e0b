//! What the operator knows of Kubernetes: caches filled by watches, and whether they are up to date.

pub mod expectations;
mod limits;
mod predicates;
pub mod stores;
pub mod watch_health;
pub mod watches;
