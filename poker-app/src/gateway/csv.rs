//! Rounds as a CSV table for spreadsheets, one row per vote.

use std::borrow::Cow;

use poker_core::history::{HistoryRound, HistoryVote};

const HEADER: [&str; 9] = [
    "round",
    "revealed at",
    "story",
    "name",
    "card",
    "estimate",
    "median",
    "mean",
    "agreement %",
];

/// Without it, spreadsheets do not detect UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The table as UTF-8, with a header. A round without votes has one row.
pub fn export(rounds: &[HistoryRound]) -> Result<Vec<u8>, csv::Error> {
    let mut table = csv::Writer::from_writer(BYTE_ORDER_MARK.as_bytes().to_vec());
    table.write_record(HEADER)?;
    for round in rounds {
        let votes = round.votes.iter().map(Some);
        let without = round.votes.is_empty().then_some(None);
        for vote in votes.chain(without) {
            let cells = row(round, vote);
            table.write_record(cells.iter().map(|cell| inert(cell).into_owned()))?;
        }
    }
    table.into_inner().map_err(|error| error.into_error().into())
}

fn row(round: &HistoryRound, vote: Option<&HistoryVote>) -> [String; HEADER.len()] {
    let text = |value: Option<&String>| value.cloned().unwrap_or_default();
    [
        round.round.to_string(),
        round.revealed_at.clone(),
        text(round.story.as_ref().map(|story| &story.title)),
        text(vote.map(|vote| &vote.name)),
        text(vote.map(|vote| &vote.card)),
        text(round.estimate.as_ref()),
        text(round.stats.median.as_ref()),
        round.stats.mean.map(|mean| mean.to_string()).unwrap_or_default(),
        round.stats.agreement.to_string(),
    ]
}

/// Prefixes a cell that a spreadsheet would read as a formula with an apostrophe.
fn inert(cell: &str) -> Cow<'_, str> {
    match cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        true => Cow::Owned(format!("'{cell}")),
        false => Cow::Borrowed(cell),
    }
}

#[cfg(test)]
mod tests {
    use poker_core::history::{HistoryStats, HistoryStory};

    use super::*;

    fn round(title: &str, votes: &[(&str, &str)]) -> HistoryRound {
        let vote = |(name, card): &(&str, &str)| HistoryVote {
            participant: "0123456789abcdef".into(),
            name: (*name).into(),
            card: (*card).into(),
        };
        HistoryRound {
            round: 3,
            story: Some(HistoryStory {
                id: 1,
                title: title.into(),
            }),
            revealed_at: "2026-11-22T10:00:00Z".into(),
            votes: votes.iter().map(vote).collect(),
            stats: HistoryStats {
                median: Some("5".into()),
                mean: Some(4.5),
                agreement: 50,
            },
            estimate: None,
        }
    }

    fn text(rounds: &[HistoryRound]) -> String {
        String::from_utf8(export(rounds).unwrap()).unwrap()
    }

    #[test]
    fn every_vote_is_a_row() {
        let csv = text(&[
            round("Login, \"fast\"", &[("Ada", "5"), ("Ben", "½")]),
            round("b", &[]),
        ]);
        let lines: Vec<_> = csv.lines().collect();
        assert!(lines[0].starts_with("\u{feff}round,"), "{}", lines[0]);
        assert_eq!(
            lines[1],
            r#"3,2026-11-22T10:00:00Z,"Login, ""fast""",Ada,5,,5,4.5,50"#
        );
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[3], "3,2026-11-22T10:00:00Z,b,,,,5,4.5,50");
    }

    #[test]
    fn cells_are_never_formulas() {
        for evil in ["=1+1", "+1", "-1", "@sum", "\tx", "\r=x", "＝1"] {
            let csv = text(&[round(evil, &[(evil, "5")])]);
            let mut reader = csv::Reader::from_reader(csv.as_bytes());
            for record in reader.records() {
                let record = record.unwrap();
                assert_eq!(record[2], format!("'{evil}"));
                assert_eq!(record[3], format!("'{evil}"));
            }
        }
    }
}
