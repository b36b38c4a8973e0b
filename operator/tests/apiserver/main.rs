//! The operator against a real etcd, API server and controller-manager. There is no kubelet: Deployments
//! never become ready by themselves, tests write their status where they need it.

// Helpers of tests may fail like tests; clippy exempts only functions marked as tests.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod blind;
mod children;
mod crash;
mod crash_changes;
mod faults;
mod finalizer;
mod leadership;
mod program;
mod server;
mod told;
mod topic;
mod validation;
mod walks;
mod world;
