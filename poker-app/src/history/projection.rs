//! Projects the events of one team to the rounds of a report.

use std::collections::BTreeMap;

use jiff::Timestamp;
use poker_core::{
    history::{HistoryEvent, HistoryKind, HistoryRound, HistoryStats},
    protocol::{Card, Stats},
};

/// The rounds of one team, newest first. `events` are in the order of `(epoch, seq)`.
pub fn rounds(events: impl IntoIterator<Item = HistoryEvent>) -> Vec<HistoryRound> {
    // By room and number: a recreated room counts from 1 again.
    let mut rounds: BTreeMap<(u64, u64), HistoryRound> = BTreeMap::new();
    let mut estimates: BTreeMap<(u64, u64), Card> = BTreeMap::new();
    for event in events {
        let room = event.created_at_ms;
        match event.kind {
            HistoryKind::RoundRevealed {
                round,
                story,
                votes,
                stats,
            } => {
                let revealed_at = time_text(event.at_ms);
                let stats = stats_of(stats);
                rounds.insert(
                    (room, round),
                    HistoryRound {
                        round,
                        story,
                        revealed_at,
                        votes,
                        stats,
                        estimate: None,
                    },
                );
            }
            HistoryKind::EstimateSaved { round, card, .. } => {
                estimates.insert((room, round), card);
            }
            HistoryKind::TeamNamed { .. } | HistoryKind::Unknown(_) => {}
        }
    }
    for (round, card) in estimates {
        if let Some(round) = rounds.get_mut(&round) {
            round.estimate = Some(card);
        }
    }
    rounds.into_values().rev().collect()
}

fn stats_of(stats: Stats) -> HistoryStats {
    HistoryStats {
        median: stats.median,
        mean: stats.mean,
        agreement: stats.agreement,
    }
}

/// RFC 3339.
pub fn time_text(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(at)
        .unwrap_or(Timestamp::MAX)
        .to_string()
}

#[cfg(test)]
mod tests {
    use poker_core::history::{HistoryStory, HistoryVote};

    use super::*;

    fn event(seq: u64, kind: HistoryKind) -> HistoryEvent {
        HistoryEvent {
            team: "team".into(),
            created_at_ms: 1,
            epoch: 1,
            seq,
            at_ms: seq * 1_000,
            kind,
        }
    }

    fn story() -> HistoryStory {
        HistoryStory {
            id: 1,
            title: "Login".into(),
        }
    }

    fn revealed(seq: u64, round: u64) -> HistoryEvent {
        let stats = Stats {
            histogram: Vec::new(),
            median: Some("5".into()),
            mean: Some(5.0),
            agreement: 100,
        };
        let vote = HistoryVote {
            participant: "a".into(),
            name: "Ada".into(),
            card: "5".into(),
        };
        event(
            seq,
            HistoryKind::RoundRevealed {
                round,
                story: Some(story()),
                votes: vec![vote],
                stats,
            },
        )
    }

    fn saved(seq: u64, round: u64, card: &str) -> HistoryEvent {
        event(
            seq,
            HistoryKind::EstimateSaved {
                round,
                story: story(),
                card: card.into(),
            },
        )
    }

    #[test]
    fn rounds_are_newest_first_with_their_last_estimate() {
        let projected = rounds([
            revealed(1, 1),
            saved(2, 1, "5"),
            saved(3, 1, "8"),
            revealed(4, 2),
            event(5, HistoryKind::TeamNamed { name: "Blue".into() }),
        ]);
        let seen: Vec<_> = projected
            .iter()
            .map(|round| (round.round, round.estimate.as_deref()))
            .collect();
        assert_eq!(seen, [(2, None), (1, Some("8"))]);
        assert_eq!(projected[1].revealed_at, "1970-01-01T00:00:01Z");
        assert_eq!(projected[1].votes[0].name, "Ada");
    }

    #[test]
    fn a_recreated_room_keeps_the_rounds_of_the_former_room() {
        let recreated = |event: HistoryEvent| HistoryEvent {
            created_at_ms: 9_000,
            ..event
        };
        let projected = rounds([
            revealed(1, 1),
            saved(2, 1, "5"),
            revealed(3, 2),
            recreated(revealed(10, 1)),
            recreated(saved(11, 1, "8")),
        ]);
        let seen: Vec<_> = projected
            .iter()
            .map(|round| (round.round, round.estimate.as_deref()))
            .collect();
        assert_eq!(seen, [(1, Some("8")), (2, None), (1, Some("5"))]);
    }

    #[test]
    fn a_round_that_was_not_revealed_is_left_out() {
        assert_eq!(rounds([saved(1, 1, "5")]), []);
    }
}
