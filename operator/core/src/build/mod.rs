//! Builds the child objects, one file for each kind. The objects contain neither nulls nor defaults of the API server,
//! so that a second apply changes nothing.

mod access;
mod deployments;
mod env;
mod ingress;
mod meta;
mod network;
mod pod;
mod policies;
mod revisions;
mod routes;
mod secrets;
mod services;
mod stateful_sets;
mod template;

pub use access::{role_bindings, roles, service_accounts};
pub use deployments::{gateway, shard, worker};
pub use ingress::ingresses;
pub use meta::Context;
pub use network::network_policies;
pub use policies::{gateway_budget, shard_budget};
pub use revisions::controller_revision;
pub use routes::{ROUTES_KEY, routes};
pub use secrets::{PASSWORD_KEY, URL_KEY, database_secret};
pub use services::{public_service, server_services, shard_service};
pub use stateful_sets::stateful_sets;
pub use template::{gateway_template, shard_template, worker_template};
