//! A planning poker room as a state machine without IO, its protocol and its limits.
//!
//! The caller owns time, sockets and storage: it passes [`Input`]s with the current time and carries out the
//! [`Effects`].

mod attach;
mod ballots;
mod command_ids;
mod commands;
mod deck;
pub mod effects;
pub mod error;
pub mod history;
pub mod limits;
pub mod parse;
mod participants;
pub mod protocol;
mod ring;
mod room;
mod round;
mod state;
mod stats;
mod stories;
pub mod team;
#[cfg(test)]
mod tests;
pub mod text;
mod view;

pub use effects::{CatchUp, Effects, Input, Output, SessionId};
pub use error::{ErrorCode, Refusal};
pub use room::Room;
pub use state::DecodeError;
pub use team::TeamSlug;
