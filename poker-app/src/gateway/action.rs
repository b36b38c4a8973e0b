//! What a team requires of its gateway.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;

use crate::link::ToShard;

/// What the gateway must do. `session` is the number given to [`Team::join`](super::team::Team::join).
#[derive(Debug, PartialEq)]
pub enum Action {
    Send {
        address: Arc<str>,
        frame: ToShard,
    },
    /// A message that follows the state which the session has.
    Deliver {
        session: u64,
        text: Utf8Bytes,
    },
    /// The room's state: replaces everything that is queued for the session.
    DeliverState {
        session: u64,
        texts: Vec<String>,
    },
    Close {
        session: u64,
        code: u16,
        reason: String,
    },
}
