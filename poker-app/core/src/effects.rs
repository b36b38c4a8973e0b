//! The inputs and outputs of a room.

use serde::{Deserialize, Serialize};

use crate::history::HistoryEvent;
use crate::protocol::{Command, Hello};

/// A socket attached to a room, as named by its gateway; unique within the process that owns the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A session joins. Attaching an attached session again restarts it.
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

/// The result of one input. Nothing else leaves a room.
#[derive(Debug, Default, PartialEq)]
pub struct Effects {
    /// The state changed and must be stored before any output is sent. The outputs of a room leave in order: those of
    /// a later input wait for the store too, even if that input changed nothing.
    pub durable: bool,
    pub out: Vec<Output>,
    /// Written to the outbox in the same transaction; deduplicated by (team, epoch, seq).
    pub history: Vec<HistoryEvent>,
}

/// Every `text` is a server message as JSON, ready for the socket.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// The session has the room's state as of `seq` and wants every `Publish` with a larger one.
    Attached {
        session: SessionId,
        epoch: u64,
        seq: u64,
        welcome: String,
        catch_up: CatchUp,
    },
    /// The command is applied, now or by an earlier copy of it.
    Ack {
        session: SessionId,
        command_id: String,
        text: String,
    },
    /// The command changed nothing.
    Refused {
        session: SessionId,
        command_id: String,
        text: String,
    },
    /// For this session alone; not the answer to a command with a valid id.
    Private { session: SessionId, text: String },
    /// For all attached sessions of the room.
    Publish { seq: u64, text: String },
    /// The session no longer belongs to the room; close its socket.
    Kick {
        session: SessionId,
        code: u16,
        reason: String,
    },
}

/// How a session gets the room's state after its welcome.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum CatchUp {
    Snapshot(String),
    /// Exactly the missed events, then the session's own vote.
    Events(Vec<String>),
}
