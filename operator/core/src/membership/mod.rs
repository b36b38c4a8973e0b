//! Which shards are in the routing table, and which gateways receive sockets: how members join, drain and leave.

pub mod gateways;
pub mod shards;
