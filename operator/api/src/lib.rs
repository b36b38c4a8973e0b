//! The `PokerCluster` API: types, validation rules, condition and object names. No decisions.
//!
//! The doc comments of the types become the descriptions in the generated schema, so they address the
//! author of a `PokerCluster` rather than the reader of this code.

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
