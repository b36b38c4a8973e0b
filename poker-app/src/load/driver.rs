//! Drives one team from round to round on schedule.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    limits::{ANSWER_TIMEOUT, DRAIN_TIMEOUT},
    schedule::Schedule,
    shared::Shared,
    team::{Request, Team},
};

/// Cards of the Fibonacci deck, dealt in turn.
const CARDS: [&str; 8] = ["1", "2", "3", "5", "8", "13", "21", "?"];
const FACILITATOR: usize = 0;

pub struct Driver {
    pub shared: Arc<Shared>,
    pub team: Arc<Team>,
    /// `None`: only connect.
    pub schedule: Option<Schedule>,
    pub seconds: Duration,
    pub ready_timeout: Duration,
    pub members: Vec<mpsc::Sender<Request>>,
}

impl Driver {
    pub async fn run(self) {
        let joined = tokio::select! {
            joined = self.team.until_joined(self.ready_timeout) => joined,
            () = self.shared.ending.cancelled() => false,
        };
        if !joined {
            self.shared.stats.error("team_not_ready");
            return;
        }
        self.shared.stats.count(|counts| counts.teams_ready += 1);
        let mut starts = self.shared.start.subscribe();
        let started = tokio::select! {
            started = starts.wait_for(Option::is_some) => started.ok().and_then(|start| *start),
            () = self.shared.ending.cancelled() => None,
        };
        if let (Some(start), Some(schedule)) = (started, self.schedule) {
            let mut turn = 0;
            while self.round(start, schedule, turn).await {
                turn += 1;
            }
        }
        // Another member may see the new round later than the facilitator.
        self.team.until_seen(DRAIN_TIMEOUT).await;
        self.team.finish(&self.shared);
    }

    /// All members vote, the facilitator reveals and opens the next round. False: no further round.
    async fn round(&self, start: Instant, schedule: Schedule, turn: u32) -> bool {
        let round = self.team.open_round();
        self.team.begin(round, &self.shared);
        let mut sent = 0;
        for voter in 0..self.members.len() {
            let due = schedule.vote(turn, voter as u32);
            if due >= self.seconds || !self.wait_until(start + due).await {
                break;
            }
            let card = CARDS[(voter + turn as usize) % CARDS.len()];
            self.team.sent(round, voter, card, start + due, &self.shared);
            let request = Request::Vote { round, card };
            if !self.send(voter, &request) {
                self.team.refused(voter, &request);
            }
            sent += 1;
        }
        if sent == 0 {
            return false;
        }
        let is_over = sent < self.members.len();
        let timeout = if is_over { DRAIN_TIMEOUT } else { ANSWER_TIMEOUT };
        if !self.team.until_answered(round, timeout).await {
            self.shared.stats.error("votes_not_answered");
            return false;
        }
        self.turn_over(round, timeout).await && !is_over
    }

    async fn turn_over(&self, round: u64, timeout: Duration) -> bool {
        let revealed = self.send(FACILITATOR, &Request::Reveal { round })
            && self.team.until_revealed(round, timeout).await;
        if !revealed {
            self.shared.stats.error("round_not_revealed");
            return false;
        }
        let opened = self.send(FACILITATOR, &Request::VoteAgain { round })
            && self.team.until_opened_after(round, timeout).await;
        if !opened {
            self.shared.stats.error("round_not_opened");
        }
        opened
    }

    async fn wait_until(&self, time: Instant) -> bool {
        tokio::select! {
            biased;
            () = self.shared.ending.cancelled() => false,
            () = sleep_until(time) => true,
        }
    }

    /// A socket with too many unsent requests gets no more.
    fn send(&self, member: usize, request: &Request) -> bool {
        let sent = self.members[member].try_send(request.clone()).is_ok();
        if !sent {
            self.shared.stats.error("socket_busy");
        }
        sent
    }
}
