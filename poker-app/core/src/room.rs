//! The room: each input changes the state and yields the effects to carry out.

use std::collections::HashMap;

use crate::effects::{Effects, Input, Output, SessionId};
use crate::error::Refusal;
use crate::history::{HistoryEvent, HistoryKind, HistoryStory};
use crate::participants::{Participants, Presence};
use crate::protocol::{Deck, DeckChoice, Event, ParticipantId, ServerMessage, StoryId};
use crate::ring::Ring;
use crate::round::Round;
use crate::state::{DecodeError, STATE_VERSION, State};
use crate::stories::Stories;
use crate::team::TeamSlug;
use crate::text;

/// A team's live state, owned by one process at a time.
///
/// Every published event raises `seq` by one. An input with an earlier time than the previous input is safe: nothing
/// expires by it.
#[derive(Debug)]
pub struct Room {
    pub(crate) state: State,
    pub(crate) epoch: u64,
    pub(crate) sessions: HashMap<SessionId, ParticipantId>,
    pub(crate) ring: Ring,
}

impl Room {
    /// A new, empty room. Refuses an invalid name or deck.
    pub fn create(team: TeamSlug, name: &str, deck: &DeckChoice, now_ms: u64) -> Result<Self, Refusal> {
        Ok(Self::from_state(State {
            version: STATE_VERSION,
            team,
            name: text::team_name(name)?,
            created_at_ms: now_ms,
            seq: 0,
            deck: Deck::choose(deck)?,
            auto_reveal: false,
            participants: Participants::default(),
            stories: Stories::default(),
            round: Round::new(1, None),
            timer: None,
        }))
    }

    /// Restores a room from the store. Call [`Room::start`] next.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        State::decode(bytes).map(Self::from_state)
    }

    /// The durable state as versioned JSON, without presence.
    pub fn encode(&self) -> Vec<u8> {
        self.state.encode()
    }

    fn from_state(state: State) -> Self {
        Self {
            state,
            epoch: 0,
            sessions: HashMap::new(),
            ring: Ring::default(),
        }
    }

    /// Starts the room after a claim: no participant is connected, every grace period starts now, and clients that resume
    /// get a snapshot.
    pub fn start(&mut self, epoch: u64, now_ms: u64) {
        self.epoch = epoch;
        self.sessions.clear();
        self.ring = Ring::default();
        for participant in &mut self.state.participants.0 {
            participant.presence = Presence::Away { since_ms: now_ms };
        }
    }

    pub fn handle(&mut self, input: Input, now_ms: u64) -> Effects {
        let mut effects = Effects::default();
        self.pass_time(now_ms, &mut effects);
        match input {
            Input::Attach { session, hello } => self.attach(session, &hello, now_ms, &mut effects),
            Input::Detach { session } => self.detach(session, now_ms, &mut effects),
            Input::Command { session, id, command } => {
                self.command(session, &id, command, now_ms, &mut effects)
            }
            Input::Tick => {}
        }
        // Time has passed even if the command was refused.
        self.settle(now_ms, &mut effects);
        effects
    }

    /// When to call `handle(Input::Tick)` at the latest: a timer ends, or a grace period does.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        let timer = self.state.timer.iter().map(|timer| timer.ends_at_ms);
        let absent = self
            .state
            .participants
            .0
            .iter()
            .filter_map(|participant| participant.deadline_ms());
        timer.chain(absent).min()
    }

    pub fn name(&self) -> &str {
        &self.state.name
    }

    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Connected participants, however many sessions each has.
    pub fn connected(&self) -> usize {
        self.state
            .participants
            .0
            .iter()
            .filter(|participant| participant.is_connected())
            .count()
    }

    fn pass_time(&mut self, now_ms: u64, effects: &mut Effects) {
        if self
            .state
            .timer
            .as_ref()
            .is_some_and(|timer| now_ms >= timer.ends_at_ms)
        {
            self.state.timer = None;
            let ran_out = true;
            self.change(Event::TimerChanged { timer: None, ran_out }, effects);
        }
        let mut leaving = Vec::new();
        for participant in &mut self.state.participants.0 {
            if participant.pass_time(now_ms) {
                leaving.push(participant.id.clone());
            }
        }
        for id in leaving {
            self.leave(&id, effects);
        }
    }

    /// Applies the rules that need no command: a room with connected participants has a facilitator, and with
    /// auto-reveal the last vote reveals the round.
    pub(crate) fn settle(&mut self, now_ms: u64, effects: &mut Effects) {
        if self.state.participants.facilitator().is_none()
            && let Some(heir) = self.state.participants.first_connected()
        {
            let heir = heir.id.clone();
            self.set_facilitator(&heir, true, effects);
        }
        if self.state.auto_reveal && self.state.round.stats.is_none() && self.everyone_voted() {
            self.reveal(now_ms, effects);
        }
    }

    fn everyone_voted(&self) -> bool {
        let Round { ballots, .. } = &self.state.round;
        let mut awaited = self
            .state
            .participants
            .0
            .iter()
            .filter(|participant| participant.is_awaited())
            .peekable();
        awaited.peek().is_some() && awaited.all(|participant| ballots.has(&participant.id))
    }

    /// Publishes the votes and records them in the history.
    pub(crate) fn reveal(&mut self, now_ms: u64, effects: &mut Effects) {
        let revealed = self.state.round.reveal(&self.state.deck);
        let number = self.state.round.number;
        let story = self.state.round.story.and_then(|id| self.history_story(id));
        let (votes, stats) = (revealed.votes, revealed.stats.clone());
        self.change(
            Event::Revealed {
                round: number,
                votes,
                stats,
            },
            effects,
        );
        let (votes, stats) = (revealed.history, revealed.stats);
        self.record(
            HistoryKind::RoundRevealed {
                round: number,
                story,
                votes,
                stats,
            },
            now_ms,
            effects,
        );
        self.stop_timer(effects);
    }

    pub(crate) fn start_round(&mut self, story: Option<StoryId>, effects: &mut Effects) {
        let number = self.state.round.number + 1;
        self.state.round = Round::new(number, story);
        self.change(Event::RoundStarted { number, story }, effects);
        self.stop_timer(effects);
    }

    pub(crate) fn stop_timer(&mut self, effects: &mut Effects) {
        if self.state.timer.take().is_some() {
            let ran_out = false;
            self.change(Event::TimerChanged { timer: None, ran_out }, effects);
        }
    }

    /// Removes the seat; a vote already cast stays in its round.
    pub(crate) fn leave(&mut self, id: &str, effects: &mut Effects) {
        self.state.participants.remove(id);
        self.change(Event::ParticipantLeft { id: String::from(id) }, effects);
    }

    pub(crate) fn set_facilitator(&mut self, id: &str, facilitator: bool, effects: &mut Effects) {
        if let Some(participant) = self.state.participants.get_mut(id) {
            participant.facilitator = facilitator;
            let participant = participant.view();
            self.change(Event::ParticipantChanged { participant }, effects);
        }
    }

    /// Withdraws a vote that is still secret.
    pub(crate) fn withdraw_vote(&mut self, id: &str, effects: &mut Effects) {
        if self.state.round.stats.is_none() && self.state.round.ballots.has(id) {
            self.state.round.ballots.clear(id);
            self.change(
                Event::Voted {
                    participant: String::from(id),
                    has_voted: false,
                },
                effects,
            );
            self.send_own_vote(id, effects);
        }
    }

    pub(crate) fn send_own_vote(&self, id: &str, effects: &mut Effects) {
        let Some(participant) = self.state.participants.get(id) else {
            return;
        };
        let text = self.own_vote(id).to_text();
        for &session in participant
            .sessions()
            .iter()
            .filter(|session| self.sessions.contains_key(session))
        {
            effects.out.push(Output::Private {
                session,
                text: text.clone(),
            });
        }
    }

    pub(crate) fn own_vote(&self, id: &str) -> ServerMessage {
        let round = &self.state.round;
        ServerMessage::YourVote {
            round: round.number,
            card: round.ballots.own_vote(id),
        }
    }

    /// Records a change that must be stored before its event is published.
    pub(crate) fn change(&mut self, event: Event, effects: &mut Effects) {
        effects.durable = true;
        self.publish(event, effects);
    }

    pub(crate) fn publish(&mut self, event: Event, effects: &mut Effects) {
        self.state.seq += 1;
        let seq = self.state.seq;
        let text = ServerMessage::Event {
            epoch: self.epoch,
            seq,
            event,
        }
        .to_text();
        self.ring.push(seq, text.clone());
        effects.out.push(Output::Publish { seq, text });
    }

    /// Numbered like the event just published: each event has at most one record.
    pub(crate) fn record(&self, kind: HistoryKind, now_ms: u64, effects: &mut Effects) {
        effects.history.push(HistoryEvent {
            team: self.state.team.to_string(),
            created_at_ms: self.state.created_at_ms,
            epoch: self.epoch,
            seq: self.state.seq,
            at_ms: now_ms,
            kind,
        });
    }

    #[cfg(test)]
    pub(crate) fn view(&self) -> crate::protocol::RoomView {
        crate::view::room(&self.state)
    }

    pub(crate) fn history_story(&self, id: StoryId) -> Option<HistoryStory> {
        let story = self.state.stories.get(id)?;
        Some(HistoryStory {
            id,
            title: story.title.clone(),
        })
    }
}
