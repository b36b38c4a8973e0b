//! Opening rooms: from a gateway's wish to a claim in the store to a room in memory.

use std::sync::Arc;

use poker_core::{ErrorCode, Refusal, Room, TeamSlug, protocol::close};

use super::{Engine, Input, SessionAt, Slot, outputs::send_moved, push_once};
use crate::{
    link::{Sight, ToGateway, Wish},
    shard::{
        limits::{
            CLAIMS_AT_ONCE_MAX, FULL_RETRY_MS, REFUSED_RETRY_MS, ROOMS_MAX, WAITING_OPENS_PER_ROOM_MAX,
        },
        link_server::{LinkHandle, Open, error_text, gateway_session},
        live::LiveRoom,
        ownership::{Place, place},
    },
    store::{Claim, ClaimRequest, StoreError},
};

/// The store's answer to a claim on table version `table`.
pub struct ClaimAnswer {
    team: Arc<str>,
    table: u64,
    result: Result<Claim, StoreError>,
}

impl Engine {
    pub(super) fn on_open(&mut self, open: Open, now_ms: u64) {
        if self
            .sessions
            .get(&open.session)
            .is_some_and(|at| at.team != open.team)
        {
            self.on_close(open.session, now_ms);
        }
        match self.rooms.get_mut(&open.team) {
            Some(Slot::Live(live)) if live.leaving.is_some() => {
                // It hears where the room went together with the others.
                live.sessions.insert(open.session);
                self.sessions
                    .entry(open.session)
                    .or_insert_with(|| session_at(&open));
            }
            Some(Slot::Live(live)) if live.gate.is_settled() => self.attach(open, now_ms),
            Some(Slot::Live(live)) if live.arriving.len() < WAITING_OPENS_PER_ROOM_MAX => {
                live.arriving.retain(|other| other.session != open.session);
                self.sessions
                    .entry(open.session)
                    .or_insert_with(|| session_at(&open));
                live.arriving.push(open);
            }
            Some(Slot::Live(_)) => refuse(&open, ErrorCode::Unavailable, REFUSED_RETRY_MS),
            Some(Slot::Claiming { inputs }) if inputs.len() < WAITING_OPENS_PER_ROOM_MAX => {
                self.sessions.insert(open.session, session_at(&open));
                inputs.push(Input::Open(open));
            }
            Some(Slot::Claiming { .. }) => refuse(&open, ErrorCode::Unavailable, REFUSED_RETRY_MS),
            None => self.open_room(open, now_ms),
        }
    }

    /// The store has answered: greets who came meanwhile.
    pub(super) fn greet_arriving(&mut self, team: &Arc<str>, now_ms: u64) {
        let Some(Slot::Live(live)) = self.rooms.get_mut(team) else {
            return;
        };
        // Of a room that leaves they hear where it went.
        if live.leaving.is_some() {
            return;
        }
        for open in std::mem::take(&mut live.arriving) {
            self.attach(open, now_ms);
        }
    }

    fn attach(&mut self, open: Open, now_ms: u64) {
        let at = session_at(&open);
        let Wish::Hello(hello) = open.wish else {
            return self.show(&open);
        };
        self.sessions.entry(open.session).or_insert(at);
        if let Some(Slot::Live(live)) = self.rooms.get_mut(&open.team) {
            live.sessions.insert(open.session);
        }
        let input = poker_core::Input::Attach {
            session: open.session,
            hello: *hello,
        };
        self.handle(&open.team, input, now_ms);
    }

    /// The room's name, for one who does not come in.
    fn show(&mut self, open: &Open) {
        self.sessions.remove(&open.session);
        let Some(Slot::Live(live)) = self.rooms.get(&open.team) else {
            return;
        };
        let name = live.room.name().to_owned();
        open.link.send(ToGateway::ToSession {
            session: gateway_session(open.session),
            command_id: None,
            text: serde_json::to_string(&Sight::Team { name }).unwrap_or_default(),
        });
    }

    /// A room that is not here: claims it, or shows the way.
    fn open_room(&mut self, open: Open, now_ms: u64) {
        if self.draining || self.rooms.len() >= ROOMS_MAX {
            return refuse(&open, ErrorCode::Unavailable, REFUSED_RETRY_MS);
        }
        match place(&self.table, &self.me, &open.team, open.table_version) {
            Place::Here { table } => {
                let team = open.team.clone();
                self.sessions.insert(open.session, session_at(&open));
                let create = matches!(make(&open, now_ms), Some(Ok(_)));
                self.claims_waiting.push_back((team.clone(), table, create));
                self.rooms.insert(
                    team,
                    Slot::Claiming {
                        inputs: vec![Input::Open(open)],
                    },
                );
            }
            Place::Elsewhere { owner } => send_moved(&open.link, &open.team, Some(owner), self.table.version),
            Place::Unknown => refuse(&open, ErrorCode::Unavailable, REFUSED_RETRY_MS),
        }
    }

    pub(super) fn start_claims(&mut self) {
        while self.claims.len() < CLAIMS_AT_ONCE_MAX
            && let Some((team, table, create)) = self.claims_waiting.pop_front()
        {
            let store = self.store.clone();
            let request = ClaimRequest {
                team,
                table,
                owner: self.me.address.clone(),
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
                    outbox_handle.notify(&team, outbox);
                }
                self.go_live(team, epoch, answer.table, state, inputs, now_ms);
            }
            Ok(Claim::Missing) => self.on_missing(team, answer.table, inputs, now_ms),
            Ok(Claim::Refused { owner, table, .. }) if !owner.is_empty() && *owner != *self.me.address => {
                for link in self.take_links(inputs) {
                    send_moved(&link, &team, Some(owner.clone()), table);
                }
            }
            Ok(Claim::Refused { .. }) => self.refuse_all(inputs, ErrorCode::Unavailable, REFUSED_RETRY_MS),
            Ok(Claim::Full) => {
                tracing::warn!("Redis has no memory for another room: give it more (redis.managed.memory)");
                self.refuse_all(inputs, ErrorCode::Unavailable, FULL_RETRY_MS);
            }
            Err(error) => {
                self.store_fails(&error);
                self.refuse_all(inputs, ErrorCode::Unavailable, 5 * REFUSED_RETRY_MS);
            }
        }
    }

    /// The room is ours: from its stored state, or made by whoever asked for it.
    fn go_live(
        &mut self,
        team: Arc<str>,
        epoch: u64,
        table: u64,
        state: Option<Vec<u8>>,
        inputs: Vec<Input>,
        now_ms: u64,
    ) {
        let room = match state {
            Some(state) => Room::decode(&state).map_err(|error| error.to_string()),
            None => return self.make_room(team, epoch, table, inputs, now_ms),
        };
        match room {
            Ok(room) => self.start_room(team, room, epoch, table, inputs, now_ms),
            Err(error) => {
                tracing::error!(
                    error,
                    "a room's stored state cannot be read; its people are refused"
                );
                self.refuse_all(inputs, ErrorCode::Internal, 0);
            }
        }
    }

    /// There is no state yet: the first who wants to make the room gives its name and deck.
    fn make_room(&mut self, team: Arc<str>, epoch: u64, table: u64, inputs: Vec<Input>, now_ms: u64) {
        match inputs.iter().find_map(|input| made(input, now_ms)) {
            Some(room) => self.start_room(team, room, epoch, table, inputs, now_ms),
            None => self.refuse_missing(inputs, now_ms),
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
            // The table may have changed while the claim was under way.
            self.review(&team);
        }
    }

    /// No such room: those who came to make it claim again, the others are told.
    fn on_missing(&mut self, team: Arc<str>, table: u64, inputs: Vec<Input>, now_ms: u64) {
        if inputs.iter().any(|input| made(input, now_ms).is_some()) {
            self.claims_waiting.push_back((team.clone(), table, true));
            self.rooms.insert(team, Slot::Claiming { inputs });
        } else {
            self.refuse_missing(inputs, now_ms);
        }
    }

    fn refuse_missing(&mut self, inputs: Vec<Input>, now_ms: u64) {
        for input in inputs {
            let Input::Open(open) = input else { continue };
            self.sessions.remove(&open.session);
            match make(&open, now_ms) {
                Some(Err(refusal)) => kick(&open, refusal),
                _ => refuse(&open, ErrorCode::TeamNotFound, 0),
            }
        }
    }

    pub(super) fn refuse_all(&mut self, inputs: Vec<Input>, code: ErrorCode, retry_ms: u32) {
        for input in inputs {
            if let Input::Open(open) = input {
                self.sessions.remove(&open.session);
                refuse(&open, code, retry_ms);
            }
        }
    }

    /// The links of waiting sessions, each once; the sessions are forgotten.
    pub(super) fn take_links(&mut self, inputs: Vec<Input>) -> Vec<LinkHandle> {
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

/// The room that this session came to make, or why it cannot be made.
fn make(open: &Open, now_ms: u64) -> Option<Result<Room, Refusal>> {
    let Wish::Hello(hello) = &open.wish else {
        return None;
    };
    let wish = hello.create.as_ref()?;
    let team = TeamSlug::parse(&open.team);
    Some(team.and_then(|team| Room::create(team, &wish.name, &wish.deck, now_ms)))
}

fn made(input: &Input, now_ms: u64) -> Option<Room> {
    match input {
        Input::Open(open) => make(open, now_ms)?.ok(),
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

fn refuse(open: &Open, code: ErrorCode, retry_ms: u32) {
    let message = match code {
        ErrorCode::TeamNotFound => "there is no such team: check the link or create it",
        ErrorCode::Internal => "the room cannot be read: ask the operators of this server",
        _ => "the room cannot be opened here now: try again shortly",
    };
    open.link.send(ToGateway::Refused {
        session: gateway_session(open.session),
        code: code.name(),
        message: message.into(),
        retry_ms,
    });
}

/// The room cannot be made as wished.
fn kick(open: &Open, refusal: Refusal) {
    let session = gateway_session(open.session);
    let reason = refusal.code.name();
    let text = error_text(None, refusal, None);
    open.link.send(ToGateway::ToSession {
        session,
        command_id: None,
        text,
    });
    open.link.send(ToGateway::Kick {
        session,
        code: close::BAD_HELLO,
        reason,
    });
}
