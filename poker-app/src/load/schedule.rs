//! The fixed schedule of the votes (open loop).

use std::time::Duration;

use super::limits::VOTING_SHARE;

/// The pace of one team.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    offset: Duration,
    round: Duration,
    step: Duration,
}

impl Schedule {
    /// `rate`: votes per second over all teams, above 0. The rounds of the teams start evenly spread.
    pub fn new(team: u32, teams: u32, members: u32, rate: f64) -> Self {
        let round = Duration::from_secs_f64(f64::from(members) * f64::from(teams) / rate);
        Self {
            offset: round.mul_f64(f64::from(team) / f64::from(teams)),
            round,
            step: round.mul_f64(VOTING_SHARE / f64::from(members)),
        }
    }

    /// Time from the start of the run to the vote of `member` in the team's `turn`-th round.
    pub fn vote(&self, turn: u32, member: u32) -> Duration {
        self.offset + self.round * turn + self.step * member
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_teams_together_have_the_rate() {
        let (teams, members, rate) = (7, 5, 100.0);
        let seconds = 60;
        let mut votes = 0;
        for team in 0..teams {
            let schedule = Schedule::new(team, teams, members, rate);
            let times =
                (0..10_000).flat_map(|turn| (0..members).map(move |member| schedule.vote(turn, member)));
            votes += times
                .take_while(|time| *time < Duration::from_secs(seconds))
                .count();
        }
        let wanted = rate * seconds as f64;
        assert!(
            (votes as f64 - wanted).abs() < f64::from(teams * members),
            "{votes} votes"
        );
    }

    #[test]
    fn a_round_leaves_time_for_the_reveal() {
        let schedule = Schedule::new(0, 1, 10, 10.0);
        assert_eq!(schedule.vote(0, 0), Duration::ZERO);
        assert_eq!(schedule.vote(0, 9), Duration::from_millis(720));
        assert_eq!(schedule.vote(1, 0), Duration::from_secs(1));
    }
}
