//! Writes the protocol for the web application: its types in TypeScript, and the meaning of its events
//! as vectors. `cargo test -p poker-core --features typescript export_bindings`
#![cfg(feature = "typescript")]
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use poker_core::Output;
use poker_core::history::TeamHistory;
use poker_core::protocol::{ClientMessage, DeckKind, RestartReason, ServerMessage};
use serde_json::json;
use support::{World, deck, hello, parse_command, person_id, reduce};
use ts_rs::{Config, TS};

const DIRECTORY: &str = "../web/src/protocol";

#[test]
fn export_bindings() {
    let config = Config::new().with_large_int("number").with_out_dir(DIRECTORY);
    ClientMessage::export_all(&config).unwrap();
    ServerMessage::export_all(&config).unwrap();
    RestartReason::export_all(&config).unwrap();
    TeamHistory::export_all(&config).unwrap();
}

/// `{snapshot: RoomView, steps: [{event, room: RoomView after it}]}`, with every kind of event.
#[test]
fn export_bindings_vectors() {
    let mut world = World::new(&deck(DeckKind::Fibonacci, &[]));
    world.attach(0, hello(0));
    let mut room = world.room.view();
    let snapshot = room.clone();
    let mut steps = Vec::new();
    let mut record = |out: Vec<Output>| {
        for output in out {
            let Output::Publish { text, .. } = output else {
                continue;
            };
            let Ok(ServerMessage::Event { event, .. }) = serde_json::from_str(&text) else {
                continue;
            };
            reduce(&mut room, event.clone());
            steps.push(json!({"event": event, "room": room}));
        }
    };
    record(world.attach(1, hello(1)).out);
    record(world.attach(2, hello(2)).out);
    let commands = [
        (0, r#"{"type":"add_stories","titles":["Login","Logout"]}"#),
        (0, r#"{"type":"start_timer","seconds":30}"#),
        (1, r#"{"type":"vote","round":2,"card":"13"}"#),
        (2, r#"{"type":"vote","round":2,"card":"?"}"#),
        (2, r#"{"type":"clear_vote","round":2}"#),
        (2, r#"{"type":"vote","round":2,"card":"3"}"#),
        (0, r#"{"type":"reveal","round":2}"#),
        (0, r#"{"type":"vote_again","round":2}"#),
        (1, r#"{"type":"vote","round":3,"card":"5"}"#),
        (0, r#"{"type":"reveal","round":3}"#),
        (0, r#"{"type":"save_estimate","round":3,"card":"5"}"#),
        (0, r#"{"type":"next_story","round":3}"#),
        (0, r#"{"type":"set_deck","deck":{"kind":"t_shirt"}}"#),
        (1, r#"{"type":"rename","name":"Ada"}"#),
        (1, r#"{"type":"set_role","role":"observer"}"#),
    ];
    for (session, command) in commands {
        record(world.command(session, parse_command(command)).out);
    }
    let removal = format!(
        r#"{{"type":"remove_participant","participant":"{}"}}"#,
        person_id(2)
    );
    record(world.command(0, parse_command(&removal)).out);
    assert_eq!(room, world.room.view());
    let vectors = serde_json::to_string_pretty(&json!({"snapshot": snapshot, "steps": steps})).unwrap();
    std::fs::write(Path::new(DIRECTORY).join("vectors.json"), vectors + "\n").unwrap();
}
