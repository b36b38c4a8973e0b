//! Helpers of the end-to-end tests. The tests need a cluster (`KUBECONFIG`) in which the operator and a Prometheus run,
//! and kubectl, helm and `poker-operator` on PATH. The images come from the environment and default to those of the CRD.

pub mod images;
pub mod load;
pub mod plan;
pub mod shell;
pub mod world;

pub use load::{Load, LoadReport};
pub use world::World;
