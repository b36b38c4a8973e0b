//! One team's sessions at this gateway. Pure: inputs and time come in, [`Action`]s go out in order.
//!
//! A session survives every change of shard: it is opened again wherever the team is, with what it
//! has seen, and its unanswered commands are sent again.

use std::{collections::VecDeque, sync::Arc};

use axum::extract::ws::Utf8Bytes;
use poker_core::{
    ErrorCode,
    protocol::{ErrorMessage, NoticeCode, Resume, ServerMessage, close},
};

use super::{
    limits::{NOTICE_AFTER_MS, REFUSED_RETRY_MS, UNACKED_BYTES_MAX, UNACKED_COMMANDS_MAX},
    placement::{LinkState, Placement, World},
};
use crate::link::{ToGateway, ToShard, Wish};

/// Of no epoch: gives a snapshot, and still tells a session that goes on from one that begins.
const NOTHING_SEEN: Resume = Resume { epoch: 0, seq: 0 };

/// What the gateway has to do. `session`s are those of [`Team::join`].
#[derive(Debug, PartialEq)]
pub enum Action {
    Send {
        address: Arc<str>,
        frame: ToShard,
    },
    /// A message of the room's ongoing traffic.
    Deliver {
        session: u64,
        text: Utf8Bytes,
    },
    /// The room's state anew: replaces whatever the session still has to get.
    DeliverState {
        session: u64,
        texts: Vec<String>,
    },
    Close {
        session: u64,
        code: u16,
        reason: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not open at any shard; to be opened no sooner than the time given.
    Waiting {
        not_before_ms: u64,
    },
    Opening,
    Attached,
    /// Its socket is being closed.
    Closing,
}

struct Session {
    id: u64,
    wish: Wish,
    phase: Phase,
    seen: Option<Resume>,
    /// Commands without an answer, oldest first: (id, frame).
    unacked: VecDeque<(String, String)>,
    waiting_since_ms: Option<u64>,
    welcomed: bool,
    noticed: bool,
}

pub struct Team {
    slug: Arc<str>,
    placement: Placement,
    sessions: Vec<Session>,
}

impl Team {
    pub fn new(slug: Arc<str>) -> Self {
        Self {
            slug,
            placement: Placement::default(),
            sessions: Vec::new(),
        }
    }

    pub fn slug(&self) -> &Arc<str> {
        &self.slug
    }

    /// Link address of the team's shard.
    pub fn address(&self) -> Option<&Arc<str>> {
        self.placement.address()
    }

    /// A client said hello, or somebody looks.
    pub fn join(&mut self, session: u64, wish: Wish, world: World, out: &mut Vec<Action>) {
        let seen = match &wish {
            Wish::Hello(hello) => hello.resume,
            Wish::Look {} => None,
        };
        self.sessions.push(Session {
            id: session,
            seen,
            wish,
            phase: Phase::Waiting { not_before_ms: 0 },
            unacked: VecDeque::new(),
            waiting_since_ms: Some(world.now_ms),
            welcomed: false,
            noticed: false,
        });
        self.settle(world, out);
    }

    /// The socket has gone.
    pub fn leave(&mut self, session: u64, out: &mut Vec<Action>) {
        let Some(index) = self.sessions.iter().position(|s| s.id == session) else {
            return;
        };
        let gone = self.sessions.swap_remove(index);
        if gone.is_open() {
            self.send(ToShard::Close { session }, out);
        }
    }

    /// A command frame of a client. Kept until answered; refused when too many are.
    pub fn command(&mut self, session: u64, id: &str, text: &str, out: &mut Vec<Action>) {
        let address = self.placement.address().cloned();
        let Some(session) = self.sessions.iter_mut().find(|s| s.id == session) else {
            return;
        };
        // On its way already: a client sends it again when the answer may have been dropped.
        if session.unacked.iter().any(|(known, _)| known == id) {
            return;
        }
        let bytes: usize = session.unacked.iter().map(|(_, text)| text.len()).sum();
        if session.unacked.len() >= UNACKED_COMMANDS_MAX || bytes + text.len() > UNACKED_BYTES_MAX {
            let message = "too many commands without an answer: wait, then send it again";
            let refusal = error_text(Some(id), ErrorCode::Unavailable, message, Some(REFUSED_RETRY_MS));
            out.push(session.deliver(refusal));
            return;
        }
        session.unacked.push_back((id.to_owned(), text.to_owned()));
        if let (Phase::Attached, Some(address)) = (session.phase, address) {
            let frame = ToShard::Command {
                session: session.id,
                text: text.to_owned(),
            };
            out.push(Action::Send { address, frame });
        }
    }

    /// A frame of the shard at `from`. What a shard says that no longer has the team is left out.
    pub fn hear(&mut self, from: &str, frame: ToGateway, world: World, out: &mut Vec<Action>) {
        if self.placement.address().is_none_or(|at| **at != *from) {
            return;
        }
        match frame {
            ToGateway::Publish { epoch, seq, text, .. } => self.publish(epoch, seq, text.into(), out),
            ToGateway::ToSession {
                session,
                command_id,
                text,
            } => self.answer(session, command_id, text, out),
            ToGateway::Attached {
                session,
                epoch,
                seq,
                texts,
                ..
            } => self.attached(session, Resume { epoch, seq }, texts, out),
            ToGateway::Moved { owner, .. } => self.moved(owner.as_deref(), world, out),
            ToGateway::Refused {
                session,
                code,
                message,
                retry_ms,
            } => self.refused(session, &code, message, retry_ms, world, out),
            ToGateway::Kick {
                session,
                code,
                reason,
            } => self.kick(session, code, reason, out),
            ToGateway::Pong => {}
        }
    }

    /// The link to `address` ended: whatever was open on it is not.
    pub fn link_down(&mut self, address: &str, world: World, out: &mut Vec<Action>) {
        if self.placement.address().is_some_and(|at| **at == *address) {
            self.close_all(world.now_ms);
        }
        self.settle(world, out);
    }

    /// A session's queue overflowed and was dropped: it starts anew from a snapshot.
    pub fn overflowed(&mut self, session: u64, world: World, out: &mut Vec<Action>) {
        if let Some(session) = self.sessions.iter_mut().find(|s| s.id == session)
            && session.phase != Phase::Closing
        {
            session.seen = Some(NOTHING_SEEN);
            session.phase = Phase::Waiting {
                not_before_ms: world.now_ms,
            };
            session.waiting_since_ms = Some(world.now_ms);
        }
        self.settle(world, out);
    }

    /// Table, links or time have changed: goes where the team belongs and opens what waits.
    pub fn settle(&mut self, world: World, out: &mut Vec<Action>) {
        let before = self.placement.address().cloned();
        let attached = self.sessions.iter().any(|s| s.phase == Phase::Attached);
        self.placement.settle(&self.slug, attached, world);
        if let Some(old) = before.filter(|old| self.placement.address() != Some(old)) {
            for session in self.sessions.iter().filter(|s| s.is_open()) {
                let frame = ToShard::Close { session: session.id };
                out.push(Action::Send {
                    address: old.clone(),
                    frame,
                });
            }
            self.close_all(world.now_ms);
        }
        self.open_waiting(world, out);
        self.tell_waiting(world, out);
    }

    /// When to call [`settle`](Self::settle) next if nothing happens before.
    pub fn next_deadline_ms(&self, world: World) -> Option<u64> {
        let waiting = self.sessions.iter().filter_map(|s| s.next_deadline_ms());
        let opening = waiting.map(|ms| ms.max(self.placement.open_after_ms()));
        let notice = self.sessions.iter().filter_map(|s| s.notice_due_ms());
        opening
            .chain(notice)
            .chain(self.placement.next_deadline_ms(world))
            .filter(|ms| *ms > world.now_ms)
            .min()
    }

    fn publish(&mut self, epoch: u64, seq: u64, text: Utf8Bytes, out: &mut Vec<Action>) {
        for session in &mut self.sessions {
            let due = session.phase == Phase::Attached
                && session
                    .seen
                    .is_some_and(|seen| seen.epoch == epoch && seen.seq < seq);
            if due {
                session.seen = Some(Resume { epoch, seq });
                out.push(session.deliver(text.clone()));
            }
        }
    }

    /// A refused hello and a look are answered before the session is attached, a command never.
    fn answer(&mut self, session: u64, command: Option<String>, text: String, out: &mut Vec<Action>) {
        let session = self.sessions.iter_mut().find(|s| s.id == session);
        let Some(session) =
            session.filter(|s| s.phase == Phase::Attached || s.is_open() && command.is_none())
        else {
            return;
        };
        if let Some(id) = command {
            let index = session.unacked.iter().position(|(unacked, _)| *unacked == id);
            index.and_then(|index| session.unacked.remove(index));
        }
        out.push(session.deliver(text.into()));
    }

    fn attached(&mut self, session: u64, seen: Resume, mut texts: Vec<String>, out: &mut Vec<Action>) {
        let address = self.placement.address().cloned();
        let session = self.sessions.iter_mut().find(|s| s.id == session);
        let (Some(session), Some(address)) = (session.filter(|s| s.phase == Phase::Opening), address) else {
            return;
        };
        self.placement.confirm();
        session.phase = Phase::Attached;
        session.seen = Some(seen);
        session.waiting_since_ms = None;
        let is_snapshot = texts.iter().any(|text| text.starts_with(r#"{"type":"snapshot""#));
        let is_first = !std::mem::replace(&mut session.welcomed, true);
        if !is_first {
            texts.retain(|text| !text.starts_with(r#"{"type":"welcome""#));
        }
        // A client's first state is whole whatever its size: what it missed may exceed the queue.
        match is_first || is_snapshot {
            true => out.push(Action::DeliverState {
                session: session.id,
                texts,
            }),
            false => out.extend(texts.into_iter().map(|text| session.deliver(text.into()))),
        }
        if std::mem::take(&mut session.noticed) {
            out.push(session.deliver(notice_text(NoticeCode::StoreAvailable, "Saved again.")));
        }
        for (_, text) in &session.unacked {
            let frame = ToShard::Command {
                session: session.id,
                text: text.clone(),
            };
            out.push(Action::Send {
                address: address.clone(),
                frame,
            });
        }
    }

    fn moved(&mut self, owner: Option<&str>, world: World, out: &mut Vec<Action>) {
        self.close_all(world.now_ms);
        self.placement.moved(owner, world);
        self.settle(world, out);
    }

    fn refused(
        &mut self,
        session: u64,
        code: &str,
        message: String,
        retry_ms: u32,
        world: World,
        out: &mut Vec<Action>,
    ) {
        let session = self.sessions.iter_mut().find(|s| s.id == session);
        let Some(session) = session.filter(|s| s.is_open()) else {
            return;
        };
        if retry_ms > 0 {
            session.phase = Phase::Waiting {
                not_before_ms: world.now_ms + u64::from(retry_ms),
            };
            session.waiting_since_ms.get_or_insert(world.now_ms);
            return;
        }
        session.phase = Phase::Closing;
        let code_value = serde_json::Value::String(code.to_owned());
        let known = serde_json::from_value(code_value).unwrap_or(ErrorCode::Internal);
        out.push(session.deliver(error_text(None, known, &message, None)));
        out.push(Action::Close {
            session: session.id,
            code: close_code(known),
            reason: code.to_owned(),
        });
    }

    fn kick(&mut self, session: u64, code: u16, reason: String, out: &mut Vec<Action>) {
        if let Some(session) = self.sessions.iter_mut().find(|s| s.id == session) {
            session.phase = Phase::Closing;
            out.push(Action::Close {
                session: session.id,
                code,
                reason,
            });
        }
    }

    fn close_all(&mut self, now_ms: u64) {
        for session in self.sessions.iter_mut().filter(|s| s.is_open()) {
            session.phase = Phase::Waiting { not_before_ms: 0 };
            session.waiting_since_ms.get_or_insert(now_ms);
        }
    }

    fn open_waiting(&mut self, world: World, out: &mut Vec<Action>) {
        let Some(address) = self.placement.address().cloned() else {
            return;
        };
        let early = world.now_ms < self.placement.open_after_ms();
        if early || (world.link)(&address) != LinkState::Up {
            return;
        }
        for session in &mut self.sessions {
            match session.phase {
                Phase::Waiting { not_before_ms } if not_before_ms <= world.now_ms => {
                    session.phase = Phase::Opening;
                    let frame = session.open(&self.slug, world.table.version);
                    let address = address.clone();
                    out.push(Action::Send { address, frame });
                }
                _ => {}
            }
        }
    }

    fn tell_waiting(&mut self, world: World, out: &mut Vec<Action>) {
        for session in &mut self.sessions {
            if session.notice_due_ms().is_some_and(|ms| ms <= world.now_ms) {
                session.noticed = true;
                let message = "Saving… the server cannot be reached at the moment.";
                out.push(session.deliver(notice_text(NoticeCode::StoreUnavailable, message)));
            }
        }
    }

    fn send(&self, frame: ToShard, out: &mut Vec<Action>) {
        if let Some(address) = self.placement.address().cloned() {
            out.push(Action::Send { address, frame });
        }
    }
}

impl Session {
    fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Opening | Phase::Attached)
    }

    fn deliver(&self, text: Utf8Bytes) -> Action {
        Action::Deliver {
            session: self.id,
            text,
        }
    }

    fn open(&self, team: &str, table_version: u64) -> ToShard {
        let mut wish = self.wish.clone();
        if let Wish::Hello(hello) = &mut wish {
            hello.resume = self.seen;
        }
        ToShard::Open {
            session: self.id,
            team: team.to_owned(),
            table_version,
            hello: serde_json::to_string(&wish).unwrap_or_default(),
        }
    }

    fn next_deadline_ms(&self) -> Option<u64> {
        match self.phase {
            Phase::Waiting { not_before_ms } => Some(not_before_ms),
            _ => None,
        }
    }

    fn notice_due_ms(&self) -> Option<u64> {
        let waiting = self
            .waiting_since_ms
            .filter(|_| !self.noticed && self.phase != Phase::Closing);
        waiting.map(|ms| ms + NOTICE_AFTER_MS)
    }
}

/// An `error` message.
pub fn error_text(
    id: Option<&str>,
    code: ErrorCode,
    message: &str,
    retry_after_ms: Option<u64>,
) -> Utf8Bytes {
    server_text(&ServerMessage::Error(ErrorMessage {
        id: id.map(str::to_owned),
        code,
        message: message.to_owned(),
        retry_after_ms,
    }))
}

fn notice_text(code: NoticeCode, message: &str) -> Utf8Bytes {
    server_text(&ServerMessage::Notice {
        code,
        message: message.to_owned(),
    })
}

fn server_text(message: &ServerMessage) -> Utf8Bytes {
    serde_json::to_string(message).unwrap_or_default().into()
}

fn close_code(code: ErrorCode) -> u16 {
    match code {
        ErrorCode::TeamNotFound => close::TEAM_NOT_FOUND,
        ErrorCode::Removed => close::REMOVED,
        ErrorCode::TooManyParticipants | ErrorCode::TooManySessions | ErrorCode::Unavailable => {
            close::TOO_MANY
        }
        _ => close::BAD_HELLO,
    }
}
