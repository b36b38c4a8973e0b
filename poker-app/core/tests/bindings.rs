//! Writes the protocol as TypeScript: `cargo test -p poker-core --features typescript export_bindings`.
#![cfg(feature = "typescript")]

use poker_core::history::TeamHistory;
use poker_core::protocol::{ClientMessage, RestartReason, ServerMessage};
use ts_rs::{Config, TS};

#[test]
fn export_bindings() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../web/src/protocol");
    let config = Config::new().with_large_int("number").with_out_dir(directory);
    ClientMessage::export_all(&config).unwrap();
    ServerMessage::export_all(&config).unwrap();
    RestartReason::export_all(&config).unwrap();
    TeamHistory::export_all(&config).unwrap();
}
