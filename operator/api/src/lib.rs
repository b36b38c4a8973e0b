//! The `PokerCluster` API: types, validation rules, condition and object names. No decisions.
//!
//! Doc comments of the types are the descriptions in the generated schema, so they speak to the
//! person who writes a `PokerCluster`, not to the reader of this code.

pub mod autoscaling;
pub mod cluster;
pub mod common;
pub mod conditions;
mod crd;
pub mod gateway;
pub mod limits;
pub mod names;
pub mod prometheus;
pub mod quantity;
pub mod servers;
pub mod shards;
pub mod status;

pub use autoscaling::Autoscaling;
pub use cluster::{PokerCluster, PokerClusterSpec};
pub use crd::{CrdError, crd, crd_yaml};
pub use names::{ClusterNames, Component};
pub use quantity::Quantity;
pub use status::PokerClusterStatus;
