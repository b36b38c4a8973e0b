//! What others may see: the only place that reads the cards of votes.
//!
//! Before the reveal a card leaves through [`own_vote`] alone, to its voter. The fields of a ballot
//! are visible to this module only, so the compiler holds that.

mod ballots;

pub use ballots::Ballots;

use crate::history::HistoryVote;
use crate::protocol::{Card, Deck, Phase, RoomView, RoundView, Stats, VoteView};
use crate::round::Round;
use crate::state::State;
use crate::stats;

pub fn room(state: &State) -> RoomView {
    RoomView {
        team: state.team.to_string(),
        name: state.name.clone(),
        deck: state.deck.clone(),
        auto_reveal: state.auto_reveal,
        participants: state
            .participants
            .0
            .iter()
            .map(|participant| participant.view())
            .collect(),
        stories: state.stories.list().to_vec(),
        round: round(&state.round),
        timer: state.timer,
    }
}

fn round(round: &Round) -> RoundView {
    RoundView {
        number: round.number,
        story: round.story,
        phase: round.phase(),
        voted: round.ballots.voters().cloned().collect(),
        votes: (round.phase() == Phase::Revealed).then(|| votes(&round.ballots)),
        stats: round.stats.clone(),
        saved: round.saved,
    }
}

/// For the voter's own sessions.
pub fn own_vote(round: &Round, participant: &str) -> Option<Card> {
    let ballot = round
        .ballots
        .list()
        .iter()
        .find(|ballot| ballot.participant == participant);
    ballot.map(|ballot| ballot.card.clone())
}

/// A round's votes in the forms they leave the room in, once revealed.
pub struct Revealed {
    pub votes: Vec<VoteView>,
    pub history: Vec<HistoryVote>,
    pub stats: Stats,
}

/// Reveals the round: from here on its votes are everybody's.
pub fn reveal(round: &mut Round, deck: &Deck) -> Revealed {
    let ballots = round.ballots.list();
    let cards: Vec<&str> = ballots.iter().map(|ballot| ballot.card.as_str()).collect();
    let stats = stats::stats(deck, &cards);
    let history = ballots
        .iter()
        .map(|ballot| HistoryVote {
            participant: ballot.participant.clone(),
            name: ballot.name.clone(),
            card: ballot.card.clone(),
        })
        .collect();
    let votes = votes(&round.ballots);
    round.stats = Some(stats.clone());
    Revealed {
        votes,
        history,
        stats,
    }
}

fn votes(ballots: &Ballots) -> Vec<VoteView> {
    let view = |ballot: &ballots::Ballot| VoteView {
        participant: ballot.participant.clone(),
        card: ballot.card.clone(),
    };
    ballots.list().iter().map(view).collect()
}
