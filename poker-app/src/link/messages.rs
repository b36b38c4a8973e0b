//! The messages of a link.

use poker_core::{CatchUp, ErrorCode, protocol::Hello};
use serde::{Deserialize, Serialize};

/// From a gateway to a shard. The gateway chooses the numbers of sessions and requests, unique within its process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToShard {
    /// First frame of a link. `gateway` names the process in logs.
    Hello { gateway: String },
    /// Opens a session in a team's room. `hello` is the client's, with `resume` set to what the gateway has delivered.
    /// `table_version` is the routing table that the gateway routed by.
    Open {
        session: u64,
        team: String,
        table_version: u64,
        hello: Hello,
    },
    /// A client's `command` frame as JSON, unchanged.
    Command { session: u64, text: String },
    /// The client has disconnected.
    Close { session: u64 },
    /// Asks for a team's name. Every shard answers it from the store, whether it owns the room or not.
    Preview { request: u64, team: String },
    /// Asks for a [`ToGateway::Pong`].
    Ping,
    /// Shards to which the gateway's links came up or went down; the first one of a link lists all that are up.
    Shards { up: Vec<String>, down: Vec<String> },
}

/// From a shard to a gateway. Every `text` is a server message as JSON, ready for the socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToGateway {
    /// The session is in the room and has its state as of `seq`.
    Attached {
        session: u64,
        team: String,
        epoch: u64,
        seq: u64,
        welcome: String,
        catch_up: CatchUp,
    },
    /// The command is stored.
    Ack {
        session: u64,
        command_id: String,
        text: String,
    },
    /// The command changed nothing.
    Refused {
        session: u64,
        command_id: String,
        text: String,
    },
    /// For one session; answers no command.
    Private { session: u64, text: String },
    /// For every session of the team that is attached on this link.
    Publish {
        team: String,
        epoch: u64,
        seq: u64,
        text: String,
    },
    /// The room is not here or has left. `owner` is a link address; without one, the gateway routes again.
    Moved {
        team: String,
        owner: Option<String>,
        table_version: u64,
    },
    /// The session cannot be opened: for `retry_after_ms`, or at all without one.
    OpenRefused {
        session: u64,
        code: ErrorCode,
        message: String,
        retry_after_ms: Option<u32>,
    },
    /// Close the session's socket with a close code and reason.
    Kick { session: u64, code: u16, reason: String },
    /// Answers [`ToShard::Preview`]; `None`: there is no such team.
    Preview { request: u64, name: Option<String> },
    /// Answers [`ToShard::Ping`].
    Pong,
}
