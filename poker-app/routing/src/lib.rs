//! The routing table: which shard owns a team, decided alike on every side.

pub mod limits;
mod rendezvous;
mod table;

pub use table::{RoutingTable, ShardRoute, ShardState, Strategy, TableError};
