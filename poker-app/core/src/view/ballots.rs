//! The votes of a round. Their cards are readable in `view.rs` alone.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::protocol::{Card, ParticipantId};

/// In the order of voting, at most one a participant. Serialised for the store only.
#[derive(Clone, Default, Deserialize, Serialize, PartialEq)]
#[serde(transparent)]
pub struct Ballots(Vec<Ballot>);

#[derive(Clone, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ballot {
    pub(super) participant: ParticipantId,
    /// Stays when the voter leaves.
    pub(super) name: String,
    pub(super) card: Card,
}

impl Ballots {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn has(&self, participant: &str) -> bool {
        self.0.iter().any(|ballot| ballot.participant == participant)
    }

    pub fn voters(&self) -> impl Iterator<Item = &ParticipantId> {
        self.0.iter().map(|ballot| &ballot.participant)
    }

    pub fn cast(&mut self, participant: &str, name: &str, card: Card) {
        if let Some(ballot) = self.0.iter_mut().find(|ballot| ballot.participant == participant) {
            ballot.card = card;
            return;
        }
        self.0.push(Ballot {
            participant: String::from(participant),
            name: String::from(name),
            card,
        });
    }

    pub fn clear(&mut self, participant: &str) {
        self.0.retain(|ballot| ballot.participant != participant);
    }

    pub fn rename(&mut self, participant: &str, name: &str) {
        if let Some(ballot) = self.0.iter_mut().find(|ballot| ballot.participant == participant) {
            ballot.name = String::from(name);
        }
    }

    pub(super) fn list(&self) -> &[Ballot] {
        &self.0
    }
}

/// Without the cards: a debug print may end up in a log.
impl fmt::Debug for Ballots {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.voters()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debug_print_shows_who_voted_and_not_what() {
        let mut ballots = Ballots::default();
        ballots.cast("p1", "Ada", String::from("13"));
        assert_eq!(format!("{ballots:?}"), r#"["p1"]"#);
    }
}
