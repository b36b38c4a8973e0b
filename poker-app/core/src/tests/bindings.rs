//! Writes the protocol for the page: its types in TypeScript, and test vectors for the reducer of the page.
//! `cargo test -p poker-core --features typescript export_bindings`

use std::path::Path;

use serde_json::{Value, json};
use ts_rs::{Config, TS};

use super::support::{Client, World, deck, hello, parse_command, person_id, texts};
use crate::Output;
use crate::history::TeamHistory;
use crate::protocol::{ClientMessage, DeckKind, RestartReason, ServerMessage};

const DIRECTORY: &str = "../web/src/protocol";

#[test]
fn export_bindings() {
    let config = Config::new().with_large_int("number").with_out_dir(DIRECTORY);
    ClientMessage::export_all(&config).unwrap();
    ServerMessage::export_all(&config).unwrap();
    RestartReason::export_all(&config).unwrap();
    TeamHistory::export_all(&config).unwrap();
}

/// The participant whose messages are recorded: the facilitator.
const RECORDED: u64 = 0;

/// The messages that one session receives, each with the state of its client after it.
#[derive(Default)]
struct Recorder {
    client: Client,
    vectors: Vec<Value>,
}

impl Recorder {
    /// Checks that the client agrees with the room after the outputs of one input.
    fn record(&mut self, world: &World, outputs: &[Output]) {
        for output in outputs {
            for text in self.received(output) {
                let message: Value = serde_json::from_str(text).unwrap();
                self.client.receive(text);
                let Client {
                    you, room, your_vote, ..
                } = &self.client;
                let state = json!({"you": you, "room": room, "yourVote": your_vote});
                self.vectors.push(json!({"message": message, "state": state}));
            }
        }
        assert_eq!(self.client.room, Some(world.room.view()));
    }

    fn received<'a>(&self, output: &'a Output) -> Vec<&'a str> {
        match output {
            Output::Attached {
                session,
                welcome,
                catch_up,
                ..
            } if session.0 == RECORDED => texts(welcome, catch_up),
            Output::Ack { session, text, .. }
            | Output::Refused { session, text, .. }
            | Output::Private { session, text }
                if session.0 == RECORDED =>
            {
                vec![text.as_str()]
            }
            Output::Publish { seq, text } if self.client.room.is_some() && self.client.seq < *seq => {
                vec![text.as_str()]
            }
            _ => Vec::new(),
        }
    }
}

/// `[{message: ServerMessage, state: {you, room, yourVote} after it}]`, one vector per line, with every kind
/// of event.
#[test]
fn export_bindings_vectors() {
    let mut world = World::new(&deck(DeckKind::Fibonacci, &[]));
    let mut recorder = Recorder::default();
    for session in [RECORDED, 1, 2] {
        let effects = world.attach(session, hello(session));
        recorder.record(&world, &effects.out);
    }
    let removal = format!(
        r#"{{"type":"remove_participant","participant":"{}"}}"#,
        person_id(2)
    );
    let commands = [
        (0, r#"{"type":"add_stories","titles":["Login","Logout"]}"#),
        (0, r#"{"type":"start_timer","seconds":30}"#),
        (1, r#"{"type":"vote","round":2,"card":"13"}"#),
        (0, r#"{"type":"vote","round":2,"card":"8"}"#),
        (0, r#"{"type":"clear_vote","round":2}"#),
        (2, r#"{"type":"vote","round":2,"card":"?"}"#),
        (2, r#"{"type":"clear_vote","round":2}"#),
        (2, r#"{"type":"vote","round":2,"card":"3"}"#),
        // Refused: the round is another one.
        (0, r#"{"type":"vote","round":1,"card":"5"}"#),
        (0, r#"{"type":"reveal","round":2}"#),
        (0, r#"{"type":"vote_again","round":2}"#),
        (0, r#"{"type":"vote","round":3,"card":"8"}"#),
        (1, r#"{"type":"vote","round":3,"card":"5"}"#),
        (0, r#"{"type":"reveal","round":3}"#),
        (0, r#"{"type":"save_estimate","round":3,"card":"5"}"#),
        (0, r#"{"type":"next_story","round":3}"#),
        (0, r#"{"type":"set_deck","deck":{"kind":"t_shirt"}}"#),
        (1, r#"{"type":"rename","name":"Ada"}"#),
        (1, r#"{"type":"set_role","role":"observer"}"#),
        (0, removal.as_str()),
    ];
    for (session, command) in commands {
        let effects = world.command(session, parse_command(command));
        recorder.record(&world, &effects.out);
    }
    let lines: Vec<String> = recorder.vectors.iter().map(Value::to_string).collect();
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    std::fs::write(Path::new(DIRECTORY).join("vectors.json"), text).unwrap();
}
