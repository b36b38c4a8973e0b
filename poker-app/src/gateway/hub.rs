//! Connects sockets with links: every team with sessions at this gateway, each under its own lock.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::extract::ws::Utf8Bytes;
use poker_core::protocol::{Hello, close};
use poker_routing::RoutingTable;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    action::Action,
    limits::TEAM_TIMER_PERIOD,
    links::{LinkEvent, LinkListener, LinkState, Links},
    placement::RoutingInput,
    send_queue::{Pushed, SendQueue},
    team::Team,
    team_preview::Previews,
};
use crate::{
    link::{ToGateway, ToShard},
    routes::Routes,
};

/// Lock order: `map`, then a team, then `timers`, links and queues.
pub struct Hub {
    map: RwLock<Map>,
    links: Arc<Links>,
    /// Held while the gateway reports to shards which other shards it reaches.
    reports: Mutex<()>,
    /// Wakes requests that wait for a link.
    link_changed: Notify,
    routes: Routes,
    timers: Mutex<BTreeSet<(u64, Arc<str>)>>,
    next_session: AtomicU64,
    previews: Previews,
    started: Instant,
}

#[derive(Default)]
struct Map {
    teams: HashMap<Arc<str>, Arc<TeamCell>>,
    sessions: HashMap<u64, Arc<TeamCell>>,
}

struct TeamCell(Mutex<TeamState>);

struct TeamState {
    team: Team,
    queues: Vec<(u64, Arc<SendQueue>)>,
    /// When this team's timer is due.
    due_ms: Option<u64>,
}

/// A session in the hub, which it leaves when this is dropped.
pub struct SessionHandle {
    hub: Arc<Hub>,
    cell: Arc<TeamCell>,
    session: u64,
}

impl Hub {
    /// `name` names the process to shards. Needs a runtime. `stop` ends the background task.
    pub fn start(name: String, routes: Routes, stop: CancellationToken) -> Arc<Hub> {
        let hub = Arc::new_cyclic(|weak: &Weak<Hub>| Hub {
            map: RwLock::default(),
            links: Arc::new(Links::new(name, weak.clone())),
            reports: Mutex::default(),
            link_changed: Notify::new(),
            routes: routes.clone(),
            timers: Mutex::default(),
            next_session: AtomicU64::new(1),
            previews: Previews::default(),
            started: Instant::now(),
        });
        hub.connect_all();
        tokio::spawn(run(Arc::downgrade(&hub), routes, stop));
        hub
    }

    /// The send queues of all sessions.
    pub fn queues(&self) -> Vec<Arc<SendQueue>> {
        let queues = |cell: Arc<TeamCell>| {
            let state = cell.lock();
            state
                .queues
                .iter()
                .map(|(_, queue)| queue.clone())
                .collect::<Vec<_>>()
        };
        self.cells().into_iter().flat_map(queues).collect()
    }

    pub fn routes_version(&self) -> u64 {
        self.routes.borrow().version
    }

    /// Adds a session to its team. Messages for it are pushed to `queue`.
    pub fn join(self: &Arc<Self>, team: &str, hello: Hello, queue: Arc<SendQueue>) -> SessionHandle {
        let session = self.next_session.fetch_add(1, Ordering::Relaxed);
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        let cell = match map.teams.get(team) {
            Some(cell) => cell.clone(),
            None => {
                let slug: Arc<str> = Arc::from(team);
                let cell = Arc::new(TeamCell::new(slug.clone()));
                map.teams.insert(slug, cell.clone());
                cell
            }
        };
        map.sessions.insert(session, cell.clone());
        let mut state = cell.lock();
        drop(map);
        state.queues.push((session, queue));
        self.apply(&mut state, |team, input, out| {
            team.join(session, hello, input, out)
        });
        drop(state);
        SessionHandle {
            hub: self.clone(),
            cell,
            session,
        }
    }

    /// A team's name, `None` if there is no such team. The first reachable shard answers; asks again whenever a link
    /// changes, so the caller must set a timeout.
    pub async fn preview(&self, team: &str) -> Option<String> {
        let mut preview = self.previews.start();
        loop {
            let link_changed = self.link_changed.notified();
            if let Some(address) = self.first_reachable(team) {
                let (request, team) = (preview.request, team.to_owned());
                self.links.send(&address, ToShard::Preview { request, team });
            }
            tokio::select! {
                name = preview.answer() => return name,
                () = link_changed => {}
            }
        }
    }

    fn first_reachable(&self, team: &str) -> Option<String> {
        let table = self.routes.borrow().clone();
        let mut route = table.route(team).into_iter();
        let reachable = route.find(|shard| self.links.state(&shard.address) == LinkState::Up);
        reachable.map(|shard| shard.address.clone())
    }

    fn on_shard_frame(&self, address: &str, frame: ToGateway) {
        let Some(cell) = self.find(&frame) else { return };
        self.apply(&mut cell.lock(), |team, input, out| {
            team.on_shard_frame(address, frame, input, out);
        });
    }

    /// Whether the link to any shard of the table is up.
    pub fn any_link_up(&self) -> bool {
        let table = self.routes.borrow().clone();
        let mut shards = table.shards.iter();
        shards.any(|shard| self.links.state(&shard.address) == LinkState::Up)
    }

    /// Reports to all other shards whether this gateway can reach a shard, and to the shard itself which it can reach: a
    /// room returns to the shard that its team prefers once all its gateways can reach that one.
    fn report_shard(&self, address: &str) {
        // One at a time: a shard must not hear of another that it is up after it heard that it is down.
        let _order = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = vec![address.to_owned()];
        let others = self.links.up().into_iter().filter(|other| **other != *address);
        let others: Vec<String> = others.map(|other| other.to_string()).collect();
        let (up, down) = match self.links.state(address) == LinkState::Up {
            true => (changed, Vec::new()),
            false => (Vec::new(), changed),
        };
        for other in &others {
            let (up, down) = (up.clone(), down.clone());
            self.links.send(other, ToShard::Shards { up, down });
        }
        if down.is_empty() {
            let down = Vec::new();
            self.links.send(address, ToShard::Shards { up: others, down });
        }
    }

    fn find(&self, frame: &ToGateway) -> Option<Arc<TeamCell>> {
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        match frame {
            ToGateway::Publish { team, .. } | ToGateway::Moved { team, .. } => {
                map.teams.get(&**team).cloned()
            }
            ToGateway::Attached { session, .. }
            | ToGateway::Ack { session, .. }
            | ToGateway::Refused { session, .. }
            | ToGateway::Private { session, .. }
            | ToGateway::OpenRefused { session, .. }
            | ToGateway::Kick { session, .. } => map.sessions.get(session).cloned(),
            ToGateway::Preview { .. } | ToGateway::Pong => None,
        }
    }

    fn leave(&self, cell: &TeamCell, session: u64) {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        map.sessions.remove(&session);
        let mut state = cell.lock();
        state.queues.retain(|(id, _)| *id != session);
        if state.queues.is_empty() {
            map.teams.remove(state.team.slug());
        }
        drop(map);
        self.apply(&mut state, |team, _, out| team.leave(session, out));
    }

    fn cells(&self) -> Vec<Arc<TeamCell>> {
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        map.teams.values().cloned().collect()
    }

    fn for_each_team(&self, mut change: impl FnMut(&mut Team, RoutingInput, &mut Vec<Action>)) {
        for cell in self.cells() {
            self.apply(&mut cell.lock(), &mut change);
        }
    }

    fn connect_all(&self) {
        let table = self.routes.borrow().clone();
        for address in table.addresses() {
            self.links.ensure(&Arc::from(address));
        }
    }

    fn tick(&self) {
        let now_ms = self.now_ms();
        loop {
            let due = {
                let mut timers = self.lock_timers();
                match timers.first() {
                    Some((ms, _)) if *ms <= now_ms => timers.pop_first(),
                    _ => return,
                }
            };
            let Some((_, slug)) = due else { return };
            let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
            let cell = map.teams.get(&slug).cloned();
            drop(map);
            if let Some(cell) = cell {
                let mut state = cell.lock();
                state.due_ms = None;
                self.apply(&mut state, Team::settle);
            }
        }
    }

    /// Applies an input to a team and carries out its actions, in order, while its lock is held.
    fn apply(&self, state: &mut TeamState, change: impl FnOnce(&mut Team, RoutingInput, &mut Vec<Action>)) {
        let table = self.routes.borrow().clone();
        let link = |address: &str| self.links.state(address);
        let input = RoutingInput {
            now_ms: self.now_ms(),
            table: &table,
            link: &link,
        };
        let mut actions = Vec::new();
        change(&mut state.team, input, &mut actions);
        if let Some(address) = state.team.address() {
            self.connect(address, &table);
        }
        while !actions.is_empty() {
            let mut overflowed = Vec::new();
            for action in actions.drain(..) {
                overflowed.extend(self.carry_out(state, action));
            }
            for session in overflowed {
                state.team.overflowed(session, input, &mut actions);
            }
        }
        self.set_timer(state, input);
    }

    /// Connects to an owner that another shard named and the table does not.
    fn connect(&self, address: &Arc<str>, table: &RoutingTable) {
        if !table.addresses().any(|named| named == &**address) {
            self.links.ensure(address);
        }
    }

    /// Returns the session whose queue overflowed.
    fn carry_out(&self, state: &TeamState, action: Action) -> Option<u64> {
        match action {
            Action::Send { address, frame } => self.links.send(&address, frame),
            Action::DeliverState { session, texts } => {
                if let Some(queue) = state.queue(session) {
                    queue.push_state(texts);
                }
            }
            Action::Close {
                session,
                code,
                reason,
            } => {
                if let Some(queue) = state.queue(session) {
                    queue.close(code, reason);
                }
            }
            Action::Deliver { session, text } => {
                let queue = state.queue(session)?;
                match queue.push(text, Instant::now()) {
                    Pushed::Queued => {}
                    Pushed::Overflowed => return Some(session),
                    Pushed::OverflowedAgain => queue.close(close::SLOW_CONSUMER, "slow_consumer".to_owned()),
                }
            }
        }
        None
    }

    fn set_timer(&self, state: &mut TeamState, input: RoutingInput) {
        let Some(due_ms) = state.team.next_deadline_ms(input) else {
            return;
        };
        if state.due_ms.is_some_and(|set| set <= due_ms) {
            return;
        }
        let slug = state.team.slug().clone();
        let mut timers = self.lock_timers();
        if let Some(set) = state.due_ms.replace(due_ms) {
            timers.remove(&(set, slug.clone()));
        }
        timers.insert((due_ms, slug));
    }

    fn lock_timers(&self) -> MutexGuard<'_, BTreeSet<(u64, Arc<str>)>> {
        self.timers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl LinkListener for Hub {
    fn on_link_event(&self, address: &str, event: LinkEvent) {
        match event {
            LinkEvent::Frame(ToGateway::Preview { request, name }) => self.previews.finish(request, name),
            LinkEvent::Frame(frame) => self.on_shard_frame(address, frame),
            LinkEvent::StateChanged => {
                self.report_shard(address);
                self.for_each_team(Team::settle);
                self.link_changed.notify_waiters();
            }
            LinkEvent::Ended => {
                self.report_shard(address);
                self.for_each_team(|team, input, out| team.link_down(address, input, out));
                self.link_changed.notify_waiters();
            }
        }
    }

    /// Whether the table names the address, or a team is there.
    fn needs_link(&self, address: &str) -> bool {
        let table = self.routes.borrow().clone();
        let is_there = |cell: &Arc<TeamCell>| cell.lock().team.address().is_some_and(|at| **at == *address);
        table.addresses().any(|named| named == address) || self.cells().iter().any(is_there)
    }
}

impl TeamCell {
    fn new(slug: Arc<str>) -> Self {
        Self(Mutex::new(TeamState {
            team: Team::new(slug),
            queues: Vec::new(),
            due_ms: None,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, TeamState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TeamState {
    fn queue(&self, session: u64) -> Option<&SendQueue> {
        let found = self.queues.iter().find(|(id, _)| *id == session);
        found.map(|(_, queue)| &**queue)
    }
}

impl SessionHandle {
    /// Passes on a command frame of the client: its id, and the unchanged frame.
    pub fn command(&self, id: &str, text: &str) {
        self.hub.apply(&mut self.cell.lock(), |team, _, out| {
            team.command(self.session, id, text, out);
        });
    }

    /// Sends an answer of the gateway itself, in order with the room's messages.
    pub fn answer(&self, text: Utf8Bytes) {
        let session = self.session;
        self.hub.apply(&mut self.cell.lock(), |_, _, out| {
            out.push(Action::Deliver { session, text });
        });
    }
}

impl Drop for SessionHandle {
    fn drop(&mut self) {
        self.hub.leave(&self.cell, self.session);
    }
}

/// Follows the routing table and the timers of the teams.
async fn run(hub: Weak<Hub>, mut routes: Routes, stop: CancellationToken) {
    let mut tick = tokio::time::interval(TEAM_TIMER_PERIOD);
    let mut routes_end = false;
    loop {
        let table_changed = tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => false,
            changed = routes.changed(), if !routes_end => {
                routes_end = changed.is_err();
                !routes_end
            }
        };
        let Some(hub) = hub.upgrade() else { return };
        if table_changed {
            hub.connect_all();
            hub.for_each_team(Team::settle);
        }
        hub.tick();
    }
}
