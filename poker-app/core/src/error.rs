//! Refusals: a code and one clear sentence, for the sender only.

use serde::{Deserialize, Serialize};

/// Machine-readable reason of an `error` frame or an HTTP error.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    // The frame.
    Malformed,
    MessageTooLarge,
    UnknownType,
    InvalidId,
    // The session.
    UnsupportedProtocol,
    BadHello,
    NotJoined,
    TeamNotFound,
    Removed,
    TooManyParticipants,
    TooManySessions,
    RateLimited,
    Unavailable,
    Internal,
    // Values.
    InvalidTeam,
    InvalidName,
    InvalidTitle,
    InvalidDeck,
    InvalidTimer,
    UnknownCard,
    UnknownStory,
    UnknownParticipant,
    TooManyStories,
    TooManyVotes,
    // The state of the room.
    NotFacilitator,
    FacilitatorPresent,
    NotAVoter,
    CannotRemoveSelf,
    StaleRound,
    AlreadyRevealed,
    NotRevealed,
    NoVotes,
    NoStory,
}

/// Why a request was refused. It has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub code: ErrorCode,
    pub message: String,
}

impl Refusal {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl ErrorCode {
    /// The name in JSON and in close reasons, e.g. `stale_round`.
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            _ => String::from("internal"),
        }
    }
}
