//! The inputs of the engine, as the links bring them.

use std::sync::Arc;

use poker_core::{
    SessionId,
    protocol::{Command, Hello},
};

use super::link_handle::LinkHandle;

pub enum Input {
    Open(Open),
    Command {
        session: SessionId,
        id: String,
        command: Command,
    },
    Close {
        session: SessionId,
    },
    LinkEnded {
        link: u64,
    },
    /// Shards that the gateway at this link can reach from now on, or no longer.
    Shards {
        link: u64,
        up: Vec<String>,
        down: Vec<String>,
    },
    /// Hand all rooms over and open no more.
    Drain,
}

/// A session that asks to join a room.
pub struct Open {
    pub session: SessionId,
    pub link: LinkHandle,
    pub team: Arc<str>,
    /// Version of the table that the gateway routed by.
    pub table_version: u64,
    pub hello: Hello,
}
