//! Tracks the votes of a team, as reported by its sockets. Pure.

use std::collections::VecDeque;

use tokio::time::{Duration, Instant};

use super::limits::ROUNDS_KEPT;

/// The last rounds of one team; members are numbered from 0.
#[derive(Debug)]
pub struct Rounds {
    members: usize,
    kept: VecDeque<Round>,
}

#[derive(Debug)]
struct Round {
    number: u64,
    votes: Vec<Option<Vote>>,
    /// Viewer by voter.
    seen: Vec<bool>,
    is_checked: bool,
}

#[derive(Debug)]
struct Vote {
    card: String,
    intended: Instant,
    answer: Answer,
    seen_by: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    None,
    Acked,
    Refused,
}

/// Acknowledged votes against those revealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Check {
    pub lost: u64,
    pub doubled: u64,
}

impl Rounds {
    pub fn new(members: usize) -> Self {
        Self {
            members,
            kept: VecDeque::new(),
        }
    }

    /// Opens a round. Returns the number of acknowledged votes in the forgotten round that not every member saw.
    pub fn begin(&mut self, number: u64) -> u64 {
        let votes = (0..self.members).map(|_| None).collect();
        let seen = vec![false; self.members * self.members];
        self.kept.push_back(Round {
            number,
            votes,
            seen,
            is_checked: false,
        });
        if self.kept.len() <= ROUNDS_KEPT {
            return 0;
        }
        self.kept
            .pop_front()
            .map_or(0, |round| round.unseen(self.members))
    }

    pub fn sent(&mut self, number: u64, voter: usize, card: &str, intended: Instant) {
        if let Some(round) = self.round(number) {
            let card = String::from(card);
            round.votes[voter] = Some(Vote {
                card,
                intended,
                answer: Answer::None,
                seen_by: 0,
            });
        }
    }

    /// At the first acknowledgement, returns the time since the vote was due, and its card.
    pub fn acked(&mut self, number: u64, voter: usize, now: Instant) -> Option<(Duration, String)> {
        let vote = self.round(number)?.votes.get_mut(voter)?.as_mut()?;
        if vote.answer != Answer::None {
            return None;
        }
        vote.answer = Answer::Acked;
        Some((now.saturating_duration_since(vote.intended), vote.card.clone()))
    }

    pub fn refused(&mut self, number: u64, voter: usize) {
        if let Some(Some(vote)) = self.round(number).and_then(|round| round.votes.get_mut(voter)) {
            vote.answer = Answer::Refused;
        }
    }

    /// `viewer` has seen the vote of `voter`. For the last viewer, returns the time since the vote was due.
    pub fn saw(&mut self, number: u64, viewer: usize, voter: usize, now: Instant) -> Option<Duration> {
        let members = self.members;
        let round = self.round(number)?;
        let vote = round.votes.get_mut(voter)?.as_mut()?;
        let seen = round.seen.get_mut(viewer * members + voter)?;
        if std::mem::replace(seen, true) {
            return None;
        }
        vote.seen_by += 1;
        (vote.seen_by == members).then(|| now.saturating_duration_since(vote.intended))
    }

    /// `viewer` got a snapshot of a later round: it has seen all votes before `number`.
    pub fn saw_all_before(&mut self, number: u64, viewer: usize, now: Instant) -> Vec<Duration> {
        let earlier: Vec<u64> = self
            .kept
            .iter()
            .map(|round| round.number)
            .filter(|&earlier| earlier < number)
            .collect();
        let votes = earlier
            .into_iter()
            .flat_map(|round| (0..self.members).map(move |voter| (round, voter)));
        let votes: Vec<(u64, usize)> = votes.collect();
        votes
            .into_iter()
            .filter_map(|(round, voter)| self.saw(round, viewer, voter, now))
            .collect()
    }

    /// Whether every sent vote was acknowledged or refused.
    pub fn is_answered(&self, number: u64) -> bool {
        let round = self.kept.iter().find(|round| round.number == number);
        round.is_none_or(|round| {
            round
                .votes
                .iter()
                .flatten()
                .all(|vote| vote.answer != Answer::None)
        })
    }

    /// Compares with the revealed votes: each acknowledged one must be there once, with its card. `None` if the round is
    /// unknown or was checked before.
    pub fn revealed(&mut self, number: u64, votes: &[(usize, String)]) -> Option<Check> {
        let round = self.round(number)?;
        if std::mem::replace(&mut round.is_checked, true) {
            return None;
        }
        let mut check = Check::default();
        for (voter, vote) in round.votes.iter().enumerate() {
            let shown: Vec<&String> = votes
                .iter()
                .filter(|(shown, _)| *shown == voter)
                .map(|(_, card)| card)
                .collect();
            check.doubled += shown.len().saturating_sub(1) as u64;
            if let Some(vote) = vote
                && vote.answer == Answer::Acked
                && !shown.contains(&&vote.card)
            {
                check.lost += 1;
            }
        }
        Some(check)
    }

    /// Acknowledged votes that not every member saw.
    pub fn unseen(&self) -> u64 {
        self.kept.iter().map(|round| round.unseen(self.members)).sum()
    }

    /// Acknowledged votes that not every member saw, and rounds with acknowledged votes that no member saw revealed.
    pub fn finish(&self) -> (u64, u64) {
        let unrevealed = self
            .kept
            .iter()
            .filter(|round| !round.is_checked && round.acked() > 0)
            .count();
        (self.unseen(), unrevealed as u64)
    }

    fn round(&mut self, number: u64) -> Option<&mut Round> {
        self.kept.iter_mut().find(|round| round.number == number)
    }
}

impl Round {
    fn acked(&self) -> usize {
        self.votes
            .iter()
            .flatten()
            .filter(|vote| vote.answer == Answer::Acked)
            .count()
    }

    fn unseen(&self, members: usize) -> u64 {
        let unseen = |vote: &&Vote| vote.answer == Answer::Acked && vote.seen_by < members;
        self.votes.iter().flatten().filter(unseen).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn card(card: &str) -> String {
        String::from(card)
    }

    #[test]
    fn latencies_are_measured_from_the_due_time_to_the_last_viewer() {
        let start = Instant::now();
        let mut rounds = Rounds::new(2);
        rounds.begin(4);
        rounds.sent(4, 1, "5", start);
        assert!(!rounds.is_answered(4));
        assert_eq!(rounds.saw(4, 0, 1, start + ms(3)), None);
        assert_eq!(rounds.saw(4, 0, 1, start + ms(4)), None, "the same viewer again");
        assert_eq!(rounds.acked(4, 1, start + ms(5)), Some((ms(5), card("5"))));
        assert_eq!(
            rounds.acked(4, 1, start + ms(6)),
            None,
            "acknowledged again after a reconnect"
        );
        assert!(rounds.is_answered(4));
        assert_eq!(rounds.finish(), (1, 1));
        assert_eq!(rounds.saw_all_before(5, 1, start + ms(9)), [ms(9)]);
        assert_eq!(rounds.saw(9, 0, 1, start), None, "not our round");
        assert_eq!(rounds.finish(), (0, 1));
    }

    #[test]
    fn lost_and_duplicated_votes_are_detected() {
        let start = Instant::now();
        let mut rounds = Rounds::new(5);
        rounds.begin(1);
        for voter in 0..5 {
            rounds.sent(1, voter, "5", start);
        }
        (0..3).for_each(|voter| drop(rounds.acked(1, voter, start)));
        rounds.refused(1, 3);
        // 0 is revealed twice, 1 with another card, 2 is missing, 3 was refused, 4 not answered.
        let shown = [(0, card("5")), (0, card("5")), (1, card("8")), (4, card("5"))];
        assert_eq!(rounds.revealed(1, &shown), Some(Check { lost: 2, doubled: 1 }));
        assert_eq!(rounds.revealed(1, &shown), None, "counted once");
        assert_eq!(rounds.revealed(2, &shown), None);
    }

    #[test]
    fn forgotten_rounds_report_their_unseen_votes() {
        let start = Instant::now();
        let mut rounds = Rounds::new(1);
        rounds.begin(1);
        rounds.sent(1, 0, "5", start);
        rounds.acked(1, 0, start);
        let unseen: Vec<u64> = (2..7).map(|number| rounds.begin(number)).collect();
        assert_eq!(unseen, [0, 0, 0, 1, 0]);
    }
}
