//! Which shards are in the routing table and which gateways get traffic: how members join, drain and leave.

pub mod gateways;
pub mod shards;
