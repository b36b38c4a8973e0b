//! Slugs of teams and ids of participants.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{ErrorCode, Refusal};
use crate::limits::{KEY_HEX_DIGITS, PARTICIPANT_ID_HEX_DIGITS, TEAM_SLUG_CHARS_MAX, TEAM_SLUG_CHARS_MIN};
use crate::protocol::ParticipantId;

/// The key of a team: `[a-z0-9-]{3,48}`.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[serde(try_from = "String", into = "String")]
pub struct TeamSlug(String);

impl TeamSlug {
    pub fn parse(slug: &str) -> Result<Self, Refusal> {
        let length = TEAM_SLUG_CHARS_MIN..=TEAM_SLUG_CHARS_MAX;
        let valid = slug
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if length.contains(&slug.len()) && valid {
            return Ok(Self(String::from(slug)));
        }
        Err(Refusal::new(
            ErrorCode::InvalidTeam,
            format!(
                "a team's address has {TEAM_SLUG_CHARS_MIN} to {TEAM_SLUG_CHARS_MAX} of a-z, 0-9 and -; check the link"
            ),
        ))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TeamSlug {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for TeamSlug {
    type Error = Refusal;

    fn try_from(slug: String) -> Result<Self, Refusal> {
        Self::parse(&slug)
    }
}

impl From<TeamSlug> for String {
    fn from(slug: TeamSlug) -> Self {
        slug.0
    }
}

/// The public id of the participant with this secret key: the first 16 hex digits of SHA-256(team ":" key).
pub fn participant_id(team: &TeamSlug, key: &str) -> Result<ParticipantId, Refusal> {
    let valid = key.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if key.len() != KEY_HEX_DIGITS || !valid {
        let message =
            format!("key must be {KEY_HEX_DIGITS} lowercase hex digits; make a new one and reconnect");
        return Err(Refusal::new(ErrorCode::BadHello, message));
    }
    let hash = Sha256::new()
        .chain_update(team.as_str())
        .chain_update(":")
        .chain_update(key)
        .finalize();
    Ok(hash
        .iter()
        .take(PARTICIPANT_ID_HEX_DIGITS / 2)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_validated() {
        for good in ["abc", "a-b", "blue-team-x7k2p9", "000", &"a".repeat(48)] {
            assert_eq!(TeamSlug::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "ab", "Abc", "a b c", "größe", "a/b", "a.b", &"a".repeat(49)] {
            assert_eq!(
                TeamSlug::parse(bad).unwrap_err().code,
                ErrorCode::InvalidTeam,
                "{bad}"
            );
        }
    }

    #[test]
    fn an_id_depends_on_team_and_key_and_never_changes() {
        let [blue, red] = ["blue", "red"].map(|slug| TeamSlug::parse(slug).unwrap());
        let key = "00112233445566778899aabbccddeeff";
        assert_eq!(participant_id(&blue, key).unwrap(), "494ed1085510711d");
        assert_ne!(
            participant_id(&red, key).unwrap(),
            participant_id(&blue, key).unwrap()
        );
        for bad in [
            "",
            "0011",
            "00112233445566778899AABBCCDDEEFF",
            "g0112233445566778899aabbccddeeff",
        ] {
            assert_eq!(participant_id(&blue, bad).unwrap_err().code, ErrorCode::BadHello);
        }
    }
}
