//! Runs policies on recorded demand, for `bench scaling`, `bench faults` and `simulate`.

use std::path::{Path, PathBuf};

use crate::simulate::{Demand, Fault, Run, Setup, policies as core_policies, run as simulate};
use anyhow::{Context, bail};
use clap::Args;
use poker_operator_api::Autoscaling;
use serde::Serialize;

use super::walk;
use crate::cli::policies::{self, Named};
use crate::input::series;

/// The peak of every trace, in replicas.
const PEAK_REPLICAS: f64 = 20.0;
const HISTORY_SECONDS: i64 = 3 * 86_400;

/// The arguments of a benchmark of policies.
#[derive(Args, Debug)]
pub struct LoadArgs {
    /// Folder with traces (*.csv, *.json, *.txt, also gzipped); subfolders are included
    #[arg(long, value_name = "DIR")]
    load: PathBuf,
    /// Autoscaling block to run as `default` instead of the built-in one
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Seconds from a decision until a new replica serves, at most 1740: the default policy forecasts 60 s further, at most 1800 s ahead
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(i64).range(0..=1_740))]
    start_seconds: i64,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Print the table as Markdown
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

/// The policy, the capacity of one replica, and the traces by name.
pub struct Load {
    pub block: Autoscaling,
    pub capacity: f64,
    pub demands: Vec<(String, Demand)>,
}

impl LoadArgs {
    /// # Errors
    /// There is no trace, or a file cannot be used.
    pub fn read(&self) -> anyhow::Result<Load> {
        let block = match &self.policy {
            Some(path) => {
                let block = policies::read(path)?;
                policies::note_short_lead(&block, self.start_seconds, policies::LATE_SECONDS);
                block
            }
            None => policies::default(self.start_seconds)?,
        };
        let capacity = core_policies::capacity(&block).context("the policy has no target per replica")?;
        let demands = read_all(&self.load, capacity)?;
        Ok(Load {
            block,
            capacity,
            demands,
        })
    }

    /// The conditions of a policy's run on a trace.
    pub fn setup(&self, policy: &Named, capacity: f64, demand: &Demand) -> Setup {
        policy.setup(capacity, self.start_seconds, history_seconds(demand))
    }

    /// Prints the report in the chosen format: as JSON, or as `table`, followed by `below` if it is plain text.
    ///
    /// # Errors
    /// The report cannot be serialized.
    pub fn print(
        &self,
        report: &impl Serialize,
        table: &[Vec<String>],
        below: Option<&str>,
    ) -> anyhow::Result<()> {
        match (self.json, self.markdown) {
            (true, _) => println!("{}", serde_json::to_string_pretty(report)?),
            (_, true) => print!("{}", render(table, true)),
            _ => {
                print!("{}", render(table, false));
                below.iter().for_each(|text| print!("\n{text}"));
            }
        }
        Ok(())
    }
}

/// One run. A run with a fault is compared with the same run without it.
pub fn run_with(
    demand: &Demand,
    policy: &Named,
    setup: &Setup,
    fault: Option<Fault>,
    keep_points: bool,
) -> Run {
    let Some(fault) = fault else {
        return simulate(demand, &policy.block, setup, None, keep_points);
    };
    let healthy = simulate(demand, &policy.block, setup, None, false);
    run_beside(&healthy, demand, policy, setup, fault, keep_points)
}

/// The run with a fault, compared with the healthy one.
pub fn run_beside(
    healthy: &Run,
    demand: &Demand,
    policy: &Named,
    setup: &Setup,
    fault: Fault,
    keep_points: bool,
) -> Run {
    let setup = Setup {
        fault: Some(fault),
        ..setup.clone()
    };
    simulate(demand, &policy.block, &setup, Some(healthy), keep_points)
}

/// Every trace below a folder, scaled so that its peak needs [`PEAK_REPLICAS`] of this capacity.
///
/// # Errors
/// The folder cannot be read, or holds no trace.
fn read_all(dir: &Path, capacity: f64) -> anyhow::Result<Vec<(String, Demand)>> {
    let mut traces = Vec::new();
    for path in walk(dir)? {
        match read_trace(&path, capacity, PEAK_REPLICAS) {
            Ok(trace) => traces.push((trace.name, trace.demand)),
            Err(error) => eprintln!("skipped: {error:#}"),
        }
    }
    if traces.is_empty() {
        bail!(
            "no traces (*.csv, *.json, *.txt, also gzipped) in {}",
            dir.display()
        );
    }
    Ok(traces)
}

/// The demand in a file.
pub struct Trace {
    pub name: String,
    pub demand: Demand,
    /// The factor that scaled its values.
    pub factor: f64,
    /// Assumptions where the file is ambiguous.
    pub notes: Vec<String>,
}

/// Reads a trace and scales it so that its peak needs `peak` replicas of this capacity; 0 keeps its values.
///
/// # Errors
/// The file cannot be read or holds no demand.
pub fn read_trace(path: &Path, capacity: f64, peak: f64) -> anyhow::Result<Trace> {
    let mut series = series::read(path, None)?;
    let count = series.points.len();
    series.points.retain(|(_, value)| *value >= 0.0);
    let negative = count - series.points.len();
    if negative > 0 {
        let note = format!("{negative} negative values are ignored: demand is never negative");
        series.notes.push(note);
    }
    series.points.dedup_by_key(|(at, _)| *at);
    let largest = series.points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    if largest <= 0.0 {
        bail!("cannot use {}: every value is 0", path.display());
    }
    let factor = if peak > 0.0 {
        peak * capacity / largest
    } else {
        1.0
    };
    let demand =
        Demand::new(&series.points, factor).with_context(|| format!("cannot use {}", path.display()))?;
    Ok(Trace {
        name: series.name,
        demand,
        factor,
        notes: series.notes,
    })
}

/// Three days, if more than half a day is left to score.
pub fn history_seconds(demand: &Demand) -> i64 {
    let length = demand.second(demand.steps());
    if length > HISTORY_SECONDS + 43_200 {
        HISTORY_SECONDS
    } else {
        0
    }
}

/// Columns of equal width, or Markdown.
pub fn render(table: &[Vec<String>], markdown: bool) -> String {
    let columns = table.first().map_or(0, Vec::len);
    let width = |i: usize| table.iter().map(|row| row[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (line, row) in table.iter().enumerate() {
        let cells = row.iter().zip(&widths).enumerate().map(|(i, (cell, width))| {
            if i < 2 {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
        let cells: Vec<String> = cells.collect();
        if markdown {
            text += &format!("| {} |\n", cells.join(" | "));
            if line == 0 {
                text += &format!("|{}\n", " --- |".repeat(columns));
            }
        } else {
            text += cells.join("  ").trim_end();
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_scaled_and_other_files_are_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let trace: Vec<String> = (0..900)
            .map(|i| if i % 300 < 150 { "10" } else { "40" }.to_owned())
            .collect();
        std::fs::write(dir.path().join("steps.txt"), trace.join("\n")).unwrap();
        for (name, text) in [
            ("README.md", "not a trace"),
            ("LICENSE.txt", "Copyright, 2015\nMIT, too"),
            ("notes.txt", "no numbers, but\nwords, words"),
        ] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let demands = read_all(dir.path(), 1000.0).unwrap();
        assert_eq!(
            (demands.len(), demands[0].0.as_str(), demands[0].1.largest()),
            (1, "steps", 20_000.0)
        );
    }

    #[test]
    fn a_folder_without_traces_is_rejected() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read_all(dir.path(), 1.0).is_err());
        std::fs::write(dir.path().join("zero.txt"), "0\n0\n").unwrap();
        assert!(read_all(dir.path(), 1.0).is_err());
        assert!(read_all(&dir.path().join("absent"), 1.0).is_err());
    }
}
