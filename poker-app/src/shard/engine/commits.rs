//! Group commit, and the check that notices when a room was lost or the store forgot something.

use std::{sync::Arc, time::Instant};

use super::{Checked, Engine, Slot, Task, now_ms, outputs};
use crate::{
    shard::limits::{CHECK_ROOMS_MAX, COMMIT_BYTES_MAX, COMMIT_RETRY_DELAY, COMMIT_ROOMS_MAX},
    store::{Committed, StoreError},
};

pub type CommitAnswer = Result<Vec<Result<Committed, StoreError>>, StoreError>;

/// A write under way.
pub struct Commit {
    rooms: Vec<Written>,
    pub answer: Task<CommitAnswer>,
}

/// What a write holds of one room, for when its answer comes.
struct Written {
    team: Arc<str>,
    epoch: u64,
    change: u64,
    /// When the oldest change in it was made.
    since: Option<Instant>,
    history: Vec<String>,
}

impl Engine {
    /// Writes everything that changed since the last write, when none is under way.
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
            let write = live.write(&self.me.address);
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
                self.store_answers();
                for (written, result) in commit.rooms.into_iter().zip(results) {
                    self.on_written(written, result);
                }
            }
            Err(error) => {
                self.store_fails(&error);
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
                self.store_fails(&error);
                self.write_again(written);
            }
        }
    }

    fn on_stored(&mut self, written: Written) {
        if let Some(outbox) = &self.outbox
            && !written.history.is_empty()
        {
            outbox.notify(&written.team, written.history.len() as u64);
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
        self.greet_arriving(&written.team, now_ms());
        self.leave_if_settled(&written.team);
    }

    /// One log line when trouble with the store begins and one when it ends.
    pub(super) fn store_fails(&mut self, error: &StoreError) {
        if !self.store_failing {
            self.store_failing = true;
            tracing::warn!(%error, "changes wait for the store");
        }
    }

    fn store_answers(&mut self) {
        if self.store_failing {
            self.store_failing = false;
            tracing::info!("the store answers again");
        }
    }

    fn write_again(&mut self, written: Written) {
        let Some(Slot::Live(live)) = self.rooms.get_mut(&written.team) else {
            return;
        };
        if live.epoch != written.epoch {
            return;
        }
        live.take_back(written.history);
        live.changed_since = written.since.or(live.changed_since);
        self.queue(&written.team);
    }

    /// Asks whether this shard still owns its rooms: one that lost a room and has nothing to write would not notice.
    pub(super) fn start_check(&mut self) -> Option<Task<Checked>> {
        let asked: Vec<_> = self
            .rooms
            .values()
            .filter_map(|slot| match slot {
                Slot::Live(live) => Some((live.team.clone(), live.epoch, live.gate.confirmed())),
                Slot::Claiming { .. } => None,
            })
            .collect();
        if asked.is_empty() {
            return None;
        }
        let store = self.store.clone();
        Some(Box::pin(async move {
            let mut stamps = Vec::with_capacity(asked.len());
            for part in asked.chunks(CHECK_ROOMS_MAX) {
                let teams: Vec<Arc<str>> = part.iter().map(|(team, ..)| team.clone()).collect();
                match store.check(&teams).await {
                    Ok(part) => stamps.extend(part),
                    Err(error) => {
                        return Checked {
                            asked,
                            answer: Err(error),
                        };
                    }
                }
            }
            Checked {
                asked,
                answer: Ok(stamps),
            }
        }))
    }

    pub(super) fn on_checked(&mut self, checked: Checked) {
        let stamps = match checked.answer {
            Ok(stamps) => stamps,
            Err(error) => return tracing::debug!(%error, "cannot check the ownership of rooms"),
        };
        let mut restored = 0;
        for ((team, epoch, confirmed), stamp) in checked.asked.into_iter().zip(stamps) {
            match stamp {
                Some(stamp) if stamp.epoch > epoch => self.on_lost(&team, epoch, stamp.owner, stamp.table),
                Some(stamp) if stamp.epoch == epoch && stamp.change >= confirmed => {
                    if *stamp.owner != *self.me.address && !stamp.owner.is_empty() {
                        self.on_lost(&team, epoch, stamp.owner, stamp.table);
                    }
                }
                // The store lost data: it gets back what this shard holds.
                Some(_) | None => restored += usize::from(self.restore(&team, epoch)),
            }
        }
        if restored > 0 {
            tracing::warn!(
                rooms = restored,
                "the store lost rooms; writing back what this shard holds"
            );
        }
    }

    fn restore(&mut self, team: &Arc<str>, epoch: u64) -> bool {
        match self.rooms.get_mut(team) {
            // What is not settled is about to be written anyway.
            Some(Slot::Live(live)) if live.epoch == epoch && live.gate.is_settled() => {
                live.gate.touch();
                self.queue(team);
                true
            }
            _ => false,
        }
    }

    /// Another owner was faster: whatever was not stored is void, and its commands come again to the new owner.
    pub(super) fn on_lost(&mut self, team: &Arc<str>, epoch: u64, owner: String, table: u64) {
        match self.rooms.get(team) {
            Some(Slot::Live(live)) if live.epoch == epoch => {}
            _ => return,
        }
        let links = self.forget(team);
        self.metrics.shard.moves("fenced").inc();
        tracing::debug!("lost a room to a newer owner");
        // A newer owner at the same address is this process's successor.
        let owner = Some(owner).filter(|owner| !owner.is_empty() && **owner != *self.me.address);
        for link in links {
            outputs::send_moved(&link, team, owner.clone(), table);
        }
    }
}

fn failed(answer: &CommitAnswer) -> bool {
    match answer {
        Ok(results) => results.iter().any(Result::is_err),
        Err(_) => true,
    }
}
