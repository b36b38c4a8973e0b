//! Group commit, and the periodic check that detects rooms lost to another owner and data lost by the store.

use std::{sync::Arc, time::Instant};

use super::{Engine, Slot, Task, outputs::send_moved};
use crate::{
    clock::now_ms,
    shard::limits::{COMMIT_BYTES_MAX, COMMIT_RETRY_DELAY, COMMIT_ROOMS_MAX, OWNER_CHECK_ROOMS_MAX},
    store::{Committed, Stamp, StoreError},
};

pub type CommitAnswer = Result<Vec<Result<Committed, StoreError>>, StoreError>;

/// A write in flight.
pub struct Commit {
    rooms: Vec<Written>,
    pub answer: Task<CommitAnswer>,
}

/// One room's part of a write, needed when the answer arrives.
struct Written {
    team: Arc<str>,
    epoch: u64,
    change: u64,
    /// When its oldest change was made.
    since: Option<Instant>,
    history: Vec<String>,
}

/// Rooms whose owner was checked, with the epoch and change that the store must have, and the store's answer.
pub struct OwnerCheck {
    rooms: Vec<(Arc<str>, u64, u64)>,
    answer: Result<Vec<Option<Stamp>>, StoreError>,
}

impl Engine {
    /// Writes all rooms that changed since the last write, unless a write is in flight.
    pub(super) fn start_commit(&mut self) {
        if self.commit.is_some() || self.changed.is_empty() {
            return;
        }
        let (mut rooms, mut writes) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        while writes.len() < COMMIT_ROOMS_MAX
            && bytes < COMMIT_BYTES_MAX
            && let Some(team) = self.changed.pop_front()
        {
            let Some(Slot::Live(live)) = self.rooms.get_mut(&team) else {
                continue;
            };
            live.queued = false;
            let write = live.write(&self.local.address);
            bytes += write.state.len();
            rooms.push(Written {
                team,
                epoch: write.epoch,
                change: write.change,
                since: live.changed_since.take(),
                history: write.history.clone(),
            });
            writes.push(write);
        }
        let store = self.store.clone();
        let answer = Box::pin(async move {
            let answer = store.commit(writes).await;
            if failed(&answer) {
                tokio::time::sleep(COMMIT_RETRY_DELAY).await;
            }
            answer
        });
        self.commit = Some(Commit { rooms, answer });
    }

    pub(super) fn on_committed(&mut self, answer: CommitAnswer) {
        let Some(commit) = self.commit.take() else {
            return;
        };
        match answer {
            Ok(results) => {
                self.store_recovered();
                for (written, result) in commit.rooms.into_iter().zip(results) {
                    self.on_written(written, result);
                }
            }
            Err(error) => {
                self.store_failed(&error);
                for written in commit.rooms {
                    self.write_again(written);
                }
            }
        }
    }

    fn on_written(&mut self, written: Written, result: Result<Committed, StoreError>) {
        match result {
            Ok(Committed::Stored) => self.on_stored(written),
            Ok(Committed::Lost { owner, table }) => self.on_lost(&written.team, written.epoch, owner, table),
            Err(error) => {
                self.store_failed(&error);
                self.write_again(written);
            }
        }
    }

    fn on_stored(&mut self, written: Written) {
        if let Some(outbox) = &self.outbox
            && !written.history.is_empty()
        {
            outbox.added(&written.team, written.history.len() as u64);
        }
        if let Some(since) = written.since {
            self.metrics
                .shard
                .commit_seconds
                .observe(since.elapsed().as_secs_f64());
        }
        let Some(Slot::Live(live)) = self.rooms.get_mut(&written.team) else {
            return;
        };
        if live.epoch != written.epoch {
            return;
        }
        let outputs = live.stored(written.change);
        let available_again = std::mem::take(&mut live.notified);
        self.deliver(&written.team, outputs);
        if available_again {
            self.notify_available(&written.team);
        }
        self.attach_joining(&written.team, now_ms());
        self.leave_if_settled(&written.team);
    }

    /// Logs once when the store starts to fail and once when it recovers.
    pub(super) fn store_failed(&mut self, error: &StoreError) {
        if !self.store_failing {
            self.store_failing = true;
            tracing::warn!(%error, "the store fails, changes wait for it");
        }
    }

    fn store_recovered(&mut self) {
        if self.store_failing {
            self.store_failing = false;
            tracing::info!("the store has recovered");
        }
    }

    fn write_again(&mut self, written: Written) {
        let Some(Slot::Live(live)) = self.rooms.get_mut(&written.team) else {
            return;
        };
        if live.epoch != written.epoch {
            return;
        }
        live.restore_history(written.history);
        live.changed_since = written.since.or(live.changed_since);
        self.queue(&written.team);
    }

    /// Checks that this shard still owns its rooms. Without a write it would not notice that it lost one.
    pub(super) fn start_check(&mut self) -> Option<Task<OwnerCheck>> {
        let rooms: Vec<_> = self
            .rooms
            .values()
            .filter_map(|slot| match slot {
                Slot::Live(live) => Some((live.team.clone(), live.epoch, live.gate.confirmed())),
                Slot::Claiming { .. } => None,
            })
            .collect();
        if rooms.is_empty() {
            return None;
        }
        let store = self.store.clone();
        Some(Box::pin(async move {
            let mut stamps = Vec::with_capacity(rooms.len());
            for part in rooms.chunks(OWNER_CHECK_ROOMS_MAX) {
                let teams: Vec<Arc<str>> = part.iter().map(|(team, ..)| team.clone()).collect();
                match store.check(&teams).await {
                    Ok(part) => stamps.extend(part),
                    Err(error) => {
                        return OwnerCheck {
                            rooms,
                            answer: Err(error),
                        };
                    }
                }
            }
            OwnerCheck {
                rooms,
                answer: Ok(stamps),
            }
        }))
    }

    pub(super) fn on_checked(&mut self, checked: OwnerCheck) {
        let stamps = match checked.answer {
            Ok(stamps) => stamps,
            Err(error) => return tracing::debug!(%error, "cannot check the owners of rooms"),
        };
        let mut restored = 0;
        for ((team, epoch, confirmed), stamp) in checked.rooms.into_iter().zip(stamps) {
            match stamp {
                Some(stamp) if stamp.epoch > epoch => self.on_lost(&team, epoch, stamp.owner, stamp.table),
                Some(stamp) if stamp.epoch == epoch && stamp.change >= confirmed => {
                    if *stamp.owner != *self.local.address && !stamp.owner.is_empty() {
                        self.on_lost(&team, epoch, stamp.owner, stamp.table);
                    }
                }
                // The store lost data: write this shard's state back.
                Some(_) | None => restored += usize::from(self.restore(&team, epoch)),
            }
        }
        if restored > 0 {
            tracing::warn!(
                rooms = restored,
                "the store lost rooms; writing them back from memory"
            );
        }
    }

    /// Writes a room to a store that lost it. False: the room is gone, or is about to be written anyway.
    pub(super) fn restore(&mut self, team: &Arc<str>, epoch: u64) -> bool {
        match self.rooms.get_mut(team) {
            Some(Slot::Live(live)) if live.epoch == epoch && live.gate.is_settled() => {
                live.gate.touch();
                self.queue(team);
                true
            }
            _ => false,
        }
    }

    /// A newer owner has claimed the room: changes that were not stored are void, and gateways send their commands again
    /// to that owner.
    pub(super) fn on_lost(&mut self, team: &Arc<str>, epoch: u64, owner: String, table: u64) {
        match self.rooms.get(team) {
            Some(Slot::Live(live)) if live.epoch == epoch => {}
            _ => return,
        }
        let links = self.forget(team);
        self.metrics.shard.handoffs("fenced").inc();
        tracing::debug!("lost a room to a newer owner");
        // A newer owner at the same address is the successor of this process.
        let owner = Some(owner).filter(|owner| !owner.is_empty() && **owner != *self.local.address);
        for link in links {
            send_moved(&link, team, owner.clone(), table);
        }
    }
}

fn failed(answer: &CommitAnswer) -> bool {
    match answer {
        Ok(results) => results.iter().any(Result::is_err),
        Err(_) => true,
    }
}
