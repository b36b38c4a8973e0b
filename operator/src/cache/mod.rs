//! What the operator knows of the cluster: caches filled by watches, and whether they can be trusted.

pub mod expectations;
pub mod stores;
pub mod watch_health;
pub mod watches;
