//! Kafka topics of the clusters: the admin client, and the manager that describes, creates and deletes topics.

mod admin;
pub mod topic_manager;
