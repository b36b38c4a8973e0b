//! Invariants after any sequence of inputs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::history::HistoryKind;
use crate::limits::{COMMAND_IDS_REMEMBERED, RING_BYTES_MAX, SNAPSHOT_BYTES_MAX};
use crate::protocol::{ClientMessage, Command, DeckChoice, DeckKind, Event, Hello, Role, ServerMessage};
use crate::tests::support::{Client, World, deck, hello, person_id, texts};
use crate::{Effects, Input, Output, SessionId, parse};
use proptest::prelude::*;

const PEOPLE: u64 = 4;
/// Several sessions belong to one person.
const SESSIONS: u64 = 7;

/// Every person votes with their own cards, so that a card identifies the voter.
fn marker(person: u64, variant: u64) -> String {
    format!("V{person}{variant}")
}

fn marked_deck() -> DeckChoice {
    let mut cards: Vec<String> = (0..PEOPLE)
        .flat_map(|person| (0..3).map(move |n| marker(person, n)))
        .collect();
    cards.extend([String::from("E1"), String::from("E2")]);
    DeckChoice {
        kind: DeckKind::Custom,
        cards: Some(cards),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Attach {
        session: u64,
        role: Role,
        name: u8,
    },
    Resume {
        session: u64,
    },
    Detach {
        session: u64,
    },
    Vote {
        session: u64,
        variant: u64,
        stale: bool,
    },
    Command {
        session: u64,
        command: Command,
        stale: bool,
    },
    Resend {
        back: usize,
    },
    Wait {
        ms: u64,
    },
    Restart,
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![4 => Just(Role::Voter), 1 => Just(Role::Observer)]
}

/// Rounds are filled in when the step runs.
fn command() -> impl Strategy<Value = Command> {
    let round = 0;
    let card = prop_oneof![Just("E1"), Just("E2"), Just("nowhere")].prop_map(String::from);
    let title = prop_oneof![5 => "[a-z]{1,8}", 1 => Just(String::new())];
    let decks = prop_oneof![Just(marked_deck()), Just(deck(DeckKind::Fibonacci, &[]))];
    prop_oneof![
        2 => Just(Command::ClearVote { round }),
        4 => Just(Command::Reveal { round }),
        3 => Just(Command::VoteAgain { round }),
        2 => card.prop_map(move |card| Command::SaveEstimate { round, card }),
        2 => Just(Command::NextStory { round }),
        1 => (0u32..6).prop_map(|story| Command::SelectStory { story }),
        2 => prop::collection::vec(title.clone(), 0..3).prop_map(|titles| Command::AddStories { titles }),
        1 => (0u32..6, title).prop_map(|(story, title)| Command::EditStory { story, title }),
        1 => (0u32..6).prop_map(|story| Command::RemoveStory { story }),
        1 => (0u32..6, 0u32..6).prop_map(|(story, index)| Command::MoveStory { story, index }),
        1 => decks.prop_map(|deck| Command::SetDeck { deck }),
        2 => any::<bool>().prop_map(|on| Command::SetAutoReveal { on }),
        1 => (0u32..100).prop_map(|seconds| Command::StartTimer { seconds }),
        1 => Just(Command::StopTimer {}),
        1 => "[A-Z][a-z]{0,3}".prop_map(|name| Command::Rename { name }),
        2 => role().prop_map(|role| Command::SetRole { role }),
        1 => (0..PEOPLE).prop_map(|person| Command::MakeFacilitator { participant: person_id(person) }),
        1 => Just(Command::TakeFacilitator {}),
        1 => (0..PEOPLE).prop_map(|person| Command::RemoveParticipant { participant: person_id(person) }),
        1 => "[A-Z][a-z]{0,3}".prop_map(|name| Command::RenameTeam { name }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let session = || 0..SESSIONS;
    let stale = || prop::bool::weighted(0.1);
    prop_oneof![
        4 => (session(), role(), 0u8..3).prop_map(|(session, role, name)| Step::Attach { session, role, name }),
        3 => session().prop_map(|session| Step::Resume { session }),
        2 => session().prop_map(|session| Step::Detach { session }),
        12 => (session(), 0u64..3, stale())
            .prop_map(|(session, variant, stale)| Step::Vote { session, variant, stale }),
        16 => (session(), command(), stale())
            .prop_map(|(session, command, stale)| Step::Command { session, command, stale }),
        3 => (0usize..8).prop_map(|back| Step::Resend { back }),
        2 => prop_oneof![0u64..2_000, 30_000u64..100_000, 300_000u64..900_000].prop_map(|ms| Step::Wait { ms }),
        1 => Just(Step::Restart),
    ]
}

/// The world, and an independent record of the secret votes.
struct Run {
    world: World,
    /// The state of clients that have left.
    left: BTreeMap<u64, Client>,
    /// Cards of unrevealed votes, by person.
    secrets: BTreeMap<u64, String>,
    revealed_rounds: BTreeSet<u64>,
    /// Applied commands of each person, the newest last.
    applied: BTreeMap<u64, VecDeque<(String, Command)>>,
    commands: u64,
}

fn person_of(session: u64) -> u64 {
    session % PEOPLE
}

impl Run {
    fn new() -> Self {
        Self {
            world: World::new(&marked_deck()),
            left: BTreeMap::new(),
            secrets: BTreeMap::new(),
            revealed_rounds: BTreeSet::new(),
            applied: BTreeMap::new(),
            commands: 0,
        }
    }

    fn step(&mut self, step: Step) {
        let before = self.world.room.encode();
        let effects = match step {
            Step::Attach { session, role, name } => {
                let hello = Hello {
                    role,
                    name: format!("Name {name}"),
                    ..hello(person_of(session))
                };
                self.world.attach(session, hello)
            }
            Step::Resume { session } => {
                let known = self
                    .left
                    .get(&session)
                    .or(self.world.clients.get(&session))
                    .cloned();
                let known = known.filter(|client| client.room.is_some());
                let Some(known) = known else { return };
                self.world.resume(session, hello(person_of(session)), known)
            }
            Step::Detach { session } => {
                if let Some(client) = self.world.clients.remove(&session) {
                    self.left.insert(session, client);
                }
                self.world.feed(Input::Detach {
                    session: SessionId(session),
                })
            }
            Step::Vote {
                session,
                variant,
                stale,
            } => {
                let card = marker(person_of(session), variant);
                self.command(session, Command::Vote { round: 0, card }, stale)
            }
            Step::Command {
                session,
                command,
                stale,
            } => self.command(session, command, stale),
            Step::Resend { back } => return self.resend(back),
            Step::Wait { ms } => {
                let deadline = self.world.room.next_deadline_ms();
                let effects = self.world.wait_ms(ms);
                let next = self.world.room.next_deadline_ms();
                assert!(
                    next.is_none_or(|next| next > self.world.now_ms),
                    "{deadline:?} {next:?}"
                );
                effects
            }
            Step::Restart => return self.restart(),
        };
        self.check(&effects, &before);
    }

    fn command(&mut self, session: u64, command: Command, stale: bool) -> Effects {
        let round = self.world.round() + u64::from(stale);
        let command = with_round(command, round);
        self.commands += 1;
        let id = format!("c-{}", self.commands);
        let person = person_of(session);
        // The vote is secret from the moment it is sent.
        let previous = self.secrets.get(&person).cloned();
        if let Command::Vote { card, .. } = &command {
            self.secrets.insert(person, card.clone());
        }
        let effects = self.world.command_as(session, &id, command.clone());
        let acknowledged = self
            .world
            .clients
            .get(&session)
            .is_some_and(|client| client.acks.contains(&id));
        match &command {
            _ if acknowledged => {
                let ids = self.applied.entry(person).or_default();
                ids.push_back((id, command));
                if ids.len() > COMMAND_IDS_REMEMBERED {
                    ids.pop_front();
                }
            }
            Command::Vote { .. } => {
                self.secrets.remove(&person);
                self.secrets.extend(previous.map(|card| (person, card)));
            }
            _ => {}
        }
        effects
    }

    /// A repeated command id changes nothing and is acknowledged.
    fn resend(&mut self, back: usize) {
        let attached = self
            .world
            .clients
            .iter()
            .filter(|(_, client)| client.room.is_some());
        let sessions: Vec<u64> = attached.map(|(session, _)| *session).collect();
        for session in sessions {
            let ids = self.applied.get(&person_of(session));
            let Some((id, command)) = ids.and_then(|ids| ids.iter().rev().nth(back)).cloned() else {
                continue;
            };
            let before = self.world.room.encode();
            let effects = self.world.command_as(session, &id, command);
            assert_eq!(self.world.room.encode(), before);
            assert!(!effects.durable && effects.history.is_empty());
            assert!(matches!(&effects.out[..], [Output::Ack { command_id, .. }] if *command_id == id));
            assert_eq!(self.world.clients[&session].acks.last(), Some(&id));
        }
    }

    /// Another process claims the room: only presence is lost.
    fn restart(&mut self) {
        let stored = self.world.room.encode();
        let mut expected = self.world.room.view();
        expected
            .participants
            .iter_mut()
            .for_each(|participant| participant.connected = false);
        self.left.append(&mut self.world.move_room());
        assert_eq!(self.world.room.view(), expected);
        assert_eq!(self.world.room.encode(), stored);
    }

    fn check(&mut self, effects: &Effects, before: &[u8]) {
        for output in &effects.out {
            self.check_output(output);
        }
        for event in &effects.history {
            assert!(effects.durable);
            match &event.kind {
                HistoryKind::RoundRevealed { round, .. } => assert!(self.revealed_rounds.contains(round)),
                other => self.check_text(&serde_json::to_string(other).unwrap(), None),
            }
        }
        if !effects.durable {
            assert_eq!(without_seq(&self.world.room.encode()), without_seq(before));
        }
        self.check_people();
        for client in self.world.clients.values().filter(|client| client.room.is_some()) {
            assert_eq!(client.room.as_ref().unwrap(), &self.world.room.view());
            assert_eq!(
                (client.epoch, client.seq),
                (self.world.room.epoch(), self.world.room.state.seq)
            );
            let person = (0..PEOPLE)
                .find(|&person| person_id(person) == client.you)
                .unwrap();
            if let Some(card) = self.secrets.get(&person) {
                assert_eq!(
                    client.your_vote.as_ref(),
                    Some(card),
                    "every client knows its own vote"
                );
            }
        }
    }

    fn check_people(&mut self) {
        let view = self.world.room.view();
        let attached: Vec<&Client> = self
            .world
            .clients
            .values()
            .filter(|client| client.room.is_some())
            .collect();
        let people: BTreeSet<&str> = attached.iter().map(|client| client.you.as_str()).collect();
        assert_eq!(self.world.room.connected(), people.len());
        assert_eq!(self.world.room.sessions.len(), attached.len());
        let facilitators = view
            .participants
            .iter()
            .filter(|participant| participant.facilitator)
            .count();
        assert!(facilitators <= 1 && (people.is_empty() || facilitators == 1));
        let ids: BTreeSet<&str> = view
            .participants
            .iter()
            .map(|participant| participant.id.as_str())
            .collect();
        assert_eq!(ids.len(), view.participants.len(), "one key is one participant");
        // Command ids are forgotten with the seat.
        self.applied
            .retain(|&person, _| ids.contains(person_id(person).as_str()));
    }

    /// Records revealed votes, and fails on every secret in the outputs.
    fn check_output(&mut self, output: &Output) {
        match output {
            Output::Publish { text, .. } => {
                self.follow(text);
                self.check_text(text, None);
            }
            Output::Ack { session, text, .. }
            | Output::Refused { session, text, .. }
            | Output::Private { session, text } => self.check_text(text, Some(person_of(session.0))),
            Output::Attached {
                session,
                welcome,
                catch_up,
                ..
            } => {
                let texts = texts(welcome, catch_up);
                assert!(
                    texts.iter().map(|text| text.len()).sum::<usize>() < SNAPSHOT_BYTES_MAX + RING_BYTES_MAX
                );
                assert!(texts.iter().all(|text| text.len() < SNAPSHOT_BYTES_MAX));
                texts
                    .iter()
                    .for_each(|text| self.check_text(text, Some(person_of(session.0))));
            }
            Output::Kick { reason, .. } => self.check_text(reason, None),
        }
    }

    fn follow(&mut self, text: &str) {
        let ServerMessage::Event { event, .. } = serde_json::from_str(text).unwrap() else {
            panic!("{text}")
        };
        match event {
            Event::Revealed { round, .. } => {
                self.revealed_rounds.insert(round);
                self.secrets.clear();
            }
            Event::RoundStarted { .. } => self.secrets.clear(),
            Event::Voted {
                participant,
                has_voted: false,
            } => {
                self.secrets.retain(|&person, _| person_id(person) != participant);
            }
            _ => {}
        }
    }

    fn check_text(&self, text: &str, viewer: Option<u64>) {
        let mut json: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        // Votes of earlier rounds are public, also when they are replayed.
        let revealed = json["event"]["type"] == "revealed";
        if revealed
            && json["event"]["round"]
                .as_u64()
                .is_some_and(|round| self.revealed_rounds.contains(&round))
        {
            return;
        }
        for deck in ["/room/deck", "/event/deck"] {
            json.pointer_mut(deck).map(serde_json::Value::take);
        }
        let text = json.to_string();
        for (person, card) in &self.secrets {
            assert!(
                viewer == Some(*person) || !text.contains(card.as_str()),
                "{viewer:?} sees {card}: {text}"
            );
        }
    }
}

fn with_round(command: Command, current: u64) -> Command {
    match command {
        Command::Vote { card, .. } => Command::Vote { round: current, card },
        Command::ClearVote { .. } => Command::ClearVote { round: current },
        Command::Reveal { .. } => Command::Reveal { round: current },
        Command::VoteAgain { .. } => Command::VoteAgain { round: current },
        Command::SaveEstimate { card, .. } => Command::SaveEstimate { round: current, card },
        Command::NextStory { .. } => Command::NextStory { round: current },
        other => other,
    }
}

fn without_seq(state: &[u8]) -> serde_json::Value {
    let mut json: serde_json::Value = serde_json::from_slice(state).unwrap();
    json["seq"].take();
    json
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn room_invariants_hold_after_any_steps(steps in prop::collection::vec(step(), 1..120)) {
        let mut run = Run::new();
        for session in 0..SESSIONS {
            run.step(Step::Attach { session, role: Role::Voter, name: 0 });
        }
        for step in steps {
            run.step(step);
        }
    }

    #[test]
    fn no_text_makes_a_room_panic(texts in prop::collection::vec(frame(), 1..20)) {
        let mut world = World::new(&marked_deck());
        for session in 0..3 {
            world.attach(session, hello(session));
        }
        for (n, text) in texts.iter().enumerate() {
            let session = SessionId(n as u64 % 5);
            match parse::client_message(text) {
                Ok(ClientMessage::Hello(hello)) => drop(world.attach(session.0, hello)),
                Ok(ClientMessage::Command { id, command }) => {
                    world.feed(Input::Command { session, id, command });
                }
                Ok(ClientMessage::Ping {}) => {}
                Err(rejected) => prop_assert!(!rejected.refusal.message.is_empty()),
            }
        }
    }
}

/// Random text and almost valid messages.
fn frame() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just(String::from("null")),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<u64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| n.to_string()),
        ".{0,12}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        Just(String::from("[[],{}]")),
    ];
    let kinds = prop_oneof![
        Just("vote"),
        Just("reveal"),
        Just("add_stories"),
        Just("set_deck"),
        Just("start_timer"),
        Just("move_story"),
        Just("save_estimate"),
        Just("rename"),
        Just("remove_participant"),
        Just("nothing"),
    ];
    const FIELDS: &[&str] = &[
        "round",
        "card",
        "titles",
        "deck",
        "seconds",
        "story",
        "index",
        "name",
        "participant",
    ];
    let field =
        (prop::sample::select(FIELDS), value).prop_map(|(field, value)| format!(",\"{field}\":{value}"));
    let command = (kinds, prop::collection::vec(field, 0..5)).prop_map(|(kind, fields)| {
        format!(
            r#"{{"type":"command","id":"x","command":{{"type":"{kind}"{}}}}}"#,
            fields.concat()
        )
    });
    prop_oneof![1 => ".{0,200}", 6 => command]
}
