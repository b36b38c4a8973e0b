//! The table of a replay, and its verdict as a sentence.

use jiff::Timestamp;
use poker_operator_core::rollout::analysis::{Judge, Verdict};

use super::{AnalysisReport, MetricLook};
use crate::plot::CLOCK_SECONDS_FROM;

pub fn table(report: &AnalysisReport, judge: &Judge) -> String {
    let cells: Vec<[String; 7]> = report.looks.iter().map(MetricLook::cells).collect();
    let head = ["t", "metric", "canary", "stable", "e", "e all", "clearing"].map(String::from);
    let width = |column: usize| {
        let cells = cells.iter().chain([&head]).map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: [usize; 7] = std::array::from_fn(width);
    let mut text = String::new();
    for (n, row) in [&head].into_iter().chain(&cells).enumerate() {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            if column == 1 {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
        text += &cells.collect::<Vec<_>>().join("  ");
        let before = n
            .checked_sub(2)
            .map_or(Verdict::Continue, |n| report.looks[n].verdict);
        if let Some(verdict) = n
            .checked_sub(1)
            .map(|n| report.looks[n].verdict)
            .filter(|v| *v != before)
        {
            text += &format!("  {}", verdict.as_str());
        }
        text = text.trim_end().to_owned() + "\n";
    }
    text + &format!(
        "\nverdict: {}\nRollback needs e of all metrics at {} or more, Promote needs clearing at 20 or more for each metric\n",
        report.sentence(),
        number(judge.threshold()),
    )
}

impl AnalysisReport {
    /// The verdict with its time and, where there is one, its single cause.
    pub fn sentence(&self) -> String {
        let mut text = format!("{} at {} s", self.verdict.as_str(), self.at);
        let at = self.at.as_f64().filter(|second| *second >= CLOCK_SECONDS_FROM);
        if let Some(at) = at.and_then(|second| Timestamp::from_second(second as i64).ok()) {
            text += &format!(" ({})", at.strftime("%Y-%m-%d %H:%M:%S UTC"));
        }
        if let Some(guard) = self.guard {
            text += &format!(", guard {guard:?} tripped");
        }
        match (self.verdict, self.missing.as_slice()) {
            (Verdict::Hold, []) => text += ", no data for any metric",
            (Verdict::Hold, missing) => text += &format!(", no data for {}", missing.join(", ")),
            _ => {}
        }
        text
    }
}

impl MetricLook {
    fn cells(&self) -> [String; 7] {
        let counts = |arm: Option<(f64, u64)>| {
            arm.map_or_else(
                || String::from("-"),
                |(exposure, bad)| format!("{bad} in {}", number(exposure)),
            )
        };
        [
            self.t.to_string(),
            self.metric.clone(),
            counts(self.counts[0]),
            counts(self.counts[1]),
            number(self.e),
            number(self.combined),
            number(self.clearing),
        ]
    }
}

/// About three significant digits.
fn number(value: f64) -> String {
    if value == 0.0 {
        String::from("0")
    } else if !(1e-3..1e6).contains(&value) {
        format!("{value:.2e}")
    } else if value < 10.0 {
        format!("{value:.3}")
    } else {
        format!("{value:.1}")
    }
}
