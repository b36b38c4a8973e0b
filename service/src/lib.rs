//! What all programs of the project share: the admin server with readiness and metrics, logs, signals, and exit codes.
//! Similar to the crate kubert, which needs an older kube.

pub mod admin;
pub mod exit;
pub mod logs;
pub mod readiness;
pub mod shutdown;
