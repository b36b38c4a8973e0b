//! The commands of participants.

use crate::effects::{Effects, Output, SessionId};
use crate::error::{ErrorCode, Refusal};
use crate::history::HistoryKind;
use crate::limits::{TIMER_SECONDS_MAX, TIMER_SECONDS_MIN, VOTES_PER_ROUND_MAX};
use crate::protocol::{
    Card, Command, Deck, DeckChoice, ErrorMessage, Event, Phase, Role, ServerMessage, StoryId, TimerView,
    close,
};
use crate::room::Room;
use crate::stories::Stories;
use crate::text;

type Outcome = Result<(), Refusal>;

impl Room {
    pub(crate) fn command(
        &mut self,
        session: SessionId,
        id: &str,
        command: Command,
        now_ms: u64,
        effects: &mut Effects,
    ) {
        let outcome = self.apply_once(session, id, command, now_ms, effects);
        let command_id = String::from(id);
        effects.out.push(match outcome {
            Ok(()) => Output::Ack {
                session,
                text: ServerMessage::Ack {
                    id: command_id.clone(),
                    seq: self.state.seq,
                }
                .to_text(),
                command_id,
            },
            // An invalid id is not echoed.
            Err(refusal) if text::command_id(id).is_err() => Output::Private {
                session,
                text: ErrorMessage::new(None, refusal).to_text(),
            },
            Err(refusal) => Output::Refused {
                session,
                text: ErrorMessage::new(Some(command_id.clone()), refusal).to_text(),
                command_id,
            },
        });
    }

    /// A repeated command changes nothing and is acknowledged again.
    fn apply_once(
        &mut self,
        session: SessionId,
        id: &str,
        command: Command,
        now_ms: u64,
        effects: &mut Effects,
    ) -> Outcome {
        text::command_id(id)?;
        let seat = self
            .sessions
            .get(&session)
            .and_then(|who| self.state.participants.get(who));
        let Some(participant) = seat else {
            return Err(Refusal::new(
                ErrorCode::NotJoined,
                "this session is not in the room; reconnect",
            ));
        };
        if participant.applied.contains(id) {
            return Ok(());
        }
        if is_for_facilitator(&command) && !participant.facilitator {
            return Err(Refusal::new(
                ErrorCode::NotFacilitator,
                "only the facilitator can do this; ask them",
            ));
        }
        let who = participant.id.clone();
        self.apply(&who, command, now_ms, effects)?;
        if let Some(participant) = self.state.participants.get_mut(&who) {
            participant.applied.remember(id);
        }
        effects.durable = true;
        self.settle(now_ms, effects);
        Ok(())
    }

    fn apply(&mut self, who: &str, command: Command, now_ms: u64, effects: &mut Effects) -> Outcome {
        match command {
            Command::Vote { round, card } => self.vote(who, round, card, effects),
            Command::ClearVote { round } => self.clear_vote(who, round, effects),
            Command::Rename { name } => self.rename(who, &name, effects),
            Command::SetRole { role } => self.set_role(who, role, effects),
            Command::TakeFacilitator {} => self.take_facilitator(who, effects),
            Command::Reveal { round } => self.reveal_by_hand(round, now_ms, effects),
            Command::VoteAgain { round } => self.vote_again(round, effects),
            Command::SaveEstimate { round, card } => self.save_estimate(round, card, now_ms, effects),
            Command::NextStory { round } => self.next_story(round, effects),
            Command::SelectStory { story } => self.select_story(story, effects),
            Command::AddStories { titles } => self.add_stories(&titles, effects),
            Command::EditStory { story, title } => {
                self.edit_stories(effects, |list| list.edit(story, &title))
            }
            Command::RemoveStory { story } => self.remove_story(story, effects),
            Command::MoveStory { story, index } => {
                self.edit_stories(effects, |list| list.move_to(story, index))
            }
            Command::SetDeck { deck } => self.set_deck(&deck, effects),
            Command::SetAutoReveal { on } => self.set_auto_reveal(on, effects),
            Command::StartTimer { seconds } => self.start_timer(seconds, now_ms, effects),
            Command::StopTimer {} => {
                self.stop_timer(effects);
                Ok(())
            }
            Command::MakeFacilitator { participant } => self.make_facilitator(&participant, effects),
            Command::RemoveParticipant { participant } => self.remove_participant(who, &participant, effects),
            Command::RenameTeam { name } => self.rename_team(&name, now_ms, effects),
        }
    }

    fn vote(&mut self, who: &str, round: u64, card: Card, effects: &mut Effects) -> Outcome {
        self.state.round.expect_number(round)?;
        self.state.round.expect_voting()?;
        let Some(participant) = self.state.participants.get(who) else {
            return Ok(());
        };
        if participant.role != Role::Voter {
            return Err(Refusal::new(
                ErrorCode::NotAVoter,
                "observers do not vote; become a voter first",
            ));
        }
        self.expect_card(&card)?;
        let ballots = &mut self.state.round.ballots;
        let is_first = !ballots.has(who);
        if is_first && ballots.len() >= VOTES_PER_ROUND_MAX {
            let message = format!("a round holds {VOTES_PER_ROUND_MAX} votes; wait for the next one");
            return Err(Refusal::new(ErrorCode::TooManyVotes, message));
        }
        ballots.cast(who, &participant.name, card);
        if is_first {
            self.change(
                Event::Voted {
                    participant: String::from(who),
                    has_voted: true,
                },
                effects,
            );
        }
        self.send_own_vote(who, effects);
        Ok(())
    }

    fn clear_vote(&mut self, who: &str, round: u64, effects: &mut Effects) -> Outcome {
        self.state.round.expect_number(round)?;
        self.state.round.expect_voting()?;
        self.withdraw_vote(who, effects);
        Ok(())
    }

    fn rename(&mut self, who: &str, name: &str, effects: &mut Effects) -> Outcome {
        let name = text::participant_name(name)?;
        let Some(participant) = self.state.participants.get_mut(who) else {
            return Ok(());
        };
        if participant.name == name {
            return Ok(());
        }
        self.state.round.ballots.rename(who, &name);
        participant.name = name;
        let participant = participant.view();
        self.change(Event::ParticipantChanged { participant }, effects);
        Ok(())
    }

    fn set_role(&mut self, who: &str, role: Role, effects: &mut Effects) -> Outcome {
        let Some(participant) = self.state.participants.get_mut(who) else {
            return Ok(());
        };
        if participant.role == role {
            return Ok(());
        }
        participant.role = role;
        let participant = participant.view();
        self.change(Event::ParticipantChanged { participant }, effects);
        if role == Role::Observer {
            self.withdraw_vote(who, effects);
        }
        Ok(())
    }

    fn take_facilitator(&mut self, who: &str, effects: &mut Effects) -> Outcome {
        let current = self.state.participants.facilitator();
        if current.is_some_and(|current| current.id != who && current.is_connected()) {
            let message = "the facilitator is here; ask them to hand over";
            return Err(Refusal::new(ErrorCode::FacilitatorPresent, message));
        }
        self.hand_over(who, effects);
        Ok(())
    }

    fn make_facilitator(&mut self, heir: &str, effects: &mut Effects) -> Outcome {
        self.expect_participant(heir)?;
        self.hand_over(heir, effects);
        Ok(())
    }

    fn hand_over(&mut self, heir: &str, effects: &mut Effects) {
        let current = self
            .state
            .participants
            .facilitator()
            .map(|current| current.id.clone());
        if current.as_deref() == Some(heir) {
            return;
        }
        if let Some(current) = current {
            self.set_facilitator(&current, false, effects);
        }
        self.set_facilitator(heir, true, effects);
    }

    fn reveal_by_hand(&mut self, round: u64, now_ms: u64, effects: &mut Effects) -> Outcome {
        self.state.round.expect_number(round)?;
        self.state.round.expect_voting()?;
        if self.state.round.ballots.is_empty() {
            return Err(Refusal::new(
                ErrorCode::NoVotes,
                "there is no vote yet; wait for one",
            ));
        }
        self.reveal(now_ms, effects);
        Ok(())
    }

    fn vote_again(&mut self, round: u64, effects: &mut Effects) -> Outcome {
        self.state.round.expect_number(round)?;
        self.start_round(self.state.round.story, effects);
        Ok(())
    }

    fn save_estimate(&mut self, round: u64, card: Card, now_ms: u64, effects: &mut Effects) -> Outcome {
        self.state.round.expect_number(round)?;
        self.state.round.expect_revealed()?;
        self.expect_card(&card)?;
        let Some(story) = self.state.round.story.and_then(|id| self.history_story(id)) else {
            return Err(Refusal::new(
                ErrorCode::NoStory,
                "this round has no story; add one to save an estimate",
            ));
        };
        self.state.stories.save_estimate(story.id, card.clone())?;
        self.state.round.saved = true;
        self.change(
            Event::EstimateSaved {
                story: story.id,
                card: card.clone(),
            },
            effects,
        );
        self.record(HistoryKind::EstimateSaved { round, story, card }, now_ms, effects);
        Ok(())
    }

    fn next_story(&mut self, round: u64, effects: &mut Effects) -> Outcome {
        self.state.round.expect_number(round)?;
        let next = self.state.stories.next_after(self.state.round.story);
        self.start_round(next, effects);
        Ok(())
    }

    /// Selecting the story of the current round keeps its votes.
    fn select_story(&mut self, story: StoryId, effects: &mut Effects) -> Outcome {
        if self.state.stories.get(story).is_none() {
            return Err(Refusal::new(
                ErrorCode::UnknownStory,
                "this story is not in the list any more",
            ));
        }
        let round = &self.state.round;
        if round.story != Some(story) || round.phase() == Phase::Revealed {
            self.start_round(Some(story), effects);
        }
        Ok(())
    }

    /// A round without a story and without votes takes up the first one at once.
    fn add_stories(&mut self, titles: &[String], effects: &mut Effects) -> Outcome {
        self.edit_stories(effects, |list| list.add(titles))?;
        let round = &self.state.round;
        if round.story.is_none() && round.ballots.is_empty() {
            let first = self.state.stories.next_after(None);
            self.start_round(first, effects);
        }
        Ok(())
    }

    /// Removing the current story moves on to the next one.
    fn remove_story(&mut self, story: StoryId, effects: &mut Effects) -> Outcome {
        let is_current = self.state.round.story == Some(story);
        let next = self.state.stories.next_after(Some(story));
        self.edit_stories(effects, |list| list.remove(story))?;
        if is_current {
            self.start_round(next, effects);
        }
        Ok(())
    }

    fn edit_stories(&mut self, effects: &mut Effects, edit: impl FnOnce(&mut Stories) -> Outcome) -> Outcome {
        edit(&mut self.state.stories)?;
        self.change(
            Event::StoriesChanged {
                stories: self.state.stories.list().to_vec(),
            },
            effects,
        );
        Ok(())
    }

    /// Another deck restarts the round, as its votes may not be in the new deck.
    fn set_deck(&mut self, choice: &DeckChoice, effects: &mut Effects) -> Outcome {
        let deck = Deck::choose(choice)?;
        if deck != self.state.deck {
            self.state.deck = deck;
            self.publish_settings(effects);
            self.start_round(self.state.round.story, effects);
        }
        Ok(())
    }

    fn set_auto_reveal(&mut self, on: bool, effects: &mut Effects) -> Outcome {
        if on != self.state.auto_reveal {
            self.state.auto_reveal = on;
            self.publish_settings(effects);
        }
        Ok(())
    }

    fn rename_team(&mut self, name: &str, now_ms: u64, effects: &mut Effects) -> Outcome {
        let name = text::team_name(name)?;
        if name != self.state.name {
            self.state.name.clone_from(&name);
            self.publish_settings(effects);
            self.record(HistoryKind::TeamNamed { name }, now_ms, effects);
        }
        Ok(())
    }

    fn publish_settings(&mut self, effects: &mut Effects) {
        let (name, deck) = (self.state.name.clone(), self.state.deck.clone());
        self.change(
            Event::SettingsChanged {
                name,
                deck,
                auto_reveal: self.state.auto_reveal,
            },
            effects,
        );
    }

    /// The timer only informs: its end reveals nothing.
    fn start_timer(&mut self, seconds: u32, now_ms: u64, effects: &mut Effects) -> Outcome {
        if !(TIMER_SECONDS_MIN..=TIMER_SECONDS_MAX).contains(&seconds) {
            let message = format!("a timer runs {TIMER_SECONDS_MIN} to {TIMER_SECONDS_MAX} seconds");
            return Err(Refusal::new(ErrorCode::InvalidTimer, message));
        }
        let timer = TimerView {
            ends_at_ms: now_ms.saturating_add(u64::from(seconds) * 1000),
            seconds,
        };
        self.state.timer = Some(timer);
        let timer = Some(timer);
        let ran_out = false;
        self.change(Event::TimerChanged { timer, ran_out }, effects);
        Ok(())
    }

    /// A secret vote is withdrawn as well. A removed participant may join again.
    fn remove_participant(&mut self, who: &str, removed: &str, effects: &mut Effects) -> Outcome {
        if removed == who {
            let message = "you cannot remove yourself; hand over and close the page";
            return Err(Refusal::new(ErrorCode::CannotRemoveSelf, message));
        }
        self.expect_participant(removed)?;
        let sessions = self
            .state
            .participants
            .get(removed)
            .map(|seat| seat.sessions().to_vec())
            .unwrap_or_default();
        self.withdraw_vote(removed, effects);
        self.leave(removed, effects);
        for session in sessions {
            self.sessions.remove(&session);
            let reason = ErrorCode::Removed.name();
            effects.out.push(Output::Kick {
                session,
                code: close::REMOVED,
                reason,
            });
        }
        Ok(())
    }

    fn expect_participant(&self, id: &str) -> Outcome {
        if self.state.participants.get(id).is_some() {
            return Ok(());
        }
        Err(Refusal::new(
            ErrorCode::UnknownParticipant,
            "this person is not in the room any more",
        ))
    }

    fn expect_card(&self, card: &str) -> Outcome {
        if self.state.deck.has(card) {
            return Ok(());
        }
        Err(Refusal::new(
            ErrorCode::UnknownCard,
            "this card is not in the deck; choose another one",
        ))
    }
}

fn is_for_facilitator(command: &Command) -> bool {
    use Command::{ClearVote, Rename, SetRole, TakeFacilitator, Vote};
    !matches!(
        command,
        Vote { .. } | ClearVote { .. } | Rename { .. } | SetRole { .. } | TakeFacilitator {}
    )
}
