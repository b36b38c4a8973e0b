//! The durable part of a room, as the store keeps it.

use serde::{Deserialize, Serialize};

use crate::participants::Participants;
use crate::protocol::{Deck, TimerView};
use crate::round::Round;
use crate::stories::Stories;
use crate::team::TeamSlug;

/// Raised when a field changes its meaning; added optional fields keep it.
pub const STATE_VERSION: u32 = 1;

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct State {
    pub version: u32,
    pub team: TeamSlug,
    pub name: String,
    pub created_at_ms: u64,
    /// Of the last published event.
    pub seq: u64,
    pub deck: Deck,
    pub auto_reveal: bool,
    pub participants: Participants,
    pub stories: Stories,
    pub round: Round,
    pub timer: Option<TimerView>,
}

#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("stored room is no valid state; restore it from a backup")]
    Malformed(#[source] serde_json::Error),
    #[error("stored room has state version {0}, this program knows up to {STATE_VERSION}; upgrade it")]
    TooNew(u32),
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl State {
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Versioned { version } = serde_json::from_slice(bytes).map_err(DecodeError::Malformed)?;
        if version > STATE_VERSION {
            return Err(DecodeError::TooNew(version));
        }
        serde_json::from_slice(bytes).map_err(DecodeError::Malformed)
    }

    pub fn encode(&self) -> Vec<u8> {
        // Strings, numbers and lists only: serialisation has no way to fail.
        serde_json::to_vec(self).unwrap_or_default()
    }
}
