//! Handing rooms off: to the shard that a newer table names, to the one that a fault took them from once it serves again, or
//! to any other when this process shuts down.

use std::sync::Arc;

use poker_routing::RoutingTable;
use tokio::time::Instant;

use super::{Engine, Slot, outputs::send_moved};
use crate::shard::{
    limits::{HOME_REACHABLE_MIN, HOME_ROOMS_PER_PERIOD, RECHECK_ROOMS_PER_TURN, RELEASE_RETRY_DELAY},
    link_handle::LinkHandle,
    live_room::{Leaving, LiveRoom},
    ownership::{TableChange, must_leave, preferred},
};
use crate::store::{ReleaseRequest, StoreError};

/// The store's answer to a release: for each room, whether it has the newest change.
pub struct ReleaseAnswer {
    rooms: Vec<ReleaseRequest>,
    answer: Result<Vec<bool>, StoreError>,
}

impl Engine {
    /// Rooms follow in parts, so that a new table delays no vote; until then they are served as before.
    pub(super) fn on_table(&mut self, table: Arc<RoutingTable>) {
        let change = TableChange::between(&self.table, &table, &self.local);
        self.table = table;
        self.change = std::mem::take(&mut self.change).then(change);
        let is_concerned = |slot: &Slot| match slot {
            Slot::Live(live) => live.home.is_some() || !matches!(self.change, TableChange::None),
            Slot::Claiming { .. } => false,
        };
        let rooms = self.rooms.iter().filter(|(_, slot)| is_concerned(slot));
        self.to_recheck = rooms.map(|(team, _)| team.clone()).collect();
        if self.to_recheck.is_empty() {
            self.change = TableChange::None;
        }
    }

    /// Checks some of the rooms that the newest table may move.
    pub(super) fn recheck_some(&mut self) {
        for _ in 0..RECHECK_ROOMS_PER_TURN {
            let Some(team) = self.to_recheck.pop_front() else {
                break;
            };
            let Some(Slot::Live(live)) = self.rooms.get(&team) else {
                continue;
            };
            if live.home.is_some() || self.change.concerns(&self.table, &self.local, &team) {
                self.recheck_owner(&team);
            }
        }
        if self.to_recheck.is_empty() {
            self.change = TableChange::None;
        }
    }

    /// Hands a room off if the table assigns it to another shard since it was claimed.
    pub(super) fn recheck_owner(&mut self, team: &Arc<str>) {
        let Some(Slot::Live(live)) = self.rooms.get_mut(team) else {
            return;
        };
        if matches!(live.leaving, Some((Leaving::Shutdown, _))) {
            return;
        }
        if self.table.version <= live.table {
            live.home = preferred(&self.table, &self.local, team);
            return;
        }
        live.home = None;
        if let Some(owner) = must_leave(&self.table, &self.local, team, live.table) {
            live.leaving = Some((Leaving::Table, owner));
            self.leave_if_settled(team);
        }
    }

    pub(super) fn on_shards(&mut self, link: u64, up: Vec<String>, down: &[String]) {
        let reachable = self.reachable.entry(link).or_default();
        for address in down {
            reachable.remove(address);
        }
        for address in up {
            reachable.entry(address).or_insert_with(Instant::now);
        }
    }

    /// Hands some of the rooms that a fault brought here back to the shards that their teams prefer.
    pub(super) fn send_home(&mut self) {
        if self.draining || self.store_failing {
            return;
        }
        let can_leave = |slot: &Slot| match slot {
            Slot::Live(live) => live.leaving.is_none() && self.all_reach_home(live),
            Slot::Claiming { .. } => false,
        };
        let rooms = self.rooms.iter().filter(|(_, slot)| can_leave(slot));
        let teams: Vec<Arc<str>> = rooms
            .map(|(team, _)| team.clone())
            .take(HOME_ROOMS_PER_PERIOD)
            .collect();
        for team in teams {
            if let Some(Slot::Live(live)) = self.rooms.get_mut(&team) {
                live.leaving = Some((Leaving::Home, live.home.clone()));
                self.leave_if_settled(&team);
            }
        }
    }

    /// Whether every gateway with sessions in the room has reached its home for a while. A room without sessions leaves
    /// memory by itself.
    fn all_reach_home(&self, live: &LiveRoom) -> bool {
        let Some(home) = &live.home else { return false };
        let reaches = |link: &LinkHandle| {
            let since = self.reachable.get(&link.id()).and_then(|shards| shards.get(home));
            since.is_some_and(|since| since.elapsed() >= HOME_REACHABLE_MIN)
        };
        live.links().next().is_some() && live.links().all(reaches)
    }

    pub(super) fn on_drain(&mut self) {
        self.draining = true;
        let teams = self.rooms.keys().cloned().collect();
        self.leave_for_shutdown(teams);
    }

    /// Hands rooms off; those that wait for the store follow when it has answered.
    pub(super) fn leave_for_shutdown(&mut self, teams: Vec<Arc<str>>) {
        for team in teams {
            if let Some(Slot::Live(live)) = self.rooms.get_mut(&team) {
                live.leaving.get_or_insert((Leaving::Shutdown, None));
                self.leave_if_settled(&team);
            }
        }
    }

    /// Call it whenever a write is confirmed.
    pub(super) fn leave_if_settled(&mut self, team: &Arc<str>) {
        if let Some(Slot::Live(live)) = self.rooms.get(team)
            && live.leaving.is_some()
            && live.gate.is_settled()
        {
            self.to_release.push(ReleaseRequest {
                team: team.clone(),
                epoch: live.epoch,
                change: live.gate.confirmed(),
            });
        }
    }

    /// Releases the rooms that are ready to leave. Each stays in memory until the store has confirmed that it has the room's
    /// newest change: a store that was restarted may have lost it.
    pub(super) fn start_release(&mut self) {
        if self.to_release.is_empty() {
            return;
        }
        let rooms = std::mem::take(&mut self.to_release);
        let (store, owner) = (self.store.clone(), self.local.address.clone());
        self.releases.push(Box::pin(async move {
            let answer = store.release(&owner, &rooms).await;
            if answer.is_err() {
                tokio::time::sleep(RELEASE_RETRY_DELAY).await;
            }
            ReleaseAnswer { rooms, answer }
        }));
    }

    pub(super) fn on_released(&mut self, answer: ReleaseAnswer) {
        let stored = match answer.answer {
            Ok(stored) => stored,
            Err(error) => {
                self.store_failed(&error);
                for room in answer.rooms {
                    self.leave_if_settled(&room.team);
                }
                return;
            }
        };
        let mut restored = 0;
        for (room, is_stored) in answer.rooms.into_iter().zip(stored) {
            match is_stored {
                true => self.leave(&room.team, room.epoch),
                // It leaves when it has been written.
                false => restored += usize::from(self.restore(&room.team, room.epoch)),
            }
        }
        if restored > 0 {
            tracing::warn!(
                rooms = restored,
                "the store lost rooms that are being handed off; writing them back from memory"
            );
        }
    }

    /// Drops a released room and sends its gateways to the next owner.
    fn leave(&mut self, team: &Arc<str>, epoch: u64) {
        let Some(Slot::Live(live)) = self.rooms.get(team) else {
            return;
        };
        let Some((reason, owner)) = live.leaving.clone().filter(|_| live.epoch == epoch) else {
            return;
        };
        self.metrics.shard.handoffs(reason.label()).inc();
        for link in self.forget(team) {
            send_moved(&link, team, owner.clone(), self.table.version);
        }
    }
}
