//! Rooms that leave: to the shard a newer table names, or to whoever takes them when this process ends.

use std::sync::Arc;

use poker_routing::RoutingTable;

use super::{Engine, Slot, outputs::send_moved};
use crate::shard::{live::Leaving, ownership::must_leave};

impl Engine {
    pub(super) fn on_table(&mut self, table: Arc<RoutingTable>) {
        self.table = table;
        let teams: Vec<Arc<str>> = self.rooms.keys().cloned().collect();
        for team in teams {
            self.review(&team);
        }
    }

    /// Lets a room go that the table gives to another shard.
    pub(super) fn review(&mut self, team: &Arc<str>) {
        let Some(Slot::Live(live)) = self.rooms.get_mut(team) else {
            return;
        };
        if matches!(live.leaving, Some((Leaving::Shutdown, _))) {
            return;
        }
        if let Some(owner) = must_leave(&self.table, &self.me, team, live.table) {
            live.leaving = Some((Leaving::Table, owner));
            self.leave_if_settled(team);
        }
    }

    pub(super) fn on_drain(&mut self) {
        self.draining = true;
        let teams = self.rooms.keys().cloned().collect();
        self.leave_for_shutdown(teams);
    }

    /// Gives rooms up to whoever takes them; those that wait for the store follow when it has answered.
    pub(super) fn leave_for_shutdown(&mut self, teams: Vec<Arc<str>>) {
        let mut settled = Vec::new();
        for team in teams {
            if let Some(Slot::Live(live)) = self.rooms.get_mut(&team)
                && live.leaving.is_none()
            {
                live.leaving = Some((Leaving::Shutdown, None));
                if live.gate.is_settled() {
                    settled.push((team, live.epoch));
                }
            }
        }
        self.release(settled);
    }

    /// Called whenever a write was confirmed.
    pub(super) fn leave_if_settled(&mut self, team: &Arc<str>) {
        let Some(Slot::Live(live)) = self.rooms.get(team) else {
            return;
        };
        if !live.gate.is_settled() {
            return;
        }
        match &live.leaving {
            None => {}
            Some((Leaving::Shutdown, _)) => {
                let room = (team.clone(), live.epoch);
                self.release(vec![room]);
            }
            Some((Leaving::Table, owner)) => {
                let owner = owner.clone();
                self.metrics.shard.moves("table").inc();
                for link in self.forget(team) {
                    send_moved(&link, team, owner.clone(), self.table.version);
                }
            }
        }
    }

    /// Without a release the next owner would be held off for a moment after a recent claim.
    fn release(&mut self, rooms: Vec<(Arc<str>, u64)>) {
        if rooms.is_empty() {
            return;
        }
        let (store, owner) = (self.store.clone(), self.me.address.clone());
        self.releases.push(Box::pin(async move {
            if let Err(error) = store.release(&owner, &rooms).await {
                tracing::warn!(%error, rooms = rooms.len(), "cannot release rooms; their next owner waits a moment");
            }
            rooms.into_iter().map(|(team, _)| team).collect()
        }));
    }

    pub(super) fn on_released(&mut self, teams: Vec<Arc<str>>) {
        for team in teams {
            if !matches!(self.rooms.get(&team), Some(Slot::Live(_))) {
                continue;
            }
            self.metrics.shard.moves("shutdown").inc();
            for link in self.forget(&team) {
                send_moved(&link, &team, None, self.table.version);
            }
        }
    }
}
