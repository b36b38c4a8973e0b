//! One team of the run: its members, and the state shared by its sockets and its driver.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use poker_core::{
    TeamSlug,
    protocol::{ParticipantId, RoundView, VoteView},
    team::participant_id,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{record::RecordedVote, rounds::Rounds, shared::Shared};

/// A command that the driver requests from a member's socket.
#[derive(Clone, Debug)]
pub enum Request {
    Vote { round: u64, card: &'static str },
    Reveal { round: u64 },
    VoteAgain { round: u64 },
}

pub struct Team {
    pub slug: TeamSlug,
    pub keys: Vec<String>,
    pub ids: Vec<ParticipantId>,
    indices: HashMap<ParticipantId, usize>,
    state: Mutex<State>,
    changed: Notify,
    /// The first member has created the room; the others may join.
    pub created: watch::Sender<bool>,
}

struct State {
    rounds: Rounds,
    joined: Vec<bool>,
    /// The newest round seen to accept votes.
    open: u64,
    /// The newest round seen revealed.
    revealed: u64,
    /// A command of the facilitator was refused: the team stops.
    is_stuck: bool,
}

impl Team {
    pub fn new(slug: TeamSlug, keys: Vec<String>) -> anyhow::Result<Self> {
        let ids = keys
            .iter()
            .map(|key| participant_id(&slug, key))
            .collect::<Result<Vec<_>, _>>()?;
        let indices = ids
            .iter()
            .cloned()
            .enumerate()
            .map(|(index, id)| (id, index))
            .collect();
        let members = keys.len();
        let rounds = Rounds::new(members);
        let state = State {
            rounds,
            joined: vec![false; members],
            open: 0,
            revealed: 0,
            is_stuck: false,
        };
        let created = watch::Sender::new(false);
        Ok(Self {
            slug,
            keys,
            ids,
            indices,
            state: Mutex::new(state),
            changed: Notify::new(),
            created,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the driver's condition holds; false after the timeout.
    async fn until(&self, timeout: Duration, holds: impl Fn(&State) -> bool) -> bool {
        let waiting = async {
            while !holds(&self.state()) {
                self.changed.notified().await;
            }
        };
        tokio::time::timeout(timeout, waiting).await.is_ok()
    }

    // The driver's side.

    pub async fn until_joined(&self, timeout: Duration) -> bool {
        self.until(timeout, |state| {
            state.joined.iter().all(|&joined| joined) && state.open > 0
        })
        .await
    }

    pub async fn until_answered(&self, round: u64, timeout: Duration) -> bool {
        self.until(timeout, |state| state.rounds.is_answered(round)).await
    }

    pub async fn until_revealed(&self, round: u64, timeout: Duration) -> bool {
        self.until(timeout, |state| state.is_stuck || state.revealed >= round)
            .await
            && !self.state().is_stuck
    }

    pub async fn until_opened_after(&self, round: u64, timeout: Duration) -> bool {
        self.until(timeout, |state| state.is_stuck || state.open > round)
            .await
            && !self.state().is_stuck
    }

    /// Waits until every member has seen the votes.
    pub async fn until_seen(&self, timeout: Duration) -> bool {
        self.until(timeout, |state| state.rounds.unseen() == 0).await
    }

    pub fn open_round(&self) -> u64 {
        self.state().open
    }

    pub fn begin(&self, round: u64, shared: &Shared) {
        let unseen = self.state().rounds.begin(round);
        shared.stats.count(|counts| counts.votes_unseen += unseen);
    }

    pub fn sent(&self, round: u64, voter: usize, card: &str, intended: Instant, shared: &Shared) {
        self.state().rounds.sent(round, voter, card, intended);
        shared.stats.count(|counts| counts.votes_sent += 1);
    }

    pub fn finish(&self, shared: &Shared) {
        let (unseen, unrevealed) = self.state().rounds.finish();
        shared.stats.count(|counts| {
            counts.votes_unseen += unseen;
            counts.rounds_unrevealed += unrevealed;
        });
    }

    // The sockets' side.

    /// True the first time.
    pub fn joined(&self, member: usize) -> bool {
        let before = std::mem::replace(&mut self.state().joined[member], true);
        self.changed.notify_one();
        !before
    }

    pub fn acked(&self, member: usize, request: &Request, shared: &Shared) {
        let Request::Vote { round, .. } = *request else {
            return;
        };
        let acked = self.state().rounds.acked(round, member, Instant::now());
        if let Some((latency, card)) = acked {
            shared.stats.acked(latency);
            let vote = RecordedVote {
                team: self.slug.as_str(),
                round,
                participant: &self.ids[member],
                card: &card,
            };
            shared.record(&vote);
        }
        self.changed.notify_one();
    }

    pub fn refused(&self, member: usize, request: &Request) {
        match *request {
            Request::Vote { round, .. } => self.state().rounds.refused(round, member),
            Request::Reveal { .. } | Request::VoteAgain { .. } => self.state().is_stuck = true,
        }
        self.changed.notify_one();
    }

    pub fn saw_vote(&self, round: u64, viewer: usize, participant: &str, shared: &Shared) {
        let Some(&voter) = self.indices.get(participant) else {
            return;
        };
        let latency = self.state().rounds.saw(round, viewer, voter, Instant::now());
        shared.stats.seen_by_all(latency);
        if latency.is_some() {
            self.changed.notify_one();
        }
    }

    pub fn saw_opened(&self, round: u64) {
        let mut state = self.state();
        state.open = state.open.max(round);
        drop(state);
        self.changed.notify_one();
    }

    /// A member who sees the cards has seen the votes.
    pub fn saw_revealed(&self, round: u64, viewer: usize, votes: &[VoteView], shared: &Shared) {
        for vote in votes {
            self.saw_vote(round, viewer, &vote.participant, shared);
        }
        // Votes of other participants are not part of the run.
        let votes: Vec<(usize, String)> = votes
            .iter()
            .filter_map(|vote| Some((*self.indices.get(&vote.participant)?, vote.card.clone())))
            .collect();
        let mut state = self.state();
        let check = state.rounds.revealed(round, &votes);
        state.revealed = state.revealed.max(round);
        drop(state);
        if let Some(check) = check {
            shared.stats.revealed(check);
        }
        self.changed.notify_one();
    }

    /// A snapshot replaces all missed events.
    pub fn saw_snapshot(&self, round: &RoundView, viewer: usize, shared: &Shared) {
        let earlier = self
            .state()
            .rounds
            .saw_all_before(round.number, viewer, Instant::now());
        shared.stats.seen_by_all(earlier);
        for voter in &round.voted {
            self.saw_vote(round.number, viewer, voter, shared);
        }
        match &round.votes {
            Some(votes) => self.saw_revealed(round.number, viewer, votes, shared),
            None => self.saw_opened(round.number),
        }
    }
}
