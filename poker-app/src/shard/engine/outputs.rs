//! From the engine to the gateways.

use std::sync::Arc;

use poker_core::{
    CatchUp, ErrorCode, Output, Refusal, SessionId,
    limits::COMMAND_RETRY_AFTER_MS,
    protocol::{ErrorMessage, NoticeCode, ServerMessage},
};

use super::{Engine, Slot};
use crate::{
    clock::now_ms,
    link::ToGateway,
    shard::link_handle::{LinkHandle, gateway_session},
};

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
                    welcome,
                    catch_up,
                } => self.attached(team, session, (epoch, seq), welcome, catch_up),
                Output::Ack {
                    session,
                    command_id,
                    text,
                } => {
                    self.metrics.acked.inc();
                    self.send(session, |session| ToGateway::Ack {
                        session,
                        command_id,
                        text,
                    });
                }
                Output::Refused {
                    session,
                    command_id,
                    text,
                } => {
                    self.metrics.refused.inc();
                    self.send(session, |session| ToGateway::Refused {
                        session,
                        command_id,
                        text,
                    });
                }
                Output::Private { session, text } => {
                    self.send(session, |session| ToGateway::Private { session, text });
                }
                Output::Publish { seq, text } => self.publish(team, seq, text),
                Output::Kick {
                    session,
                    code,
                    reason,
                } => {
                    self.send(session, |session| ToGateway::Kick {
                        session,
                        code,
                        reason,
                    });
                    kicked.push(session);
                }
            }
        }
        for session in kicked {
            self.on_close(session, now_ms());
        }
    }

    fn attached(
        &mut self,
        team: &Arc<str>,
        session: SessionId,
        (epoch, seq): (u64, u64),
        welcome: String,
        catch_up: CatchUp,
    ) {
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
            welcome,
            catch_up,
        });
    }

    /// Sends a frame for one session, unless it has been closed.
    fn send(&self, session: SessionId, frame: impl FnOnce(u64) -> ToGateway) {
        if let Some(at) = self.sessions.get(&session) {
            at.link.send(frame(gateway_session(session)));
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

    /// Notifies a room's sessions, once, that their changes wait for the store.
    pub(super) fn notify_unavailable(&mut self, team: &Arc<str>) {
        if let Some(Slot::Live(live)) = self.rooms.get_mut(team) {
            live.notified = true;
        }
        self.notify(
            team,
            NoticeCode::StoreUnavailable,
            "Saving… your changes are kept and will be confirmed shortly.",
        );
    }

    pub(super) fn notify_available(&self, team: &Arc<str>) {
        self.notify(team, NoticeCode::StoreAvailable, "All changes are saved.");
    }

    fn notify(&self, team: &Arc<str>, code: NoticeCode, message: &str) {
        let Some(Slot::Live(live)) = self.rooms.get(team) else {
            return;
        };
        let notice = ServerMessage::Notice {
            code,
            message: message.into(),
        };
        let text = notice.to_text();
        for session in &live.sessions {
            if self.sessions.get(session).is_some_and(|at| at.attached) {
                let text = text.clone();
                self.send(*session, |session| ToGateway::Private { session, text });
            }
        }
    }
}

/// Refuses a command before it reaches the room.
pub fn send_unavailable(link: &LinkHandle, session: SessionId, command_id: String) {
    let refusal = Refusal::new(
        ErrorCode::Unavailable,
        "too many changes wait for the store: try again shortly",
    );
    let error = ErrorMessage {
        retry_after_ms: Some(COMMAND_RETRY_AFTER_MS),
        ..ErrorMessage::new(Some(command_id.clone()), refusal)
    };
    link.send(ToGateway::Refused {
        session: gateway_session(session),
        command_id,
        text: error.to_text(),
    });
}

/// Reports to a gateway that a team's room is not here or has left.
pub fn send_moved(link: &LinkHandle, team: &Arc<str>, owner: Option<String>, table_version: u64) {
    link.send(ToGateway::Moved {
        team: team.to_string(),
        owner,
        table_version,
    });
}
