//! A room in memory, with its owner's bookkeeping.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use poker_core::{Effects, Output, Room, SessionId};

use super::{commit_gate::CommitGate, input::Open, limits::STORE_NOTICE_AFTER, link_handle::LinkHandle};
use crate::store::RoomWrite;

/// Why a room leaves this shard; label of `poker_shard_handoffs_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// A newer routing table assigns it to another shard.
    Table,
    /// The shard that its team prefers serves again.
    Home,
    /// The process shuts down.
    Shutdown,
}

impl Leaving {
    pub fn label(self) -> &'static str {
        match self {
            Leaving::Table => "table",
            Leaving::Home => "home",
            Leaving::Shutdown => "shutdown",
        }
    }
}

pub struct LiveRoom {
    pub team: Arc<str>,
    pub room: Room,
    pub epoch: u64,
    /// Table version of the claim.
    pub table: u64,
    /// The shard that the team prefers to this one; `None`: the room is at home.
    pub home: Option<String>,
    pub gate: CommitGate<Output>,
    /// Events for the next write.
    history: Vec<String>,
    /// Whether it is in the list of rooms to write.
    pub queued: bool,
    /// When the oldest change that no write includes was made.
    pub changed_since: Option<Instant>,
    /// Since when a change has been waiting for the store, without interruption.
    waiting_since: Option<Instant>,
    /// Whether its sessions were notified that the store is unavailable.
    pub notified: bool,
    /// Links with attached sessions, and how many.
    links: HashMap<u64, (LinkHandle, usize)>,
    /// Every session whose hello has reached the room.
    pub sessions: HashSet<SessionId>,
    /// Sessions that join while a commit is pending. They are attached when it completes, so that a reconnect loop does
    /// not queue one snapshot per attempt.
    pub joining: Vec<Open>,
    pub idle_since_ms: Option<u64>,
    /// This room's share of the `participants` metric.
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
            home: None,
            gate: CommitGate::default(),
            history: Vec::new(),
            queued: false,
            changed_since: None,
            waiting_since: None,
            notified: false,
            links: HashMap::new(),
            sessions: HashSet::new(),
            joining: Vec::new(),
            idle_since_ms: Some(now_ms),
            counted_participants: 0,
            leaving: None,
        }
    }

    /// Takes the effects of one input. Returns the outputs that may leave at once; the others wait for the store.
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

    /// The current state, for the store.
    pub fn write(&mut self, owner: &Arc<str>) -> RoomWrite {
        RoomWrite {
            team: self.team.clone(),
            epoch: self.epoch,
            change: self.gate.change(),
            table: self.table,
            owner: owner.clone(),
            state: self.room.encode(),
            history: std::mem::take(&mut self.history),
        }
    }

    /// The store has confirmed a write. Returns the outputs that may leave.
    pub fn stored(&mut self, change: u64) -> Vec<Output> {
        let outputs = self.gate.confirm(change);
        self.waiting_since = (!self.gate.is_settled()).then(Instant::now);
        outputs
    }

    /// Whether its sessions must be notified now that the store is unavailable.
    pub fn must_notify(&self) -> bool {
        let waiting = self
            .waiting_since
            .is_some_and(|since| since.elapsed() > STORE_NOTICE_AFTER);
        waiting && !self.notified
    }

    /// A write failed: its events go with the next one.
    pub fn restore_history(&mut self, mut history: Vec<String>) {
        history.append(&mut self.history);
        self.history = history;
    }

    /// A session on this link receives the published events from now on.
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
