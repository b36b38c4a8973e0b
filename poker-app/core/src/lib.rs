//! A planning poker room as a state machine without IO, its protocol and its limits.
//!
//! The caller owns time, sockets and storage: it feeds [`Input`]s with the current time and carries
//! out the [`Effects`].

pub mod effects;
pub mod error;
pub mod history;
pub mod limits;
pub mod protocol;

pub use effects::{Effects, Input, Output, SessionId};
pub use error::{ErrorCode, Refusal};
