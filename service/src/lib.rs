//! What every program of the project does alike: the admin server with readiness and metrics, logs, signals, and how a
//! command line ends. It has the shape of the kubert crate, which needs an older kube.

pub mod admin;
pub mod exit;
pub mod logs;
pub mod readiness;
pub mod shutdown;
