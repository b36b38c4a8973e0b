//! The routing table: which shard owns a team. Gateways, shards and the operator decide it with the same code.

pub mod limits;
mod rendezvous;
mod table;

pub use table::{RoutingTable, ShardRoute, ShardState, Strategy, TableError};
