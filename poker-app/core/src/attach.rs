//! Sessions join and leave.

use crate::effects::{CatchUp, Effects, Output, SessionId};
use crate::error::{ErrorCode, Refusal};
use crate::history::HistoryKind;
use crate::limits::{PARTICIPANTS_MAX, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN, SESSIONS_PER_PARTICIPANT_MAX};
use crate::participants::Participant;
use crate::protocol::{ErrorMessage, Event, Hello, Role, ServerMessage, close};
use crate::room::Room;
use crate::{team, text, view};

impl Room {
    pub(crate) fn attach(&mut self, session: SessionId, hello: &Hello, now_ms: u64, effects: &mut Effects) {
        if let Err((code, refusal)) = self.take_seat(session, hello, now_ms, effects) {
            let reason = refusal.code.name();
            let text = ErrorMessage::new(None, refusal).to_text();
            effects.out.push(Output::Private { session, text });
            effects.out.push(Output::Kick {
                session,
                code,
                reason,
            });
        }
    }

    pub(crate) fn detach(&mut self, session: SessionId, now_ms: u64, effects: &mut Effects) {
        let Some(id) = self.sessions.remove(&session) else {
            return;
        };
        let Some(participant) = self.state.participants.get_mut(&id) else {
            return;
        };
        participant.disconnect(session, now_ms);
        if !participant.is_connected() {
            let participant = participant.view();
            self.publish(Event::ParticipantChanged { participant }, effects);
        }
    }

    fn take_seat(
        &mut self,
        session: SessionId,
        hello: &Hello,
        now_ms: u64,
        effects: &mut Effects,
    ) -> Result<(), (u16, Refusal)> {
        let bad_hello = |refusal| (close::BAD_HELLO, refusal);
        if !(PROTOCOL_VERSION_MIN..=PROTOCOL_VERSION).contains(&hello.protocol) {
            let message = format!("this server speaks protocol {PROTOCOL_VERSION}; reload the page");
            return Err(bad_hello(Refusal::new(ErrorCode::UnsupportedProtocol, message)));
        }
        let id = team::participant_id(&self.state.team, &hello.key).map_err(bad_hello)?;
        let name = text::participant_name(&hello.name).map_err(bad_hello)?;
        if self.sessions.get(&session).is_some_and(|seat| *seat != id) {
            self.detach(session, now_ms, effects);
        }
        // Until it is attached, the session gets nothing.
        self.sessions.remove(&session);
        if self.state.participants.get(&id).is_some() {
            self.return_to_seat(session, &id, name, hello, effects)?;
        } else {
            self.join(session, &id, name, hello.role, now_ms, effects)?;
        }
        self.sessions.insert(session, id.clone());
        self.settle(now_ms, effects);
        self.catch_up(session, id, hello, now_ms, effects);
        Ok(())
    }

    fn join(
        &mut self,
        session: SessionId,
        id: &str,
        name: String,
        role: Role,
        now_ms: u64,
        effects: &mut Effects,
    ) -> Result<(), (u16, Refusal)> {
        if self.state.participants.0.len() >= PARTICIPANTS_MAX {
            let Some(gone) = self.state.participants.longest_gone() else {
                let message = format!(
                    "the room is full with {PARTICIPANTS_MAX} people; try again when somebody has left"
                );
                return Err((
                    close::TOO_MANY,
                    Refusal::new(ErrorCode::TooManyParticipants, message),
                ));
            };
            let gone = gone.id.clone();
            self.leave(&gone, effects);
        }
        let is_new_room = self.state.seq == 0;
        let facilitator = self.state.participants.facilitator().is_none();
        let mut participant = Participant::new(String::from(id), name, role, facilitator);
        participant.connect(session);
        let view = participant.view();
        self.state.participants.0.push(participant);
        self.change(Event::ParticipantJoined { participant: view }, effects);
        if is_new_room {
            self.record(
                HistoryKind::TeamNamed {
                    name: self.state.name.clone(),
                },
                now_ms,
                effects,
            );
        }
        Ok(())
    }

    /// The seat, its vote and its name are kept. A hello without `resume` comes from a page that was just opened and has
    /// the newest name and role; one with `resume` may be older than a later `rename`.
    fn return_to_seat(
        &mut self,
        session: SessionId,
        id: &str,
        name: String,
        hello: &Hello,
        effects: &mut Effects,
    ) -> Result<(), (u16, Refusal)> {
        let Some(participant) = self.state.participants.get_mut(id) else {
            return Ok(());
        };
        let before = participant.view();
        if !participant.sessions().contains(&session) {
            if participant.sessions().len() >= SESSIONS_PER_PARTICIPANT_MAX {
                let message =
                    format!("you are here in {SESSIONS_PER_PARTICIPANT_MAX} tabs already; close one");
                return Err((close::TOO_MANY, Refusal::new(ErrorCode::TooManySessions, message)));
            }
            participant.connect(session);
        }
        if hello.resume.is_none() && (participant.name != name || participant.role != hello.role) {
            participant.name.clone_from(&name);
            participant.role = hello.role;
            self.state.round.ballots.rename(id, &name);
            effects.durable = true;
        }
        let after = participant.view();
        if after != before {
            self.publish(Event::ParticipantChanged { participant: after }, effects);
        }
        if hello.resume.is_none() && hello.role == Role::Observer {
            self.withdraw_vote(id, effects);
        }
        Ok(())
    }

    /// Sends exactly the missed events if the ring still has all of them, else a snapshot.
    fn catch_up(&self, session: SessionId, you: String, hello: &Hello, now_ms: u64, effects: &mut Effects) {
        let (epoch, seq) = (self.epoch, self.state.seq);
        let resume = hello.resume.filter(|resume| resume.epoch == epoch);
        let missed = resume.and_then(|resume| self.ring.after(resume.seq, seq));
        let resumed = missed.is_some();
        let catch_up = match missed {
            Some(mut events) => {
                events.push(self.own_vote(&you).to_text());
                CatchUp::Events(events)
            }
            None => CatchUp::Snapshot(self.snapshot(&you, now_ms).to_text()),
        };
        let welcome = ServerMessage::Welcome {
            protocol: PROTOCOL_VERSION,
            you,
            epoch,
            seq,
            resumed,
            now_ms,
        };
        effects.out.push(Output::Attached {
            session,
            epoch,
            seq,
            welcome: welcome.to_text(),
            catch_up,
        });
    }

    fn snapshot(&self, you: &str, now_ms: u64) -> ServerMessage {
        ServerMessage::Snapshot {
            epoch: self.epoch,
            seq: self.state.seq,
            now_ms,
            room: Box::new(view::room(&self.state)),
            your_vote: self.state.round.ballots.own_vote(you),
        }
    }
}
