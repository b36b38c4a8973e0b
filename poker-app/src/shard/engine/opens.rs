//! Opening rooms: from a gateway's `Open` to a claim in the store to a room in memory.

use std::sync::Arc;

use poker_core::{
    DecodeError, ErrorCode, Refusal, Room, TeamSlug,
    protocol::{ErrorMessage, close},
};

use super::{Engine, SessionAt, Slot, outputs::send_moved, push_once};
use crate::{
    link::ToGateway,
    shard::{
        input::{Input, Open},
        limits::{
            CLAIMS_AT_ONCE_MAX, OPEN_RETRY_MS, ROOMS_MAX, STATE_TOO_NEW_RETRY_MS, STORE_FAILED_RETRY_MS,
            STORE_FULL_RETRY_MS, WAITING_OPENS_PER_ROOM_MAX,
        },
        link_handle::{LinkHandle, gateway_session},
        live_room::LiveRoom,
        ownership::{RoomLocation, locate},
    },
    store::{Claim, ClaimRequest, StoreError},
};

/// A claim that waits for its turn.
pub struct WaitingClaim {
    team: Arc<str>,
    table: u64,
    /// Whether a room that does not exist is created.
    create: bool,
}

/// The store's answer to a claim on table version `table`.
pub struct ClaimAnswer {
    team: Arc<str>,
    table: u64,
    result: Result<Claim, StoreError>,
}

impl Engine {
    pub(super) fn on_open(&mut self, open: Open, now_ms: u64) {
        let is_elsewhere = |at: &SessionAt| at.team != open.team;
        if self.sessions.get(&open.session).is_some_and(is_elsewhere) {
            self.on_close(open.session, now_ms);
        }
        match self.rooms.get_mut(&open.team) {
            Some(Slot::Live(live)) if live.leaving.is_some() => {
                // Its gateway learns with all others where the room moved.
                live.sessions.insert(open.session);
                self.sessions
                    .entry(open.session)
                    .or_insert_with(|| session_at(&open));
            }
            Some(Slot::Live(live)) if live.gate.is_settled() => self.attach(open, now_ms),
            Some(Slot::Live(live)) if live.joining.len() < WAITING_OPENS_PER_ROOM_MAX => {
                live.joining.retain(|other| other.session != open.session);
                self.sessions
                    .entry(open.session)
                    .or_insert_with(|| session_at(&open));
                live.joining.push(open);
            }
            Some(Slot::Live(_)) => refuse(&open, ErrorCode::Unavailable, Some(OPEN_RETRY_MS)),
            Some(Slot::Claiming { inputs }) if inputs.len() < WAITING_OPENS_PER_ROOM_MAX => {
                self.sessions.insert(open.session, session_at(&open));
                inputs.push(Input::Open(open));
            }
            Some(Slot::Claiming { .. }) => refuse(&open, ErrorCode::Unavailable, Some(OPEN_RETRY_MS)),
            None => self.open_room(open, now_ms),
        }
    }

    /// The commit has completed: attaches the sessions that waited for it.
    pub(super) fn attach_joining(&mut self, team: &Arc<str>, now_ms: u64) {
        let Some(Slot::Live(live)) = self.rooms.get_mut(team) else {
            return;
        };
        // If the room leaves, they learn where it moved.
        if live.leaving.is_some() {
            return;
        }
        for open in std::mem::take(&mut live.joining) {
            self.attach(open, now_ms);
        }
    }

    fn attach(&mut self, open: Open, now_ms: u64) {
        let at = session_at(&open);
        self.sessions.entry(open.session).or_insert(at);
        if let Some(Slot::Live(live)) = self.rooms.get_mut(&open.team) {
            live.sessions.insert(open.session);
        }
        let input = poker_core::Input::Attach {
            session: open.session,
            hello: open.hello,
        };
        self.handle(&open.team, input, now_ms);
    }

    /// Claims a room that is not in memory, or redirects the gateway.
    fn open_room(&mut self, open: Open, now_ms: u64) {
        if self.draining || self.rooms.len() >= ROOMS_MAX {
            return refuse(&open, ErrorCode::Unavailable, Some(OPEN_RETRY_MS));
        }
        match locate(&self.table, &self.local, &open.team, open.table_version) {
            RoomLocation::Here { table } => {
                let team = open.team.clone();
                self.sessions.insert(open.session, session_at(&open));
                self.claims_waiting.push_back(WaitingClaim {
                    team: team.clone(),
                    table,
                    create: matches!(new_room(&open, now_ms), Some(Ok(_))),
                });
                let inputs = vec![Input::Open(open)];
                self.rooms.insert(team, Slot::Claiming { inputs });
            }
            RoomLocation::Elsewhere { owner } => {
                send_moved(&open.link, &open.team, Some(owner), self.table.version);
            }
            RoomLocation::Unknown => refuse(&open, ErrorCode::Unavailable, Some(OPEN_RETRY_MS)),
        }
    }

    pub(super) fn start_claims(&mut self) {
        while self.claims.len() < CLAIMS_AT_ONCE_MAX
            && let Some(WaitingClaim { team, table, create }) = self.claims_waiting.pop_front()
        {
            let store = self.store.clone();
            let request = ClaimRequest {
                team,
                table,
                owner: self.local.address.clone(),
                create,
            };
            self.claims.push(Box::pin(async move {
                let result = store.claim(&request).await;
                ClaimAnswer {
                    team: request.team,
                    table,
                    result,
                }
            }));
        }
    }

    pub(super) fn on_claimed(&mut self, answer: ClaimAnswer, now_ms: u64) {
        let team = answer.team;
        let Some(Slot::Claiming { inputs }) = self.rooms.remove(&team) else {
            return;
        };
        match answer.result {
            Ok(Claim::Owned { epoch, state, outbox }) => {
                self.metrics.shard.claims.inc();
                if let Some(outbox_handle) = &self.outbox
                    && outbox > 0
                {
                    outbox_handle.found(&team, outbox);
                }
                self.on_owned(team, epoch, answer.table, state, inputs, now_ms);
            }
            Ok(Claim::Missing) => self.on_missing(team, answer.table, inputs, now_ms),
            Ok(Claim::Refused { owner, table }) if !owner.is_empty() && *owner != *self.local.address => {
                for link in self.forget_waiting(inputs) {
                    send_moved(&link, &team, Some(owner.clone()), table);
                }
            }
            Ok(Claim::Refused { .. }) => self.refuse_all(inputs, ErrorCode::Unavailable, Some(OPEN_RETRY_MS)),
            Ok(Claim::Full) => {
                tracing::warn!("Redis has no memory for another room: increase redis.managed.memory");
                self.refuse_all(inputs, ErrorCode::Unavailable, Some(STORE_FULL_RETRY_MS));
            }
            Err(error) => {
                self.store_failed(&error);
                self.refuse_all(inputs, ErrorCode::Unavailable, Some(STORE_FAILED_RETRY_MS));
            }
        }
    }

    /// Restores the room from its stored state, or creates it if it has none.
    fn on_owned(
        &mut self,
        team: Arc<str>,
        epoch: u64,
        table: u64,
        state: Option<Vec<u8>>,
        inputs: Vec<Input>,
        now_ms: u64,
    ) {
        let Some(state) = state else {
            // The first session that can create the room sets its name and deck.
            return match inputs.iter().find_map(|input| created_by(input, now_ms)) {
                Some(room) => self.start_room(team, room, epoch, table, inputs, now_ms),
                None => self.refuse_missing(inputs, now_ms),
            };
        };
        match Room::decode(&state) {
            Ok(room) => self.start_room(team, room, epoch, table, inputs, now_ms),
            // As after the way back from a newer version: it may return, and the stored state is left as it is.
            Err(error @ DecodeError::TooNew(_)) => {
                tracing::error!(%error, "cannot decode a room's stored state; its sessions retry");
                self.refuse_all(inputs, ErrorCode::Unavailable, Some(STATE_TOO_NEW_RETRY_MS));
            }
            Err(error) => {
                tracing::error!(%error, "cannot decode a room's stored state; its sessions are refused");
                self.refuse_all(inputs, ErrorCode::Internal, None);
            }
        }
    }

    fn start_room(
        &mut self,
        team: Arc<str>,
        mut room: Room,
        epoch: u64,
        table: u64,
        inputs: Vec<Input>,
        now_ms: u64,
    ) {
        room.start(epoch, now_ms);
        let live = LiveRoom::new(team.clone(), room, table, now_ms);
        self.rooms.insert(team.clone(), Slot::Live(Box::new(live)));
        self.metrics.shard.rooms.inc();
        for input in inputs {
            self.take(input, now_ms);
        }
        if self.draining {
            self.leave_for_shutdown(vec![team]);
        } else {
            // The table may have changed during the claim.
            self.recheck_owner(&team);
        }
    }

    /// There is no such room: claims again if a session can create it, else refuses all.
    fn on_missing(&mut self, team: Arc<str>, table: u64, inputs: Vec<Input>, now_ms: u64) {
        if inputs.iter().any(|input| created_by(input, now_ms).is_some()) {
            self.claims_waiting.push_back(WaitingClaim {
                team: team.clone(),
                table,
                create: true,
            });
            self.rooms.insert(team, Slot::Claiming { inputs });
        } else {
            self.refuse_missing(inputs, now_ms);
        }
    }

    fn refuse_missing(&mut self, inputs: Vec<Input>, now_ms: u64) {
        for input in inputs {
            let Input::Open(open) = input else { continue };
            self.sessions.remove(&open.session);
            match new_room(&open, now_ms) {
                Some(Err(refusal)) => kick(&open, refusal),
                _ => refuse(&open, ErrorCode::TeamNotFound, None),
            }
        }
    }

    fn refuse_all(&mut self, inputs: Vec<Input>, code: ErrorCode, retry_after_ms: Option<u32>) {
        for input in inputs {
            if let Input::Open(open) = input {
                self.sessions.remove(&open.session);
                refuse(&open, code, retry_after_ms);
            }
        }
    }

    /// Forgets sessions that wait for a claim. Returns their links, each once.
    fn forget_waiting(&mut self, inputs: Vec<Input>) -> Vec<LinkHandle> {
        let mut links: Vec<LinkHandle> = Vec::new();
        for input in inputs {
            if let Input::Open(open) = input {
                self.sessions.remove(&open.session);
                push_once(&mut links, open.link);
            }
        }
        links
    }
}

/// The room that the session asks to create, or why it cannot be created.
fn new_room(open: &Open, now_ms: u64) -> Option<Result<Room, Refusal>> {
    let create = open.hello.create.as_ref()?;
    let team = TeamSlug::parse(&open.team);
    Some(team.and_then(|team| Room::create(team, &create.name, &create.deck, now_ms)))
}

fn created_by(input: &Input, now_ms: u64) -> Option<Room> {
    match input {
        Input::Open(open) => new_room(open, now_ms)?.ok(),
        _ => None,
    }
}

fn session_at(open: &Open) -> SessionAt {
    SessionAt {
        team: open.team.clone(),
        link: open.link.clone(),
        attached: false,
    }
}

fn refuse(open: &Open, code: ErrorCode, retry_after_ms: Option<u32>) {
    let message = match code {
        ErrorCode::TeamNotFound => "there is no such team: check the link or create it",
        ErrorCode::Internal => "the room cannot be read: contact the operators of this server",
        _ => "the room cannot be opened here now: try again shortly",
    };
    open.link.send(ToGateway::OpenRefused {
        session: gateway_session(open.session),
        code,
        message: message.into(),
        retry_after_ms,
    });
}

/// The room cannot be created as requested.
fn kick(open: &Open, refusal: Refusal) {
    let session = gateway_session(open.session);
    let reason = refusal.code.name();
    let text = ErrorMessage::new(None, refusal).to_text();
    open.link.send(ToGateway::Private { session, text });
    open.link.send(ToGateway::Kick {
        session,
        code: close::BAD_HELLO,
        reason,
    });
}
