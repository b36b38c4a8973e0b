//! The operator against a real etcd, API server and controller-manager. There is no kubelet: no pod becomes ready by
//! itself, so tests write the status that they need.

// Test helpers may panic as tests do; clippy exempts only functions marked as tests.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod adoption;
mod autoscaling;
mod children;
mod crash;
mod crash_changes;
mod faults;
mod finalizer;
mod leadership;
mod observe_failures;
mod overridden;
mod pod_creation;
mod pod_failure_status;
mod program;
mod rejected_writes;
mod relist;
mod revisions;
mod secrets;
mod server;
mod spec_sequences;
mod topic;
mod validation;
mod world;
