//! One team's sessions at this gateway. Pure: inputs and time are parameters, [`Action`]s are returned in order.
//!
//! A session survives every handoff: the gateway opens it again at the team's shard, resumes it after the last delivered
//! event, and sends its unanswered commands again.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use poker_core::{
    CatchUp, ErrorCode,
    limits::COMMAND_RETRY_AFTER_MS,
    protocol::{Hello, NoticeCode, Resume},
};

use super::{
    action::Action,
    limits::{UNACKED_BYTES_MAX, UNACKED_COMMANDS_MAX},
    links::LinkState,
    placement::{Placement, RoutingInput},
    server_messages::{close_code, error, notice},
    team_session::{Phase, Session},
};
use crate::link::{ToGateway, ToShard};

/// Matches no epoch: the shard sends a snapshot, but still treats the session as resumed.
const NOTHING_SEEN: Resume = Resume { epoch: 0, seq: 0 };

/// A team with sessions at this gateway.
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

    /// A client has sent its hello.
    pub fn join(&mut self, session: u64, hello: Hello, input: RoutingInput, out: &mut Vec<Action>) {
        self.sessions.push(Session::new(session, hello, input.now_ms));
        self.settle(input, out);
    }

    /// The socket has closed.
    pub fn leave(&mut self, session: u64, out: &mut Vec<Action>) {
        let Some(index) = self.sessions.iter().position(|s| s.id == session) else {
            return;
        };
        let session_left = self.sessions.swap_remove(index);
        if session_left.is_open() {
            self.send(ToShard::Close { session }, out);
        }
    }

    /// A command frame of a client. Kept until it is answered; refused if too many are unanswered.
    pub fn command(&mut self, session: u64, id: &str, text: &str, out: &mut Vec<Action>) {
        let address = self.placement.address().cloned();
        let Some(session) = self.sessions.iter_mut().find(|s| s.id == session) else {
            return;
        };
        // Already in flight: a client repeats a command whose answer may have been lost.
        if session.unacked.iter().any(|(known, _)| known == id) {
            return;
        }
        let bytes: usize = session.unacked.iter().map(|(_, text)| text.len()).sum();
        if session.unacked.len() >= UNACKED_COMMANDS_MAX || bytes + text.len() > UNACKED_BYTES_MAX {
            let message = "too many commands without an answer: wait, then send it again";
            let refusal = error(
                Some(id),
                ErrorCode::Unavailable,
                message,
                Some(COMMAND_RETRY_AFTER_MS),
            );
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

    /// A frame of the shard at `from`. Frames of a shard that no longer has the team are dropped.
    pub fn on_shard_frame(
        &mut self,
        from: &str,
        frame: ToGateway,
        input: RoutingInput,
        out: &mut Vec<Action>,
    ) {
        if self.placement.address().is_none_or(|at| **at != *from) {
            return;
        }
        match frame {
            ToGateway::Publish { epoch, seq, text, .. } => self.publish(epoch, seq, text.into(), out),
            ToGateway::Ack {
                session,
                command_id,
                text,
            }
            | ToGateway::Refused {
                session,
                command_id,
                text,
            } => self.answer(session, &command_id, text, out),
            ToGateway::Private { session, text } => self.private(session, text, out),
            ToGateway::Attached {
                session,
                epoch,
                seq,
                welcome,
                catch_up,
                ..
            } => self.attached(session, Resume { epoch, seq }, welcome, catch_up, out),
            ToGateway::Moved { owner, .. } => self.moved(owner.as_deref(), input, out),
            ToGateway::OpenRefused {
                session,
                code,
                message,
                retry_after_ms: None,
            } => self.refused(session, code, &message, out),
            ToGateway::OpenRefused {
                session,
                retry_after_ms: Some(ms),
                ..
            } => self.retry_open(session, ms, input),
            ToGateway::Kick {
                session,
                code,
                reason,
            } => self.kick(session, code, reason, out),
            ToGateway::Preview { .. } | ToGateway::Pong => {}
        }
    }

    /// The link to `address` ended, and every session on it is closed.
    pub fn link_down(&mut self, address: &str, input: RoutingInput, out: &mut Vec<Action>) {
        if self.placement.address().is_some_and(|at| **at == *address) {
            self.close_all(input.now_ms);
        }
        self.settle(input, out);
    }

    /// A session's queue overflowed and was cleared: it restarts from a snapshot.
    pub fn overflowed(&mut self, session: u64, input: RoutingInput, out: &mut Vec<Action>) {
        if let Some(session) = self.sessions.iter_mut().find(|s| s.id == session)
            && session.phase != Phase::Closing
        {
            session.seen = Some(NOTHING_SEEN);
            session.phase = Phase::Waiting {
                not_before_ms: input.now_ms,
            };
            session.waiting_since_ms = Some(input.now_ms);
        }
        self.settle(input, out);
    }

    /// The table, the links or the time have changed: chooses the team's shard and opens waiting sessions there.
    pub fn settle(&mut self, input: RoutingInput, out: &mut Vec<Action>) {
        let before = self.placement.address().cloned();
        let attached = self.sessions.iter().any(|s| s.phase == Phase::Attached);
        self.placement.settle(&self.slug, attached, input);
        if let Some(old) = before.filter(|old| self.placement.address() != Some(old)) {
            for session in self.sessions.iter().filter(|s| s.is_open()) {
                let frame = ToShard::Close { session: session.id };
                out.push(Action::Send {
                    address: old.clone(),
                    frame,
                });
            }
            self.close_all(input.now_ms);
        }
        self.open_waiting(input, out);
        self.notify_waiting(input, out);
    }

    /// When to call [`settle`](Self::settle) at the latest.
    pub fn next_deadline_ms(&self, input: RoutingInput) -> Option<u64> {
        let waiting = self.sessions.iter().filter_map(|s| s.next_deadline_ms());
        let opening = waiting.map(|ms| ms.max(self.placement.open_after_ms()));
        let notices = self.sessions.iter().filter_map(|s| s.notice_due_ms());
        opening
            .chain(notices)
            .chain(self.placement.next_deadline_ms(input))
            .filter(|ms| *ms > input.now_ms)
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

    fn answer(&mut self, session: u64, command_id: &str, text: String, out: &mut Vec<Action>) {
        let session = self.sessions.iter_mut().find(|s| s.id == session);
        if let Some(session) = session.filter(|s| s.phase == Phase::Attached) {
            session.unacked.retain(|(id, _)| id != command_id);
            out.push(session.deliver(text.into()));
        }
    }

    /// Also before the session is attached, as the refusal of a hello is.
    fn private(&self, session: u64, text: String, out: &mut Vec<Action>) {
        let session = self.sessions.iter().find(|s| s.id == session);
        out.extend(
            session
                .filter(|s| s.is_open())
                .map(|session| session.deliver(text.into())),
        );
    }

    fn attached(
        &mut self,
        session: u64,
        seen: Resume,
        welcome: String,
        catch_up: CatchUp,
        out: &mut Vec<Action>,
    ) {
        let address = self.placement.address().cloned();
        let session = self.sessions.iter_mut().find(|s| s.id == session);
        let (Some(session), Some(address)) = (session.filter(|s| s.phase == Phase::Opening), address) else {
            return;
        };
        self.placement.confirm();
        session.phase = Phase::Attached;
        session.seen = Some(seen);
        session.waiting_since_ms = None;
        session.catch_up(welcome, catch_up, out);
        if std::mem::take(&mut session.noticed) {
            out.push(session.deliver(notice(NoticeCode::StoreAvailable, "All changes are saved.")));
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

    fn moved(&mut self, owner: Option<&str>, input: RoutingInput, out: &mut Vec<Action>) {
        self.close_all(input.now_ms);
        self.placement.moved(owner, input);
        self.settle(input, out);
    }

    fn retry_open(&mut self, session: u64, retry_after_ms: u32, input: RoutingInput) {
        let session = self.sessions.iter_mut().find(|s| s.id == session);
        if let Some(session) = session.filter(|s| s.is_open()) {
            session.phase = Phase::Waiting {
                not_before_ms: input.now_ms + u64::from(retry_after_ms),
            };
            session.waiting_since_ms.get_or_insert(input.now_ms);
        }
    }

    fn refused(&mut self, session: u64, code: ErrorCode, message: &str, out: &mut Vec<Action>) {
        let session = self.sessions.iter_mut().find(|s| s.id == session);
        if let Some(session) = session.filter(|s| s.is_open()) {
            session.phase = Phase::Closing;
            out.push(session.deliver(error(None, code, message, None)));
            out.push(Action::Close {
                session: session.id,
                code: close_code(code),
                reason: code.name(),
            });
        }
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

    fn open_waiting(&mut self, input: RoutingInput, out: &mut Vec<Action>) {
        let Some(address) = self.placement.address().cloned() else {
            return;
        };
        let early = input.now_ms < self.placement.open_after_ms();
        if early || (input.link)(&address) != LinkState::Up {
            return;
        }
        for session in &mut self.sessions {
            match session.phase {
                Phase::Waiting { not_before_ms } if not_before_ms <= input.now_ms => {
                    session.phase = Phase::Opening;
                    let frame = session.open(&self.slug, input.table.version);
                    let address = address.clone();
                    out.push(Action::Send { address, frame });
                }
                _ => {}
            }
        }
    }

    fn notify_waiting(&mut self, input: RoutingInput, out: &mut Vec<Action>) {
        for session in &mut self.sessions {
            if session.notice_due_ms().is_some_and(|ms| ms <= input.now_ms) {
                session.noticed = true;
                let message = "Saving… the server cannot be reached at the moment.";
                out.push(session.deliver(notice(NoticeCode::StoreUnavailable, message)));
            }
        }
    }

    fn send(&self, frame: ToShard, out: &mut Vec<Action>) {
        if let Some(address) = self.placement.address().cloned() {
            out.push(Action::Send { address, frame });
        }
    }
}
