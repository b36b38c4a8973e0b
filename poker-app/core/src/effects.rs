//! What goes into a room and what comes out of it.

use crate::history::HistoryEvent;
use crate::protocol::{Command, Hello};

/// A client connection, named by its gateway; unique within the process that runs the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A session says hello. Attaching an attached session again starts it anew.
    Attach {
        session: SessionId,
        hello: Hello,
    },
    Detach {
        session: SessionId,
    },
    Command {
        session: SessionId,
        id: String,
        command: Command,
    },
    /// Time has passed; due at `Room::next_deadline_ms`.
    Tick,
}

/// The outcome of one input. Nothing else leaves a room.
#[derive(Debug, Default, PartialEq)]
pub struct Effects {
    /// The state changed in a way that must be stored before any output is sent. Outputs of a room
    /// leave in order: those of a later input wait for the store too, even when it changed nothing.
    pub durable: bool,
    pub out: Vec<Output>,
    /// Goes into the outbox with the same write; deduplicated by (team, epoch, seq).
    pub history: Vec<HistoryEvent>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// The session has the room's state as of `seq`: a welcome, then a snapshot or the events missed.
    /// It wants every `Publish` with a larger seq.
    Attached {
        session: SessionId,
        epoch: u64,
        seq: u64,
        text: Vec<String>,
    },
    /// `command_id`: the text acknowledges or refuses this command.
    ToSession {
        session: SessionId,
        command_id: Option<String>,
        text: String,
    },
    /// To all attached sessions of the room.
    Publish { seq: u64, text: String },
    /// The session is no longer of the room; close its socket.
    Kick {
        session: SessionId,
        code: u16,
        reason: String,
    },
}
