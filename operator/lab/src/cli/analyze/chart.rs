//! The chart of a replay.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use jiff::Timestamp;
use poker_operator_core::rollout::CLEARING_EVIDENCE;
use poker_operator_core::rollout::analysis::Judge;

use super::{AnalysisReport, MetricLook};
use crate::plot::{self, BLUE, GREEN, GREY, Line, ORANGE, Panel, RED, Threshold};

/// Draws both tests over time on a logarithmic scale.
pub fn draw(path: &Path, report: &AnalysisReport, judge: &Judge) -> Result<()> {
    let metrics: BTreeSet<&String> = report.looks.iter().map(|row| &row.metric).collect();
    let line = |label: &str, color, rows: Vec<(Timestamp, f64)>| Line {
        label: label.to_owned(),
        color,
        points: rows.into_iter().map(|(at, e)| (at, exponent(e))).collect(),
    };
    let of = |metric: &str, e: fn(&MetricLook) -> f64| {
        let rows = report.looks.iter().filter(|row| row.metric == metric);
        rows.map(|row| (row.at, e(row))).collect::<Vec<_>>()
    };
    let colored = || metrics.iter().zip([BLUE, ORANGE, GREEN].into_iter().cycle());
    let panel = |unit: &str, what: &str, value: f64, e: fn(&MetricLook) -> f64| Panel {
        unit: unit.to_owned(),
        lines: colored()
            .map(|(metric, color)| line(metric, color, of(metric, e)))
            .collect(),
        bands: Vec::new(),
        thresholds: vec![Threshold {
            label: format!("{what} at {value:.0}"),
            color: RED,
            value: value.log10(),
        }],
    };
    let mut against = panel("against it: log10 e", "rollback", judge.threshold(), |row| row.e);
    if metrics.len() > 1 {
        let all = report.looks.iter().map(|row| (row.at, row.combined)).collect();
        against.lines.push(line("all metrics", GREY, all));
    }
    let clearing = panel("for it: log10 e", "promotion", CLEARING_EVIDENCE, |row| {
        row.clearing
    });
    plot::draw(path, &report.sentence(), &[against, clearing])
}

/// The power of ten, clamped to the range of the chart.
fn exponent(e: f64) -> f64 {
    e.log10().clamp(-6.0, 12.0)
}
