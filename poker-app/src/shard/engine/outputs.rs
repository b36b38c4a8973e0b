//! What leaves the engine towards gateways.

use std::sync::Arc;

use poker_core::{
    ErrorCode, Output, Refusal, SessionId,
    protocol::{NoticeCode, ServerMessage},
};

use super::{Engine, Slot, now_ms};
use crate::{
    link::ToGateway,
    shard::link_server::{LinkHandle, error_text, gateway_session},
};

/// How every acknowledgement begins.
const ACK_HEAD: &str = r#"{"type":"ack""#;
/// When a client should send a refused command again, in milliseconds.
const RETRY_AFTER_MS: u64 = 1_000;

impl Engine {
    /// Sends a room's outputs, in order.
    pub(super) fn deliver(&mut self, team: &Arc<str>, outputs: Vec<Output>) {
        let mut kicked = Vec::new();
        for output in outputs {
            match output {
                Output::Attached {
                    session,
                    epoch,
                    seq,
                    text,
                } => self.attached(team, session, epoch, seq, text),
                Output::ToSession {
                    session,
                    command_id,
                    text,
                } => self.to_session(session, command_id, text),
                Output::Publish { seq, text } => self.publish(team, seq, text),
                Output::Kick {
                    session,
                    code,
                    reason,
                } => {
                    self.kick(session, code, reason);
                    kicked.push(session);
                }
            }
        }
        for session in kicked {
            self.on_close(session, now_ms());
        }
    }

    fn attached(&mut self, team: &Arc<str>, session: SessionId, epoch: u64, seq: u64, texts: Vec<String>) {
        let (Some(at), Some(Slot::Live(live))) = (self.sessions.get_mut(&session), self.rooms.get_mut(team))
        else {
            return;
        };
        if !at.attached {
            at.attached = true;
            live.join_link(&at.link);
        }
        at.link.send(ToGateway::Attached {
            session: gateway_session(session),
            team: team.to_string(),
            epoch,
            seq,
            texts,
        });
    }

    fn to_session(&self, session: SessionId, command_id: Option<String>, text: String) {
        if command_id.is_some() {
            match text.starts_with(ACK_HEAD) {
                true => self.metrics.acked.inc(),
                false => self.metrics.refused.inc(),
            };
        }
        if let Some(at) = self.sessions.get(&session) {
            let session = gateway_session(session);
            at.link.send(ToGateway::ToSession {
                session,
                command_id,
                text,
            });
        }
    }

    fn publish(&self, team: &Arc<str>, seq: u64, text: String) {
        let Some(Slot::Live(live)) = self.rooms.get(team) else {
            return;
        };
        for link in live.links() {
            link.send(ToGateway::Publish {
                team: team.to_string(),
                epoch: live.epoch,
                seq,
                text: text.clone(),
            });
        }
    }

    fn kick(&self, session: SessionId, code: u16, reason: String) {
        if let Some(at) = self.sessions.get(&session) {
            let session = gateway_session(session);
            at.link.send(ToGateway::Kick {
                session,
                code,
                reason,
            });
        }
    }

    /// Tells a room's people once that their changes wait for the store.
    pub(super) fn notify_unavailable(&mut self, team: &Arc<str>) {
        if let Some(Slot::Live(live)) = self.rooms.get_mut(team) {
            live.notified = true;
        }
        self.notify(
            team,
            NoticeCode::StoreUnavailable,
            "Saving… what you do is kept and confirmed shortly.",
        );
    }

    pub(super) fn notify_available(&self, team: &Arc<str>) {
        self.notify(team, NoticeCode::StoreAvailable, "Everything is saved.");
    }

    fn notify(&self, team: &Arc<str>, code: NoticeCode, message: &str) {
        let notice = ServerMessage::Notice {
            code,
            message: message.into(),
        };
        let (Some(Slot::Live(live)), Ok(text)) = (self.rooms.get(team), serde_json::to_string(&notice))
        else {
            return;
        };
        for session in &live.sessions {
            if self.sessions.get(session).is_some_and(|at| at.attached) {
                self.to_session(*session, None, text.clone());
            }
        }
    }
}

/// Whether it tells somebody that a command changed nothing.
pub fn is_refusal(output: &Output) -> bool {
    matches!(output, Output::ToSession { command_id: Some(_), text, .. } if !text.starts_with(ACK_HEAD))
}

/// Refuses a command without asking the room.
pub fn send_unavailable(link: &LinkHandle, session: SessionId, id: String) {
    let refusal = Refusal::new(
        ErrorCode::Unavailable,
        "too much waits for the store: try again shortly",
    );
    link.send(ToGateway::ToSession {
        session: gateway_session(session),
        text: error_text(Some(id.clone()), refusal, Some(RETRY_AFTER_MS)),
        command_id: Some(id),
    });
}

/// Tells a gateway that a team's room is not here (any more).
pub fn send_moved(link: &LinkHandle, team: &Arc<str>, owner: Option<String>, table_version: u64) {
    link.send(ToGateway::Moved {
        team: team.to_string(),
        owner,
        table_version,
    });
}
