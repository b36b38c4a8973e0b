//! One session of a team: its phase, and what its client has and waits for.

use std::collections::VecDeque;

use axum::extract::ws::Utf8Bytes;
use poker_core::{
    CatchUp,
    protocol::{Hello, Resume},
};

use super::{action::Action, limits::NO_SHARD_NOTICE_AFTER_MS};
use crate::link::ToShard;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not open at any shard; to be opened at this time at the earliest.
    Waiting {
        not_before_ms: u64,
    },
    Opening,
    Attached,
    /// Its socket is closing.
    Closing,
}

/// A session of a team, whichever shard it is open at.
pub struct Session {
    pub id: u64,
    hello: Hello,
    pub phase: Phase,
    /// The last event delivered to the client.
    pub seen: Option<Resume>,
    /// Commands without an answer, oldest first: (id, frame).
    pub unacked: VecDeque<(String, String)>,
    pub waiting_since_ms: Option<u64>,
    welcomed: bool,
    pub noticed: bool,
}

impl Session {
    pub fn new(id: u64, hello: Hello, now_ms: u64) -> Self {
        Self {
            id,
            seen: hello.resume,
            hello,
            phase: Phase::Waiting { not_before_ms: 0 },
            unacked: VecDeque::new(),
            waiting_since_ms: Some(now_ms),
            welcomed: false,
            noticed: false,
        }
    }

    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Opening | Phase::Attached)
    }

    pub fn deliver(&self, text: Utf8Bytes) -> Action {
        Action::Deliver {
            session: self.id,
            text,
        }
    }

    /// Delivers the state on the first attach, else only what brings the session up to date.
    pub fn catch_up(&mut self, welcome: String, catch_up: CatchUp, out: &mut Vec<Action>) {
        let is_first = !std::mem::replace(&mut self.welcomed, true);
        let welcome = is_first.then_some(welcome);
        let session = self.id;
        match catch_up {
            CatchUp::Snapshot(snapshot) => out.push(Action::DeliverState {
                session,
                texts: welcome.into_iter().chain([snapshot]).collect(),
            }),
            // The first state of a client is never cut: the events that it missed may exceed the queue.
            CatchUp::Events(events) if is_first => out.push(Action::DeliverState {
                session,
                texts: welcome.into_iter().chain(events).collect(),
            }),
            CatchUp::Events(events) => out.extend(events.into_iter().map(|text| self.deliver(text.into()))),
        }
    }

    pub fn open(&self, team: &str, table_version: u64) -> ToShard {
        ToShard::Open {
            session: self.id,
            team: team.to_owned(),
            table_version,
            hello: Hello {
                resume: self.seen,
                ..self.hello.clone()
            },
        }
    }

    pub fn next_deadline_ms(&self) -> Option<u64> {
        match self.phase {
            Phase::Waiting { not_before_ms } => Some(not_before_ms),
            _ => None,
        }
    }

    pub fn notice_due_ms(&self) -> Option<u64> {
        let waiting = self
            .waiting_since_ms
            .filter(|_| !self.noticed && self.phase != Phase::Closing);
        waiting.map(|ms| ms + NO_SHARD_NOTICE_AFTER_MS)
    }
}
