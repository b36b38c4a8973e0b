//! Where sockets and links meet: every team with sessions here, under its own lock.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::extract::ws::Utf8Bytes;
use poker_core::protocol::close;
use poker_routing::RoutingTable;
use tokio_util::sync::CancellationToken;

use super::{
    limits::TICK_PERIOD,
    links::Links,
    outbox::{Outbox, Pushed},
    placement::{LinkState, World},
    team::{Action, Team},
};
use crate::{
    link::{ToGateway, Wish},
    routes::Routes,
};

/// Lock order: `map`, then a team, then `timers`, links and outboxes.
pub struct Hub {
    map: RwLock<Map>,
    links: Links,
    routes: Routes,
    timers: Mutex<BTreeSet<(u64, Arc<str>)>>,
    next_session: AtomicU64,
    started: Instant,
    weak: Weak<Hub>,
}

#[derive(Default)]
struct Map {
    teams: HashMap<Arc<str>, Arc<TeamCell>>,
    sessions: HashMap<u64, Arc<TeamCell>>,
}

struct TeamCell(Mutex<TeamState>);

struct TeamState {
    team: Team,
    outboxes: Vec<(u64, Arc<Outbox>)>,
    /// When the timer set for this team is due.
    due_ms: Option<u64>,
}

/// A session in the hub; leaves it when dropped.
pub struct Membership {
    hub: Arc<Hub>,
    cell: Arc<TeamCell>,
    session: u64,
}

impl Hub {
    /// `name` names the process to shards. Needs a runtime; `stop` ends its background work.
    pub fn start(name: String, routes: Routes, stop: CancellationToken) -> Arc<Hub> {
        let hub = Arc::new_cyclic(|weak| Hub {
            map: RwLock::default(),
            links: Links::new(name),
            routes: routes.clone(),
            timers: Mutex::default(),
            next_session: AtomicU64::new(1),
            started: Instant::now(),
            weak: weak.clone(),
        });
        hub.connect_all();
        tokio::spawn(run(Arc::downgrade(&hub), routes, stop));
        hub
    }

    pub fn links(&self) -> &Links {
        &self.links
    }

    /// The outboxes of all sessions.
    pub fn outboxes(&self) -> Vec<Arc<Outbox>> {
        let outboxes = |cell: Arc<TeamCell>| {
            let state = cell.lock();
            state
                .outboxes
                .iter()
                .map(|(_, outbox)| outbox.clone())
                .collect::<Vec<_>>()
        };
        self.cells().into_iter().flat_map(outboxes).collect()
    }

    pub fn routes_version(&self) -> u64 {
        self.routes.borrow().version
    }

    /// Brings a client's wish to its team; what it is to get goes into `outbox`.
    pub fn join(self: &Arc<Self>, team: &str, wish: Wish, outbox: Arc<Outbox>) -> Membership {
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
        state.outboxes.push((session, outbox));
        self.act(&mut state, |team, world, out| {
            team.join(session, wish, world, out)
        });
        drop(state);
        Membership {
            hub: self.clone(),
            cell,
            session,
        }
    }

    /// A frame of the shard at `address`.
    pub fn hear(&self, address: &str, frame: ToGateway) {
        let Some(cell) = self.find(&frame) else { return };
        self.act(&mut cell.lock(), |team, world, out| {
            team.hear(address, frame, world, out);
        });
    }

    /// A link came up or has been down for too long.
    pub fn links_changed(&self) {
        self.for_each_team(Team::settle);
    }

    /// A link ended.
    pub fn link_down(&self, address: &str) {
        self.for_each_team(|team, world, out| team.link_down(address, world, out));
    }

    /// Whether any shard of the table can be reached.
    pub fn any_link_up(&self) -> bool {
        let table = self.routes.borrow().clone();
        let mut shards = table.shards.iter();
        shards.any(|shard| self.links.state(&shard.address) == LinkState::Up)
    }

    /// Whether the table names `address`, or a team is there.
    pub fn has_use_for(&self, address: &str) -> bool {
        let table = self.routes.borrow().clone();
        table.addresses().any(|named| named == address)
            || self
                .cells()
                .iter()
                .any(|cell| cell.lock().team.address().is_some_and(|at| **at == *address))
    }

    fn find(&self, frame: &ToGateway) -> Option<Arc<TeamCell>> {
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        match frame {
            ToGateway::Publish { team, .. } | ToGateway::Moved { team, .. } => {
                map.teams.get(&**team).cloned()
            }
            ToGateway::Attached { session, .. }
            | ToGateway::ToSession { session, .. }
            | ToGateway::Refused { session, .. }
            | ToGateway::Kick { session, .. } => map.sessions.get(session).cloned(),
            ToGateway::Pong => None,
        }
    }

    fn leave(&self, cell: &TeamCell, session: u64) {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        map.sessions.remove(&session);
        let mut state = cell.lock();
        state.outboxes.retain(|(id, _)| *id != session);
        if state.outboxes.is_empty() {
            map.teams.remove(state.team.slug());
        }
        drop(map);
        self.act(&mut state, |team, _, out| team.leave(session, out));
    }

    fn cells(&self) -> Vec<Arc<TeamCell>> {
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        map.teams.values().cloned().collect()
    }

    fn for_each_team(&self, mut change: impl FnMut(&mut Team, World, &mut Vec<Action>)) {
        for cell in self.cells() {
            self.act(&mut cell.lock(), &mut change);
        }
    }

    fn connect_all(&self) {
        let table = self.routes.borrow().clone();
        for address in table.addresses() {
            self.links.ensure(&Arc::from(address), &self.weak);
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
                self.act(&mut state, Team::settle);
            }
        }
    }

    /// Lets the team decide and does what it says, in order, while its lock is held.
    fn act(&self, state: &mut TeamState, change: impl FnOnce(&mut Team, World, &mut Vec<Action>)) {
        let table = self.routes.borrow().clone();
        let link = |address: &str| self.links.state(address);
        let world = World {
            now_ms: self.now_ms(),
            table: &table,
            link: &link,
        };
        let mut actions = Vec::new();
        change(&mut state.team, world, &mut actions);
        if let Some(address) = state.team.address() {
            self.connect(address, &table);
        }
        while !actions.is_empty() {
            let mut overflowed = Vec::new();
            for action in actions.drain(..) {
                overflowed.extend(self.carry_out(state, action));
            }
            for session in overflowed {
                state.team.overflowed(session, world, &mut actions);
            }
        }
        self.set_timer(state, world);
    }

    /// Owners named by other shards need not be in the table.
    fn connect(&self, address: &Arc<str>, table: &RoutingTable) {
        if !table.addresses().any(|named| named == &**address) {
            self.links.ensure(address, &self.weak);
        }
    }

    /// Returns the session whose queue overflowed.
    fn carry_out(&self, state: &TeamState, action: Action) -> Option<u64> {
        match action {
            Action::Send { address, frame } => self.links.send(&address, frame),
            Action::DeliverState { session, texts } => {
                if let Some(outbox) = state.outbox(session) {
                    outbox.push_state(texts);
                }
            }
            Action::Close {
                session,
                code,
                reason,
            } => {
                if let Some(outbox) = state.outbox(session) {
                    outbox.close(code, reason);
                }
            }
            Action::Deliver { session, text } => {
                let outbox = state.outbox(session)?;
                match outbox.push(text, Instant::now()) {
                    Pushed::Queued => {}
                    Pushed::Overflowed => return Some(session),
                    Pushed::OverflowedAgain => outbox.close(close::SLOW_CONSUMER, "slow_consumer".to_owned()),
                }
            }
        }
        None
    }

    fn set_timer(&self, state: &mut TeamState, world: World) {
        let Some(due_ms) = state.team.next_deadline_ms(world) else {
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

impl TeamCell {
    fn new(slug: Arc<str>) -> Self {
        Self(Mutex::new(TeamState {
            team: Team::new(slug),
            outboxes: Vec::new(),
            due_ms: None,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, TeamState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TeamState {
    fn outbox(&self, session: u64) -> Option<&Outbox> {
        let found = self.outboxes.iter().find(|(id, _)| *id == session);
        found.map(|(_, outbox)| &**outbox)
    }
}

impl Membership {
    /// A command frame of the client: its id, and the frame as it came.
    pub fn command(&self, id: &str, text: &str) {
        self.hub.act(&mut self.cell.lock(), |team, _, out| {
            team.command(self.session, id, text, out);
        });
    }

    /// An answer of the gateway's own, in order with the room's messages.
    pub fn answer(&self, text: Utf8Bytes) {
        let session = self.session;
        self.hub.act(&mut self.cell.lock(), |_, _, out| {
            out.push(Action::Deliver { session, text });
        });
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.hub.leave(&self.cell, self.session);
    }
}

/// Follows the table and the teams' timers.
async fn run(hub: Weak<Hub>, mut routes: Routes, stop: CancellationToken) {
    let mut tick = tokio::time::interval(TICK_PERIOD);
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
            hub.links_changed();
        }
        hub.tick();
    }
}
