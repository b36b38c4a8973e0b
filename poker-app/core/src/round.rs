//! A round: the voting on one story.

use serde::{Deserialize, Serialize};

use crate::ballots::{Ballots, Revealed};
use crate::error::{ErrorCode, Refusal};
use crate::protocol::{Deck, Phase, Stats, StoryId};

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Round {
    /// Counts up for as long as the room exists.
    pub number: u64,
    pub story: Option<StoryId>,
    pub ballots: Ballots,
    /// Set by the reveal.
    pub stats: Option<Stats>,
    /// Whether an estimate was saved in this round; the story may have one from an earlier round.
    #[serde(default)]
    pub saved: bool,
}

impl Round {
    pub fn new(number: u64, story: Option<StoryId>) -> Self {
        Self {
            number,
            story,
            ballots: Ballots::default(),
            stats: None,
            saved: false,
        }
    }

    /// Ends the voting: from now on the votes are public.
    pub fn reveal(&mut self, deck: &Deck) -> Revealed {
        let revealed = self.ballots.reveal(deck);
        self.stats = Some(revealed.stats.clone());
        revealed
    }

    pub fn phase(&self) -> Phase {
        if self.stats.is_some() {
            Phase::Revealed
        } else {
            Phase::Voting
        }
    }

    pub fn expect_number(&self, seen: u64) -> Result<(), Refusal> {
        if seen == self.number {
            return Ok(());
        }
        let message = format!("round {seen} is over; round {} is open now", self.number);
        Err(Refusal::new(ErrorCode::StaleRound, message))
    }

    pub fn expect_voting(&self) -> Result<(), Refusal> {
        match self.phase() {
            Phase::Voting => Ok(()),
            Phase::Revealed => Err(Refusal::new(
                ErrorCode::AlreadyRevealed,
                "the votes are revealed; vote again to change them",
            )),
        }
    }

    pub fn expect_revealed(&self) -> Result<(), Refusal> {
        match self.phase() {
            Phase::Voting => Err(Refusal::new(ErrorCode::NotRevealed, "reveal the votes first")),
            Phase::Revealed => Ok(()),
        }
    }
}
