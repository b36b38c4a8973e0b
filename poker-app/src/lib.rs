//! Planning poker server: standalone, or as gateway, shard and worker.

pub mod admin;
pub mod cli;
mod clock;
pub mod events;
pub mod gateway;
pub mod history;
pub mod link;
pub mod load;
pub mod metrics;
pub mod routes;
pub mod shard;
pub mod standalone;
pub mod store;
pub mod web;
pub mod worker;
