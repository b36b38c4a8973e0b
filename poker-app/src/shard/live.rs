//! A room in memory, with what its owner knows about it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use poker_core::{Effects, Output, Room, SessionId};

use super::{
    gate::Gate,
    limits::STORE_NOTICE_AFTER,
    link_server::{LinkHandle, Open},
};
use crate::store::RoomWrite;

/// Why a room leaves this shard; label of `poker_shard_moves_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// A newer routing table gives it to another shard.
    Table,
    /// The process ends.
    Shutdown,
}

pub struct LiveRoom {
    pub team: Arc<str>,
    pub room: Room,
    pub epoch: u64,
    /// Table version of the claim.
    pub table: u64,
    pub gate: Gate<Output>,
    /// Events that go with the next write.
    history: Vec<String>,
    /// Whether it stands in the list of rooms to write.
    pub queued: bool,
    /// When the oldest change that no write covers yet was made.
    pub changed_since: Option<Instant>,
    /// Since when something has been waiting for the store without a break.
    waiting_since: Option<Instant>,
    /// Whether its people were told that the store is away.
    pub notified: bool,
    /// Links with attached sessions, and how many.
    links: HashMap<u64, (LinkHandle, usize)>,
    /// Every session whose hello reached the room.
    pub sessions: HashSet<SessionId>,
    /// Who comes while changes wait for the store: greeted at its next answer, so that one who comes and goes
    /// leaves no picture of the room behind each time.
    pub arriving: Vec<Open>,
    pub idle_since_ms: Option<u64>,
    /// What `participants` in the metrics holds of this room.
    pub counted_participants: usize,
    pub leaving: Option<(Leaving, Option<String>)>,
}

impl LiveRoom {
    pub fn new(team: Arc<str>, room: Room, table: u64, now_ms: u64) -> LiveRoom {
        LiveRoom {
            team,
            epoch: room.epoch(),
            room,
            table,
            gate: Gate::default(),
            history: Vec::new(),
            queued: false,
            changed_since: None,
            waiting_since: None,
            notified: false,
            links: HashMap::new(),
            sessions: HashSet::new(),
            arriving: Vec::new(),
            idle_since_ms: Some(now_ms),
            counted_participants: 0,
            leaving: None,
        }
    }

    /// Takes the effects of one input. Returns what may leave at once; the rest waits for the store.
    pub fn absorb(&mut self, effects: Effects, keep_history: bool) -> Vec<Output> {
        if effects.durable {
            let now = Instant::now();
            self.changed_since.get_or_insert(now);
            self.waiting_since.get_or_insert(now);
        }
        if keep_history {
            let events = effects.history.iter();
            self.history
                .extend(events.filter_map(|event| serde_json::to_string(event).ok()));
        }
        self.gate.push(effects.durable, effects.out)
    }

    /// The state as it is now, for the store.
    pub fn write(&mut self, owner: &Arc<str>) -> RoomWrite {
        RoomWrite {
            team: self.team.clone(),
            epoch: self.epoch,
            change: self.gate.ticket(),
            table: self.table,
            owner: owner.clone(),
            state: self.room.encode(),
            history: std::mem::take(&mut self.history),
        }
    }

    /// The store has confirmed a write. Returns what may leave.
    pub fn stored(&mut self, change: u64) -> Vec<Output> {
        let outputs = self.gate.confirm(change);
        self.waiting_since = (!self.gate.is_settled()).then(Instant::now);
        outputs
    }

    /// Whether its people should hear now that the store is away.
    pub fn must_notify(&self) -> bool {
        let waiting = self
            .waiting_since
            .is_some_and(|since| since.elapsed() > STORE_NOTICE_AFTER);
        waiting && !self.notified
    }

    /// A write that failed: its events go with the next one.
    pub fn take_back(&mut self, mut history: Vec<String>) {
        history.append(&mut self.history);
        self.history = history;
    }

    /// A session of this link receives what is published from now on.
    pub fn join_link(&mut self, link: &LinkHandle) {
        self.links.entry(link.id()).or_insert_with(|| (link.clone(), 0)).1 += 1;
    }

    pub fn leave_link(&mut self, link: &LinkHandle) {
        if let Some((_, sessions)) = self.links.get_mut(&link.id()) {
            *sessions -= 1;
            if *sessions == 0 {
                self.links.remove(&link.id());
            }
        }
    }

    /// Links with attached sessions.
    pub fn links(&self) -> impl Iterator<Item = &LinkHandle> {
        self.links.values().map(|(link, _)| link)
    }
}
