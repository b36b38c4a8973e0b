//! What everyone in the room may see.

use crate::protocol::{RoomView, RoundView};
use crate::round::Round;
use crate::state::State;

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
        votes: round.stats.as_ref().map(|stats| round.ballots.votes(stats)),
        stats: round.stats.clone(),
        saved: round.saved,
    }
}
