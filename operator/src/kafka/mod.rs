//! Kafka topics of the clusters: the admin client, and the manager that describes, ensures and deletes topics.

mod admin;
mod limits;
pub mod topic_manager;
