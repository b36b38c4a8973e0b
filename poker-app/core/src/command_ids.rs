//! The last applied command ids of a participant, so that no command is applied twice.

use std::collections::VecDeque;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::limits::COMMAND_IDS_REMEMBERED;

/// Bytes kept of each id's hash. Every vote writes them, so they are few; two ids of one participant collide once in 10^13
/// commands.
const HASH_BYTES: usize = 6;
type IdHash = [u8; HASH_BYTES];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandIds(VecDeque<IdHash>);

impl CommandIds {
    pub fn contains(&self, id: &str) -> bool {
        self.0.contains(&hash(id))
    }

    /// Beyond the limit, the oldest is forgotten.
    pub fn remember(&mut self, id: &str) {
        if self.0.len() == COMMAND_IDS_REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(hash(id));
    }
}

fn hash(id: &str) -> IdHash {
    let mut short = [0; HASH_BYTES];
    short.copy_from_slice(&Sha256::digest(id)[..HASH_BYTES]);
    short
}

impl Serialize for CommandIds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self.0.iter().flatten().copied().collect();
        serializer.serialize_str(&STANDARD_NO_PAD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for CommandIds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(de::Error::custom)?;
        let (hashes, rest) = bytes.as_chunks::<HASH_BYTES>();
        if !rest.is_empty() || hashes.len() > COMMAND_IDS_REMEMBERED {
            return Err(de::Error::custom("command ids have a wrong length"));
        }
        Ok(Self(hashes.iter().copied().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ids_are_remembered_across_a_restart() {
        let mut ids = CommandIds::default();
        for id in 0..=COMMAND_IDS_REMEMBERED {
            ids.remember(&id.to_string());
        }
        let ids: CommandIds = serde_json::from_str(&serde_json::to_string(&ids).unwrap()).unwrap();
        assert!(!ids.contains("0"), "the oldest is forgotten");
        assert!((1..=COMMAND_IDS_REMEMBERED).all(|id| ids.contains(&id.to_string())));
        assert!(serde_json::from_str::<CommandIds>("\"AAAA\"").is_err());
    }
}
