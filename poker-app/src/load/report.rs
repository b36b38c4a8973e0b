//! The result, as a table and as JSON.

use std::{collections::BTreeMap, fmt::Write};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::stats::Totals;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Teams are `<prefix>-0`, `<prefix>-1`, …
    pub team_prefix: String,
    pub teams: u32,
    pub participants: u32,
    pub seconds: f64,
    pub rate_wanted: f64,
    /// Acknowledged votes per second.
    pub rate: f64,
    pub teams_ready: u64,
    pub sockets_joined: u64,
    pub votes_sent: u64,
    pub votes_acked: u64,
    /// Acknowledged, but not revealed.
    pub votes_lost: u64,
    pub votes_doubled: u64,
    /// Acknowledged, but not published to every member in time.
    pub votes_unseen: u64,
    pub rounds_revealed: u64,
    /// With acknowledged votes, but without a reveal before the end.
    pub rounds_unrevealed: u64,
    pub sockets_closed_by_server: u64,
    pub close_codes: BTreeMap<String, u64>,
    pub reconnects: u64,
    pub resumed_exactly: u64,
    pub snapshots: u64,
    /// Snapshots of a newer epoch on an open socket: its room was handed off.
    pub epochs_passed: u64,
    pub seq_gaps: u64,
    pub notices: u64,
    pub errors: BTreeMap<String, u64>,
    pub latency_ms: Latencies,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Latencies {
    /// From the time the vote was due.
    pub vote_to_ack: Quantiles,
    /// The same, until the last member of the team has received the event.
    pub vote_to_seen: Quantiles,
    pub connect: Quantiles,
    /// From the loss of a socket to the next welcome.
    pub reconnect: Quantiles,
}

#[derive(Clone, Copy, Serialize)]
pub struct Quantiles {
    pub count: u64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Quantiles {
    fn of(histogram: &Histogram<u64>) -> Self {
        let ms = |micros: u64| micros as f64 / 1000.0;
        let at = |quantile| ms(histogram.value_at_quantile(quantile));
        Self {
            count: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: ms(histogram.max()),
        }
    }
}

pub struct Setting {
    pub team_prefix: String,
    pub teams: u32,
    pub participants: u32,
    pub seconds: f64,
    pub rate_wanted: f64,
}

impl Report {
    pub fn new(setting: Setting, totals: &Totals) -> Self {
        let Setting {
            team_prefix,
            teams,
            participants,
            seconds,
            rate_wanted,
        } = setting;
        let counts = totals.counts;
        Self {
            team_prefix,
            teams,
            participants,
            seconds,
            rate_wanted,
            rate: if seconds > 0.0 {
                counts.votes_acked as f64 / seconds
            } else {
                0.0
            },
            teams_ready: counts.teams_ready,
            sockets_joined: counts.sockets_joined,
            votes_sent: counts.votes_sent,
            votes_acked: counts.votes_acked,
            votes_lost: counts.votes_lost,
            votes_doubled: counts.votes_doubled,
            votes_unseen: counts.votes_unseen,
            rounds_revealed: counts.rounds_revealed,
            rounds_unrevealed: counts.rounds_unrevealed,
            sockets_closed_by_server: counts.sockets_closed_by_server,
            close_codes: totals.close_codes.clone(),
            reconnects: counts.reconnects,
            resumed_exactly: counts.resumed_exactly,
            snapshots: counts.snapshots,
            epochs_passed: counts.epochs_passed,
            seq_gaps: counts.seq_gaps,
            notices: counts.notices,
            errors: totals.errors.clone(),
            latency_ms: Latencies {
                vote_to_ack: Quantiles::of(&totals.vote_to_ack),
                vote_to_seen: Quantiles::of(&totals.vote_to_seen),
                connect: Quantiles::of(&totals.connect),
                reconnect: Quantiles::of(&totals.reconnect),
            },
        }
    }

    /// No vote was lost or duplicated, and at least one was verified.
    pub fn is_good(&self) -> bool {
        let took_part = self.teams_ready > 0 && (self.rate_wanted == 0.0 || self.votes_acked > 0);
        took_part && self.votes_lost == 0 && self.votes_doubled == 0
    }

    pub fn table(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_table(&mut text);
        text
    }

    fn write_table(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "{} teams ({}-0 …) of {}: {} ready, {} sockets joined; {:.1} s of voting",
            self.teams,
            self.team_prefix,
            self.participants,
            self.teams_ready,
            self.sockets_joined,
            self.seconds
        )?;
        writeln!(
            text,
            "votes      sent {}, acknowledged {} ({:.1}/s of {:.1}/s), lost {}, doubled {}, unseen {}",
            self.votes_sent,
            self.votes_acked,
            self.rate,
            self.rate_wanted,
            self.votes_lost,
            self.votes_doubled,
            self.votes_unseen
        )?;
        writeln!(
            text,
            "rounds     revealed {}, unrevealed {}",
            self.rounds_revealed, self.rounds_unrevealed
        )?;
        writeln!(
            text,
            "sockets    closed by the server {}{}, reconnects {} (resumed exactly {}), handoffs seen {}, gaps {}",
            self.sockets_closed_by_server,
            listing(&self.close_codes),
            self.reconnects,
            self.resumed_exactly,
            self.epochs_passed,
            self.seq_gaps
        )?;
        let errors = if self.errors.is_empty() {
            String::from(" none")
        } else {
            listing(&self.errors)
        };
        writeln!(text, "errors    {errors}")?;
        writeln!(text)?;
        writeln!(
            text,
            "{:<16}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
            "milliseconds", "p50", "p90", "p99", "p99.9", "max", "count"
        )?;
        let rows = [
            ("vote → ack", self.latency_ms.vote_to_ack),
            ("vote → seen", self.latency_ms.vote_to_seen),
            ("connect", self.latency_ms.connect),
            ("reconnect", self.latency_ms.reconnect),
        ];
        for (
            name,
            Quantiles {
                count,
                p50,
                p90,
                p99,
                p999,
                max,
            },
        ) in rows
        {
            if count > 0 {
                writeln!(
                    text,
                    "{name:<16}{p50:>10.2}{p90:>10.2}{p99:>10.2}{p999:>10.2}{max:>10.2}{count:>10}"
                )?;
            }
        }
        Ok(())
    }
}

fn listing(counts: &BTreeMap<String, u64>) -> String {
    if counts.is_empty() {
        return String::new();
    }
    let entries: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    format!(" ({})", entries.join(", "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::stats::Stats;

    fn report(change: impl FnOnce(&Stats)) -> Report {
        let stats = Stats::new().unwrap();
        stats.count(|counts| counts.teams_ready = 2);
        change(&stats);
        let team_prefix = String::from("load-1");
        let setting = Setting {
            team_prefix,
            teams: 2,
            participants: 5,
            seconds: 2.0,
            rate_wanted: 10.0,
        };
        Report::new(setting, &stats.totals())
    }

    #[test]
    fn a_run_passes_if_every_vote_is_revealed_once() {
        assert!(!report(|_| {}).is_good(), "nothing was shown");
        assert!(report(|stats| stats.acked(Duration::from_millis(1))).is_good());
        for spoil in [
            |stats: &Stats| stats.count(|counts| counts.votes_lost = 1),
            |stats: &Stats| stats.count(|counts| counts.votes_doubled = 1),
        ] {
            let report = report(|stats| {
                stats.acked(Duration::from_millis(1));
                spoil(stats);
            });
            assert!(!report.is_good());
        }
    }

    #[test]
    fn the_table_shows_the_result() {
        let report = report(|stats| {
            (1..=100).for_each(|ms| stats.acked(Duration::from_millis(ms)));
            stats.closed_by_server("1012");
            stats.error("stale_round");
        });
        let table = report.table();
        for part in [
            "acknowledged 100 (50.0/s of 10.0/s)",
            "(1012 1)",
            "(stale_round 1)",
            "vote → ack",
        ] {
            assert!(table.contains(part), "{part} in\n{table}");
        }
        assert!(!table.contains("reconnect  "), "empty rows are left out");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["votesAcked"], 100);
        assert!((json["latencyMs"]["voteToAck"]["p50"].as_f64().unwrap() - 50.0).abs() < 0.1);
    }
}
