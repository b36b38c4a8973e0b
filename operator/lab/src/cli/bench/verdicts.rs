//! `poker-lab bench verdicts`: false rollbacks and time to detection, of our judge and of others.

use std::process::ExitCode;

use crate::verdicts::bench::{self, RULES, RuleScore, Run, Scenario};
use anyhow::Result;
use clap::{Args, value_parser};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use serde::Serialize;

/// Simulate rollouts of identical (A/A) and of worse versions (A/B) under our judge and other rules
///
/// A rollout takes half an hour with a look every 15 s, and one request in a thousand fails. The
/// same seed gives the same results on any number of cores.
///
///   false rollback   share of the rollouts of an identical version that were rolled back
///   found            median seconds until a worse version was rolled back, and the errors of the
///                    canary's users until then
#[derive(Args, Debug)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub struct VerdictsArgs {
    /// Rollouts of each scenario
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = value_parser!(u64).range(1..=1_000_000))]
    runs: u64,
    /// Seed of the simulation
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Run only scenarios whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Print JSON instead of tables
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print Markdown tables
    #[arg(long)]
    markdown: bool,
}

const EXAMPLES: &str = "Examples:
  poker-lab bench verdicts
  poker-lab bench verdicts --only A/A --runs 10000
  poker-lab bench verdicts --json | jq '.scenarios[] | select(.rule == \"e-process\")'";

#[derive(Serialize)]
struct VerdictsReport {
    scenarios: Vec<RuleScore>,
}

/// # Errors
/// No scenario has such a name.
pub fn run(args: &VerdictsArgs) -> Result<ExitCode> {
    let scenarios = bench::scenarios();
    let chosen = scenarios.into_iter().filter(|s| s.name().contains(&args.only));
    let scenarios: Vec<Scenario> = chosen.collect();
    anyhow::ensure!(
        !scenarios.is_empty(),
        "no scenario has {:?} in its name: run without --only to see all",
        args.only
    );
    let report = VerdictsReport {
        scenarios: measure(&scenarios, args.runs, args.seed)?,
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", tables(&report.scenarios, args.markdown));
    }
    Ok(ExitCode::SUCCESS)
}

/// The scores of all scenarios. Scenarios that differ only in the regression share the runs of identical versions.
fn measure(scenarios: &[Scenario], runs: u64, seed: u64) -> Result<Vec<RuleScore>> {
    let mut distinct: Vec<Scenario> = Vec::new();
    for scenario in scenarios.iter().flat_map(|s| [s.identical(), s.clone()]) {
        if !distinct.contains(&scenario) {
            distinct.push(scenario);
        }
    }
    let bar = ProgressBar::new(distinct.len() as u64 * runs).with_style(ProgressStyle::with_template(
        "{bar:40} {percent:>3} %  {eta} left  {msg}",
    )?);
    let mut results: Vec<Vec<Run>> = Vec::new();
    for scenario in &distinct {
        bar.set_message(scenario.name());
        let run = |n| {
            bar.inc(1);
            bench::simulate(scenario, seed, n)
        };
        results.push((0..runs).into_par_iter().map(run).collect::<Result<_, _>>()?);
    }
    bar.finish_and_clear();
    let of = |scenario: &Scenario| {
        let found = distinct.iter().position(|other| other == scenario);
        found.map_or(&[][..], |n| &results[n][..])
    };
    let rows = scenarios
        .iter()
        .flat_map(|scenario| bench::score(scenario, of(scenario), of(&scenario.identical())));
    Ok(rows.collect())
}

/// One table of false rollbacks and one of detections, with a column for each rule.
fn tables(rows: &[RuleScore], markdown: bool) -> String {
    let scenarios: Vec<&[RuleScore]> = rows.chunks(RULES.len()).collect();
    let is_identical = |rows: &&&[RuleScore]| rows.iter().all(|row| row.name.starts_with("A/A"));
    let (identical, worse): (Vec<_>, Vec<_>) = scenarios
        .iter()
        .partition::<Vec<&&[RuleScore]>, _>(|r| is_identical(r));
    let mut text = String::new();
    if !identical.is_empty() {
        let cells = |rows: &&&[RuleScore]| {
            let mut cells: Vec<String> = rows.iter().map(|row| percent(row.false_rollback)).collect();
            cells.insert(1, percent(rows[0].promoted));
            line(&rows[0].name, cells)
        };
        let mut head: Vec<&str> = RULES.to_vec();
        head.insert(1, "(cleared)");
        text += "Identical versions: share of the rollouts that were rolled back\n\n";
        text += &table("false rollback", &head, identical.iter().map(cells), markdown);
    }
    if !worse.is_empty() {
        let cells = |rows: &&&[RuleScore]| line(&rows[0].name, rows.iter().map(found).collect());
        if !text.is_empty() {
            text.push('\n');
        }
        text += "Worse versions: median time to the rollback, and errors of the canary until then\n\n";
        text += &table("found", &RULES, worse.iter().map(cells), markdown);
    }
    text
}

fn line(name: &str, cells: Vec<String>) -> Vec<String> {
    std::iter::once(name.to_owned()).chain(cells).collect()
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn found(row: &RuleScore) -> String {
    match (row.median_seconds, row.median_canary_errors) {
        (Some(seconds), Some(errors)) => format!("{seconds:.0} s, {errors:.0}"),
        _ => format!("missed {:.0} %", (1.0 - row.detected) * 100.0),
    }
}

fn table(corner: &str, head: &[&str], rows: impl Iterator<Item = Vec<String>>, markdown: bool) -> String {
    let head = line(corner, head.iter().map(|name| (*name).to_owned()).collect());
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let columns = rows[0].len();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (n, row) in rows.iter().enumerate() {
        let cells = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                if column == 0 {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
        let cells: Vec<String> = cells.collect();
        text += &if markdown {
            format!("| {} |\n", cells.join(" | "))
        } else {
            format!("{}\n", cells.join("  "))
        };
        if markdown && n == 0 {
            text += &format!("| --- |{}\n", " ---: |".repeat(columns - 1));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Vec<RuleScore> {
        let chosen = |s: &Scenario| {
            ["A/A at 10 %, 10 req/s", "A/B 50x at 10 %, 10 req/s"].contains(&s.name().as_str())
        };
        let scenarios: Vec<Scenario> = bench::scenarios().into_iter().filter(chosen).collect();
        measure(&scenarios, 20, 7).unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_scores_on_any_number_of_cores() {
        assert_eq!(small(), small());
    }

    #[test]
    fn scores_have_the_documented_fields() {
        let report = VerdictsReport { scenarios: small() };
        let json = serde_json::to_value(&report).unwrap();
        let rows = json["scenarios"].as_array().unwrap();
        assert_eq!(rows.len(), 2 * RULES.len());
        let mut fields: Vec<&String> = rows[0].as_object().unwrap().keys().collect();
        fields.sort();
        let published = [
            "detected",
            "false_rollback",
            "median_canary_errors",
            "median_seconds",
            "name",
            "rule",
            "runs",
        ];
        assert_eq!(fields, published);
        assert_eq!(rows[RULES.len()]["detected"], 1.0);
        assert!(rows[RULES.len()]["median_seconds"].as_f64().is_some());
    }

    #[test]
    fn tables_have_a_row_for_each_scenario_and_a_column_for_each_rule() {
        let text = tables(&small(), true);
        let lines: Vec<&str> = text.lines().filter(|l| l.starts_with("| A/")).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].matches('|').count(), RULES.len() + 3);
        assert_eq!(lines[1].matches('|').count(), RULES.len() + 2);
        assert!(!tables(&small(), false).contains('|'));
    }
}
