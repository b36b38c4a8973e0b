//! The single task that owns all rooms of a shard.
//!
//! It applies the inputs of the links to the rooms and writes all changed rooms in one pipeline while it applies the next
//! inputs in memory: the slower the store, the larger the groups. No output leaves a room before the changes that it
//! depends on are stored.

mod commits;
mod handoffs;
mod opens;
mod outputs;

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use poker_core::{Output, SessionId, protocol::Command};
use poker_routing::RoutingTable;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior},
};

use self::{
    commits::{Commit, CommitAnswer, OwnerCheck},
    handoffs::ReleaseAnswer,
    opens::{ClaimAnswer, WaitingClaim},
};
use super::{
    heartbeat::Heartbeat,
    input::Input,
    limits::{
        HOME_PERIOD, IDLE_ROOM_MS, INPUTS_PER_TURN_MAX, OWNER_CHECK_PERIOD, PENDING_OUTPUTS_PER_ROOM_MAX,
        ROOM_TIMER_PERIOD,
    },
    link_handle::LinkHandle,
    live_room::LiveRoom,
    ownership::{LocalShard, TableChange},
};
use crate::{
    clock::now_ms,
    events::OutboxHandle,
    metrics::ShardMetrics,
    routes::Routes,
    store::{ReleaseRequest, Store},
};

type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A room of this shard.
enum Slot {
    /// The claim is in flight; inputs wait in order.
    Claiming {
        inputs: Vec<Input>,
    },
    Live(Box<LiveRoom>),
}

struct SessionAt {
    team: Arc<str>,
    link: LinkHandle,
    /// Whether the session is attached and counted in the room's links.
    attached: bool,
}

pub struct Engine {
    local: LocalShard,
    store: Store,
    /// `None`: no history is recorded.
    outbox: Option<OutboxHandle>,
    metrics: EngineMetrics,
    heartbeat: Heartbeat,
    table: Arc<RoutingTable>,
    /// What the newest table changed for the rooms in `to_recheck`.
    change: TableChange,
    to_recheck: VecDeque<Arc<str>>,
    rooms: HashMap<Arc<str>, Slot>,
    sessions: HashMap<SessionId, SessionAt>,
    /// By link: the shards that its gateway can reach, and since when.
    reachable: HashMap<u64, HashMap<String, Instant>>,
    /// Rooms with changes that the write in flight does not include.
    changed: VecDeque<Arc<str>>,
    commit: Option<Commit>,
    claims: FuturesUnordered<Task<ClaimAnswer>>,
    /// Claims beyond the limit.
    claims_waiting: VecDeque<WaitingClaim>,
    /// Rooms that are ready to leave.
    to_release: Vec<ReleaseRequest>,
    releases: FuturesUnordered<Task<ReleaseAnswer>>,
    draining: bool,
    store_failing: bool,
}

/// The metrics that the engine updates often.
struct EngineMetrics {
    shard: ShardMetrics,
    acked: prometheus_client::metrics::counter::Counter,
    refused: prometheus_client::metrics::counter::Counter,
}

impl Engine {
    pub fn new(
        local: LocalShard,
        store: Store,
        outbox: Option<OutboxHandle>,
        metrics: ShardMetrics,
        heartbeat: Heartbeat,
        table: Arc<RoutingTable>,
    ) -> Engine {
        let metrics = EngineMetrics {
            acked: metrics.commands("acked"),
            refused: metrics.commands("refused"),
            shard: metrics,
        };
        Engine {
            local,
            store,
            outbox,
            metrics,
            heartbeat,
            table,
            change: TableChange::None,
            to_recheck: VecDeque::new(),
            rooms: HashMap::new(),
            sessions: HashMap::new(),
            reachable: HashMap::new(),
            changed: VecDeque::new(),
            commit: None,
            claims: FuturesUnordered::new(),
            claims_waiting: VecDeque::new(),
            to_release: Vec::new(),
            releases: FuturesUnordered::new(),
            draining: false,
            store_failing: false,
        }
    }

    /// Runs until every sender of `inputs` is dropped.
    pub async fn run(mut self, mut inputs: mpsc::Receiver<Input>, mut routes: Routes) {
        let mut batch = Vec::with_capacity(INPUTS_PER_TURN_MAX);
        let mut room_timer = every(ROOM_TIMER_PERIOD);
        let mut home_period = every(HOME_PERIOD);
        let mut check_period = every(OWNER_CHECK_PERIOD);
        let mut check: Option<Task<OwnerCheck>> = None;
        loop {
            self.heartbeat.beat();
            tokio::select! {
                taken = inputs.recv_many(&mut batch, INPUTS_PER_TURN_MAX) => {
                    if taken == 0 {
                        return;
                    }
                    let now_ms = now_ms();
                    for input in batch.drain(..) {
                        self.take(input, now_ms);
                    }
                }
                result = answer_of(&mut self.commit) => self.on_committed(result),
                Some(answer) = self.claims.next(), if !self.claims.is_empty() => self.on_claimed(answer, now_ms()),
                Some(released) = self.releases.next(), if !self.releases.is_empty() => self.on_released(released),
                _ = room_timer.tick() => self.on_room_timer(now_ms()),
                _ = home_period.tick() => self.send_home(),
                _ = check_period.tick(), if check.is_none() => check = self.start_check(),
                checked = result_of(&mut check) => {
                    check = None;
                    self.on_checked(checked);
                }
                Ok(()) = routes.changed() => {
                    let table = routes.borrow_and_update().clone();
                    self.on_table(table);
                }
                () = std::future::ready(()), if !self.to_recheck.is_empty() => self.recheck_some(),
            }
            self.start_claims();
            self.start_release();
            self.start_commit();
        }
    }

    fn take(&mut self, input: Input, now_ms: u64) {
        match input {
            Input::Open(open) => self.on_open(open, now_ms),
            Input::Command { session, id, command } => self.on_command(session, id, command, now_ms),
            Input::Close { session } => self.on_close(session, now_ms),
            Input::LinkEnded { link } => self.on_link_ended(link, now_ms),
            Input::Shards { link, up, down } => self.on_shards(link, up, &down),
            Input::Drain => self.on_drain(),
        }
    }

    fn on_command(&mut self, session: SessionId, id: String, command: Command, now_ms: u64) {
        let Some(at) = self.sessions.get(&session) else {
            return;
        };
        match self.rooms.get_mut(&at.team) {
            Some(Slot::Claiming { inputs }) => inputs.push(Input::Command { session, id, command }),
            // The gateway sends it again to the new owner.
            Some(Slot::Live(live)) if live.leaving.is_some() => {}
            Some(Slot::Live(live)) if live.gate.waiting() >= PENDING_OUTPUTS_PER_ROOM_MAX => {
                self.metrics.refused.inc();
                outputs::send_unavailable(&at.link, session, id);
            }
            Some(Slot::Live(_)) => {
                let team = at.team.clone();
                self.handle(&team, poker_core::Input::Command { session, id, command }, now_ms);
            }
            None => {}
        }
    }

    fn on_close(&mut self, session: SessionId, now_ms: u64) {
        let Some(at) = self.sessions.remove(&session) else {
            return;
        };
        match self.rooms.get_mut(&at.team) {
            Some(Slot::Claiming { inputs }) => {
                inputs.retain(|input| !matches!(input, Input::Open(open) if open.session == session));
            }
            Some(Slot::Live(live)) => {
                if at.attached {
                    live.leave_link(&at.link);
                }
                live.joining.retain(|open| open.session != session);
                if live.sessions.remove(&session) && live.leaving.is_none() {
                    self.handle(&at.team, poker_core::Input::Detach { session }, now_ms);
                }
            }
            None => {}
        }
    }

    fn on_link_ended(&mut self, link: u64, now_ms: u64) {
        self.reachable.remove(&link);
        let closed: Vec<SessionId> = self
            .sessions
            .iter()
            .filter(|(_, at)| at.link.id() == link)
            .map(|(session, _)| *session)
            .collect();
        for session in closed {
            self.on_close(session, now_ms);
        }
    }

    /// Applies one input to a room, with everything that follows.
    fn handle(&mut self, team: &Arc<str>, input: poker_core::Input, now_ms: u64) {
        let Some(Slot::Live(live)) = self.rooms.get_mut(team) else {
            return;
        };
        let mut effects = live.room.handle(input, now_ms);
        // A shard that lost the room without noticing would refuse commands that the owner accepts: a refusal leaves once
        // a write has confirmed the ownership.
        let is_refusal = |output: &Output| matches!(output, Output::Refused { .. });
        effects.durable |= effects.out.iter().any(is_refusal);
        let durable = effects.durable;
        let outputs = live.absorb(effects, self.outbox.is_some());
        let connected = live.room.connected();
        if connected != live.counted_participants {
            let change = connected as i64 - live.counted_participants as i64;
            self.metrics.shard.participants.inc_by(change);
            live.counted_participants = connected;
        }
        live.idle_since_ms = match live.sessions.is_empty() {
            true => live.idle_since_ms.or(Some(now_ms)),
            false => None,
        };
        if durable {
            self.queue(team);
        }
        self.deliver(team, outputs);
    }

    /// The next write includes the room.
    fn queue(&mut self, team: &Arc<str>) {
        if let Some(Slot::Live(live)) = self.rooms.get_mut(team)
            && !live.queued
        {
            live.queued = true;
            self.changed.push_back(team.clone());
        }
    }

    fn on_room_timer(&mut self, now_ms: u64) {
        let (mut due, mut idle, mut unsaved) = (Vec::new(), Vec::new(), Vec::new());
        for (team, slot) in &self.rooms {
            let Slot::Live(live) = slot else { continue };
            if live.leaving.is_some() {
                continue;
            }
            if live.room.next_deadline_ms().is_some_and(|at| at <= now_ms) {
                due.push(team.clone());
            }
            if live.gate.is_settled()
                && live
                    .idle_since_ms
                    .is_some_and(|since| since + IDLE_ROOM_MS <= now_ms)
            {
                idle.push(team.clone());
            }
            if live.must_notify() {
                unsaved.push(team.clone());
            }
        }
        for team in due {
            self.handle(&team, poker_core::Input::Tick, now_ms);
        }
        for team in idle {
            self.drop_idle(&team);
        }
        for team in unsaved {
            self.notify_unavailable(&team);
        }
    }

    fn drop_idle(&mut self, team: &Arc<str>) {
        if let Some(Slot::Live(live)) = self.rooms.get(team)
            && live.gate.is_settled()
            && live.sessions.is_empty()
        {
            self.forget(team);
        }
    }

    /// Drops a room and its sessions from memory. Returns the links of the sessions, each once.
    fn forget(&mut self, team: &Arc<str>) -> Vec<LinkHandle> {
        let Some(Slot::Live(live)) = self.rooms.remove(team) else {
            return Vec::new();
        };
        self.metrics.shard.rooms.dec();
        let counted = live.counted_participants as i64;
        self.metrics.shard.participants.dec_by(counted);
        let mut links = Vec::new();
        let joining = live.joining.iter().map(|open| &open.session);
        for session in live.sessions.iter().chain(joining) {
            if let Some(at) = self.sessions.remove(session) {
                push_once(&mut links, at.link);
            }
        }
        links
    }
}

fn push_once(links: &mut Vec<LinkHandle>, link: LinkHandle) {
    if !links.iter().any(|known| known.id() == link.id()) {
        links.push(link);
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// The result of an optional task; never ready without one.
async fn result_of<T>(task: &mut Option<Task<T>>) -> T {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

async fn answer_of(commit: &mut Option<Commit>) -> CommitAnswer {
    match commit {
        Some(commit) => (&mut commit.answer).await,
        None => std::future::pending().await,
    }
}
