//! A room with clients: delivers the room's outputs, and every client keeps its own state.

use std::collections::BTreeMap;

use crate::limits::PROTOCOL_VERSION;
use crate::protocol::{
    ClientMessage, Command, DeckChoice, DeckKind, ErrorMessage, Event, Hello, ParticipantId, Phase, Resume,
    Role, RoomView, ServerMessage,
};
use crate::{CatchUp, Effects, ErrorCode, Input, Output, Room, SessionId, TeamSlug};

pub const START_MS: u64 = 1_800_000_000_000;

pub fn team() -> TeamSlug {
    TeamSlug::parse("blue-team").unwrap()
}

pub fn deck(kind: DeckKind, cards: &[&str]) -> DeckChoice {
    DeckChoice {
        kind,
        cards: Some(cards.iter().map(|&card| String::from(card)).collect()),
    }
}

pub fn key(person: u64) -> String {
    format!("{person:032x}")
}

pub fn person_id(person: u64) -> ParticipantId {
    crate::team::participant_id(&team(), &key(person)).unwrap()
}

pub fn hello(person: u64) -> Hello {
    let name = format!("Person {person}");
    Hello {
        protocol: PROTOCOL_VERSION,
        key: key(person),
        name,
        role: Role::Voter,
        create: None,
        resume: None,
    }
}

/// Handles messages as the page does.
#[derive(Clone, Debug, Default)]
pub struct Client {
    pub you: ParticipantId,
    pub epoch: u64,
    pub seq: u64,
    pub room: Option<RoomView>,
    pub your_vote: Option<String>,
    pub resumed: bool,
    pub acks: Vec<String>,
    pub errors: Vec<ErrorMessage>,
}

impl Client {
    pub fn receive(&mut self, text: &str) {
        match serde_json::from_str(text).unwrap() {
            ServerMessage::Welcome { you, resumed, .. } => (self.you, self.resumed) = (you, resumed),
            ServerMessage::Snapshot {
                epoch,
                seq,
                room,
                your_vote,
                ..
            } => {
                (self.epoch, self.seq, self.room, self.your_vote) = (epoch, seq, Some(*room), your_vote);
            }
            ServerMessage::Event { epoch, seq, event } => {
                assert_eq!((epoch, seq), (self.epoch, self.seq + 1), "events are consecutive");
                self.seq = seq;
                if matches!(event, Event::RoundStarted { .. }) {
                    self.your_vote = None;
                }
                reduce(self.room.as_mut().unwrap(), event);
            }
            ServerMessage::YourVote { round, card } => {
                assert_eq!(round, self.room.as_ref().unwrap().round.number);
                self.your_vote = card;
            }
            ServerMessage::Ack { id, .. } => self.acks.push(id),
            ServerMessage::Error(error) => self.errors.push(error),
            ServerMessage::Pong {} | ServerMessage::Notice { .. } => panic!("a room sends no {text}"),
        }
    }

    pub fn resume(&self) -> Option<Resume> {
        Some(Resume {
            epoch: self.epoch,
            seq: self.seq,
        })
    }
}

/// Applies an event as the page does.
pub fn reduce(room: &mut RoomView, event: Event) {
    match event {
        Event::ParticipantJoined { participant } => room.participants.push(participant),
        Event::ParticipantChanged { participant } => {
            let seat = room.participants.iter_mut().find(|own| own.id == participant.id);
            *seat.unwrap() = participant;
        }
        Event::ParticipantLeft { id } => room.participants.retain(|own| own.id != id),
        Event::Voted {
            participant,
            has_voted: true,
        } => room.round.voted.push(participant),
        Event::Voted {
            participant,
            has_voted: false,
        } => room.round.voted.retain(|own| *own != participant),
        Event::Revealed { round, votes, stats } => {
            assert_eq!(round, room.round.number);
            (room.round.phase, room.round.votes, room.round.stats) =
                (Phase::Revealed, Some(votes), Some(stats));
        }
        Event::RoundStarted { number, story } => {
            (room.round.number, room.round.story, room.round.phase) = (number, story, Phase::Voting);
            (room.round.voted, room.round.votes, room.round.stats) = (Vec::new(), None, None);
            room.round.saved = false;
        }
        Event::EstimateSaved { story, card } => {
            room.stories
                .iter_mut()
                .find(|own| own.id == story)
                .unwrap()
                .estimate = Some(card);
            room.round.saved |= room.round.story == Some(story);
        }
        Event::StoriesChanged { stories } => room.stories = stories,
        Event::SettingsChanged {
            name,
            deck,
            auto_reveal,
        } => {
            (room.name, room.deck, room.auto_reveal) = (name, deck, auto_reveal);
        }
        Event::TimerChanged { timer, .. } => room.timer = timer,
    }
}

pub struct World {
    pub room: Room,
    pub now_ms: u64,
    pub clients: BTreeMap<u64, Client>,
    pub kicked: BTreeMap<u64, (u16, String)>,
    commands: u64,
}

impl World {
    pub fn new(deck: &DeckChoice) -> Self {
        let mut room = Room::create(team(), "Blue", deck, START_MS).unwrap();
        room.start(1, START_MS);
        Self {
            room,
            now_ms: START_MS,
            clients: BTreeMap::new(),
            kicked: BTreeMap::new(),
            commands: 0,
        }
    }

    /// Another process claims the room, and the sessions must attach again. Returns their former state.
    pub fn move_room(&mut self) -> BTreeMap<u64, Client> {
        let mut room = Room::decode(&self.room.encode()).unwrap();
        room.start(self.room.epoch() + 1, self.now_ms);
        self.room = room;
        std::mem::take(&mut self.clients)
    }

    /// Passes the input to the room and the outputs to the clients.
    pub fn feed(&mut self, input: Input) -> Effects {
        let effects = self.room.handle(input, self.now_ms);
        for output in &effects.out {
            self.deliver(output);
        }
        effects
    }

    fn deliver(&mut self, output: &Output) {
        match output {
            Output::Attached {
                session,
                epoch,
                seq,
                welcome,
                catch_up,
            } => {
                let client = self.clients.entry(session.0).or_default();
                texts(welcome, catch_up)
                    .iter()
                    .for_each(|text| client.receive(text));
                assert_eq!((client.epoch, client.seq), (*epoch, *seq));
            }
            Output::Ack { session, text, .. }
            | Output::Refused { session, text, .. }
            | Output::Private { session, text } => self.clients.entry(session.0).or_default().receive(text),
            Output::Publish { seq, text } => {
                for client in self
                    .clients
                    .values_mut()
                    .filter(|client| client.room.is_some() && client.seq < *seq)
                {
                    client.receive(text);
                }
            }
            Output::Kick {
                session,
                code,
                reason,
            } => {
                self.clients.remove(&session.0);
                self.kicked.insert(session.0, (*code, reason.clone()));
            }
        }
    }

    pub fn attach(&mut self, session: u64, hello: Hello) -> Effects {
        // Until it is attached again, a session gets nothing.
        self.clients.remove(&session);
        self.feed(Input::Attach {
            session: SessionId(session),
            hello,
        })
    }

    /// Attaches again with the client's former state.
    pub fn resume(&mut self, session: u64, hello: Hello, old: Client) -> Effects {
        let resume = old.resume();
        let hello = Hello { resume, ..hello };
        let effects = self.room.handle(
            Input::Attach {
                session: SessionId(session),
                hello,
            },
            self.now_ms,
        );
        for output in &effects.out {
            if matches!(output, Output::Attached { .. }) {
                self.clients.insert(session, old.clone());
            }
            self.deliver(output);
        }
        effects
    }

    pub fn detach(&mut self, session: u64) -> Option<Client> {
        let client = self.clients.remove(&session);
        self.feed(Input::Detach {
            session: SessionId(session),
        });
        client
    }

    pub fn command_as(&mut self, session: u64, id: &str, command: Command) -> Effects {
        self.feed(Input::Command {
            session: SessionId(session),
            id: String::from(id),
            command,
        })
    }

    /// With a new id.
    pub fn command(&mut self, session: u64, command: Command) -> Effects {
        self.commands += 1;
        let id = format!("c-{}", self.commands);
        self.command_as(session, &id, command)
    }

    pub fn ok(&mut self, session: u64, command: Command) {
        let effects = self.command(session, command.clone());
        let last = effects.out.iter().rev().find_map(to_session).unwrap();
        assert!(matches!(last, ServerMessage::Ack { .. }), "{command:?}: {last:?}");
        assert!(effects.durable);
    }

    pub fn refused(&mut self, session: u64, command: Command) -> ErrorCode {
        let before = self.room.encode();
        let effects = self.command(session, command.clone());
        assert_eq!(
            self.room.encode(),
            before,
            "a refused command changes nothing: {command:?}"
        );
        assert!(!effects.durable && effects.history.is_empty());
        match effects.out.iter().find_map(to_session) {
            Some(ServerMessage::Error(error)) if effects.out.len() == 1 => error.code,
            other => panic!("{command:?} was answered with {other:?}"),
        }
    }

    pub fn round(&self) -> u64 {
        self.room.view().round.number
    }

    pub fn vote(&mut self, session: u64, card: &str) {
        self.ok(
            session,
            Command::Vote {
                round: self.round(),
                card: String::from(card),
            },
        );
    }

    pub fn wait_ms(&mut self, ms: u64) -> Effects {
        self.now_ms += ms;
        self.feed(Input::Tick)
    }
}

fn to_session(output: &Output) -> Option<ServerMessage> {
    match output {
        Output::Ack { text, .. } | Output::Refused { text, .. } | Output::Private { text, .. } => {
            serde_json::from_str(text).ok()
        }
        _ => None,
    }
}

/// The texts that a session gets when it is attached, in order.
pub fn texts<'a>(welcome: &'a str, catch_up: &'a CatchUp) -> Vec<&'a str> {
    let rest = match catch_up {
        CatchUp::Snapshot(text) => vec![text.as_str()],
        CatchUp::Events(events) => events.iter().map(String::as_str).collect(),
    };
    [vec![welcome], rest].concat()
}

/// Parses the command of a frame.
pub fn parse_command(json: &str) -> Command {
    let text = format!(r#"{{"type":"command","id":"1","command":{json}}}"#);
    match crate::parse::client_message(&text).unwrap() {
        ClientMessage::Command { command, .. } => command,
        other => panic!("{other:?}"),
    }
}
