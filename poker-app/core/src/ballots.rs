//! The votes of a round, and the only code that reads their cards.
//!
//! Before the reveal a card leaves through [`Ballots::own_vote`] alone, to its voter. The fields of a ballot are private
//! to this module, so the compiler enforces that.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::history::HistoryVote;
use crate::protocol::{Card, Deck, ParticipantId, Stats, VoteView};
use crate::stats;

/// In the order of voting, at most one per participant. Serialised for the store only.
#[derive(Clone, Default, Deserialize, Serialize, PartialEq)]
#[serde(transparent)]
pub struct Ballots(Vec<Ballot>);

#[derive(Clone, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Ballot {
    participant: ParticipantId,
    /// Kept when the voter leaves.
    name: String,
    card: Card,
}

/// The votes of a revealed round: for the room's sessions, for the history, and as statistics.
pub struct Revealed {
    pub votes: Vec<VoteView>,
    pub history: Vec<HistoryVote>,
    pub stats: Stats,
}

impl Ballots {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn has(&self, participant: &str) -> bool {
        self.of(participant).is_some()
    }

    pub fn voters(&self) -> impl Iterator<Item = &ParticipantId> {
        self.0.iter().map(|ballot| &ballot.participant)
    }

    /// For the voter's own sessions.
    pub fn own_vote(&self, participant: &str) -> Option<Card> {
        self.of(participant).map(|ballot| ballot.card.clone())
    }

    /// Makes the votes public. Call it through [`Round::reveal`](crate::round::Round::reveal), which ends the voting.
    pub fn reveal(&self, deck: &Deck) -> Revealed {
        let cards: Vec<&str> = self.0.iter().map(|ballot| ballot.card.as_str()).collect();
        let stats = stats::stats(deck, &cards);
        let history = self.0.iter().map(|ballot| HistoryVote {
            participant: ballot.participant.clone(),
            name: ballot.name.clone(),
            card: ballot.card.clone(),
        });
        Revealed {
            votes: self.votes(&stats),
            history: history.collect(),
            stats,
        }
    }

    /// The votes of a revealed round: `_revealed` are its statistics, which exist only after a reveal.
    pub fn votes(&self, _revealed: &Stats) -> Vec<VoteView> {
        let view = |ballot: &Ballot| VoteView {
            participant: ballot.participant.clone(),
            card: ballot.card.clone(),
        };
        self.0.iter().map(view).collect()
    }

    pub fn cast(&mut self, participant: &str, name: &str, card: Card) {
        if let Some(ballot) = self.of_mut(participant) {
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
        if let Some(ballot) = self.of_mut(participant) {
            ballot.name = String::from(name);
        }
    }

    fn of(&self, participant: &str) -> Option<&Ballot> {
        self.0.iter().find(|ballot| ballot.participant == participant)
    }

    fn of_mut(&mut self, participant: &str) -> Option<&mut Ballot> {
        self.0.iter_mut().find(|ballot| ballot.participant == participant)
    }
}

/// Without the cards: debug output may end up in a log.
impl fmt::Debug for Ballots {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.voters()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_voters_but_no_cards() {
        let mut ballots = Ballots::default();
        ballots.cast("p1", "Ada", String::from("13"));
        assert_eq!(format!("{ballots:?}"), r#"["p1"]"#);
    }
}
