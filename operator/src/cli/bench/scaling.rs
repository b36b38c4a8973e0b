//! `poker-operator bench scaling --load DIR`: all traces against all policies.

use std::collections::BTreeMap;
use std::fs::DirEntry;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use poker_operator_core::simulate::{Demand, Fault, Score, policies as core_policies, run as simulate};
use rayon::prelude::*;
use serde::Serialize;

use super::{may_be_series, progress};
use crate::cli::policies::{self, Named};
use crate::series;

/// What the columns of this bench and the rows of `simulate` say.
pub const LEGEND: &str = "\
What the figures say, over the time that is scored; demand and supply count replicas:
  cost, ÷ oracle  replica hours over those of an oracle that always has just enough; less is cheaper
  θU, θO          how much is missing, and too much, in % of the demand; lower is better
  τU, τO          how long too little, and too much, is there, in % of the time; lower is better
  υ               how long they do not change in the same direction, in %; lower is better
  η               how many times better θ and τ are than with a constant count; higher is better
  actions         changes of count or size; reversals: back within 10 min; lower is better
  on fault        scale-ins that a broken source of the metric caused; 0 is right
θ, τ, υ and η are those of SPEC-RG-2016-01.
";
/// The peak of every trace, in replicas.
const PEAK_REPLICAS: f64 = 20.0;
const HISTORY_SECONDS: i64 = 3 * 86_400;

/// Compares scaling policies on recorded demand
///
/// Every series in DIR is one trace. A replica serves a twentieth of its peak; the metric is the mean
/// over 60 s, 15 s late; the first three days of a longer trace are only history. It takes about a
/// second of one core for each day of a trace.
///
/// Example: poker-operator bench scaling --load testdata/load
#[derive(Args, Debug)]
#[command(verbatim_doc_comment, after_help = LEGEND)]
pub struct ScalingArgs {
    /// Folder of traces (csv, csv.gz, txt, json)
    #[arg(long, value_name = "DIR")]
    load: PathBuf,
    /// The autoscaling block to measure as `default`, instead of the one built in
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Seconds from a decision until a new replica serves
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(i64).range(0..=1_740))]
    start_seconds: i64,
    /// Break the source of the metric for ten minutes every seven hours: empty, nan, inf, stale, 5xx, slow, partial, duplicate, reset, skew, gap or flood
    #[arg(long, value_name = "KIND")]
    metric_fault: Option<Fault>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Print Markdown tables
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

#[derive(Serialize)]
struct Report {
    traces: Vec<Row>,
    geomean: BTreeMap<String, Means>,
}

#[derive(Serialize)]
struct Row {
    trace: String,
    policy: String,
    cost_ratio: f64,
    theta_u: f64,
    theta_o: f64,
    tau_u: f64,
    tau_o: f64,
    instability: f64,
    elastic_speedup: f64,
    actions: u64,
    reversals: u64,
    scale_ins_on_fault: u64,
}

#[derive(Serialize)]
struct Means {
    cost_ratio: f64,
    tau_u: f64,
}

/// A time share below this counts as this in a geometric mean: it may be 0.
const TAU_PERCENT_MIN: f64 = 0.001;

/// Exits with 1 when a fault made the default policy scale in.
///
/// # Errors
/// There is no trace, or a file cannot be used.
pub fn run(args: &ScalingArgs) -> anyhow::Result<ExitCode> {
    let policies = policies(args)?;
    let default = policies
        .iter()
        .find(|p| p.name == "default")
        .context("no default policy")?;
    let capacity = core_policies::capacity(&default.block).context("no target per replica")?;
    let demands = read_all(&args.load, capacity)?;
    let jobs: Vec<(&(String, Demand), &Named)> = demands
        .iter()
        .flat_map(|demand| policies.iter().map(move |policy| (demand, policy)))
        .collect();
    let hours = |demand: &Demand| demand.second(demand.steps()).unsigned_abs() / 3_600 + 1;
    let bar = progress(jobs.iter().map(|((_, demand), _)| hours(demand)).sum());
    let rows: Vec<Row> = jobs
        .par_iter()
        .map(|((trace, demand), policy)| {
            let score = score(demand, policy, capacity, args);
            bar.inc(hours(demand));
            Row::new(trace, &policy.name, &score)
        })
        .collect();
    bar.finish_and_clear();
    let report = Report {
        geomean: means(&rows),
        traces: rows,
    };
    match (args.json, args.markdown) {
        (true, _) => println!("{}", serde_json::to_string_pretty(&report)?),
        (_, true) => print!("{}", report.table(true)),
        _ => print!("{}\n{LEGEND}", report.table(false)),
    }
    let failed = report
        .traces
        .iter()
        .any(|row| row.policy == "default" && row.scale_ins_on_fault > 0);
    Ok(if failed {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

fn policies(args: &ScalingArgs) -> anyhow::Result<Vec<Named>> {
    let block = match &args.policy {
        Some(path) => policies::read(path)?,
        None => policies::default(args.start_seconds)?,
    };
    let mut names = vec!["hpa70", "hpa85", "reactive", "panic", "forecast", "joint"];
    if args.metric_fault.is_some() {
        names.push("naive");
    }
    let mut all: Vec<Named> = names
        .iter()
        .map(|name| policies::named(name, &block))
        .collect::<Result<_, _>>()?;
    all.push(Named::new("default", block));
    Ok(all)
}

/// Every trace in a folder, scaled so that its peak needs [`PEAK_REPLICAS`] of this capacity.
///
/// # Errors
/// The folder cannot be read, or holds none.
pub fn read_all(dir: &Path, capacity: f64) -> anyhow::Result<Vec<(String, Demand)>> {
    let say = || format!("cannot read folder {}", dir.display());
    let entries: Result<Vec<_>, _> = std::fs::read_dir(dir).with_context(say)?.collect();
    let mut files: Vec<PathBuf> = entries.with_context(say)?.iter().map(DirEntry::path).collect();
    files.retain(|path| may_be_series(path));
    files.sort();
    let mut traces = Vec::new();
    for path in &files {
        match read_trace(path, capacity, PEAK_REPLICAS) {
            Ok(trace) => traces.push(trace),
            Err(error) => eprintln!("left out: {error:#}"),
        }
    }
    if traces.is_empty() {
        bail!("no traces (*.csv, *.csv.gz, *.txt, *.json) in {}", dir.display());
    }
    Ok(traces)
}

/// A trace scaled so that its peak needs `peak` replicas of this capacity; unscaled for 0.
///
/// # Errors
/// The file cannot be read or holds no demand.
pub fn read_trace(path: &Path, capacity: f64, peak: f64) -> anyhow::Result<(String, Demand)> {
    let mut series = series::read(path, None)?;
    series.points.dedup_by_key(|(at, _)| *at);
    let largest = series.points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    if largest <= 0.0 {
        bail!("cannot use {}: it is zero all the time", path.display());
    }
    let factor = if peak > 0.0 {
        peak * capacity / largest
    } else {
        1.0
    };
    let demand =
        Demand::new(&series.points, factor).with_context(|| format!("cannot use {}", path.display()))?;
    Ok((series.name, demand))
}

/// Three days, when more than half a day is left to score.
pub fn history_seconds(demand: &Demand) -> i64 {
    let length = demand.second(demand.steps());
    if length > HISTORY_SECONDS + 43_200 {
        HISTORY_SECONDS
    } else {
        0
    }
}

fn score(demand: &Demand, policy: &Named, capacity: f64, args: &ScalingArgs) -> Score {
    let mut setup = policy.setup(capacity, args.start_seconds, history_seconds(demand));
    let healthy = simulate(demand, &policy.block, &setup, None, false);
    match args.metric_fault {
        None => healthy.score,
        Some(fault) => {
            setup.fault = Some(fault);
            simulate(demand, &policy.block, &setup, Some(&healthy), false).score
        }
    }
}

impl Row {
    fn new(trace: &str, policy: &str, score: &Score) -> Row {
        Row {
            trace: trace.to_owned(),
            policy: policy.to_owned(),
            cost_ratio: score.cost_ratio,
            theta_u: score.theta_u,
            theta_o: score.theta_o,
            tau_u: score.tau_u,
            tau_o: score.tau_o,
            instability: score.instability,
            elastic_speedup: score.elastic_speedup,
            actions: score.actions,
            reversals: score.reversals,
            scale_ins_on_fault: score.scale_ins_on_fault,
        }
    }
}

fn means(rows: &[Row]) -> BTreeMap<String, Means> {
    let mut of: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        of.entry(&row.policy).or_default().push(row);
    }
    let mean = |values: Vec<f64>| (values.iter().map(|v| v.ln()).sum::<f64>() / values.len() as f64).exp();
    of.into_iter()
        .map(|(policy, rows)| {
            let means = Means {
                cost_ratio: mean(rows.iter().map(|r| r.cost_ratio).collect()),
                tau_u: mean(rows.iter().map(|r| r.tau_u.max(TAU_PERCENT_MIN)).collect()),
            };
            (policy.to_owned(), means)
        })
        .collect()
}

impl Report {
    fn table(&self, markdown: bool) -> String {
        let head = [
            "trace",
            "policy",
            "cost",
            "θU %",
            "θO %",
            "τU %",
            "τO %",
            "υ %",
            "η",
            "actions",
            "reversals",
            "on fault",
        ];
        let mut table = vec![head.map(str::to_owned).to_vec()];
        for r in &self.traces {
            let mut cells = vec![r.trace.clone(), r.policy.clone()];
            let figures = [
                (r.cost_ratio, 3),
                (r.theta_u, 3),
                (r.theta_o, 1),
                (r.tau_u, 3),
                (r.tau_o, 1),
            ];
            let more = [(r.instability, 2), (r.elastic_speedup, 2)];
            cells.extend(
                figures
                    .iter()
                    .chain(&more)
                    .map(|(value, digits)| format!("{value:.digits$}")),
            );
            cells.extend([r.actions, r.reversals, r.scale_ins_on_fault].map(|n| n.to_string()));
            table.push(cells);
        }
        for (policy, means) in &self.geomean {
            let mut cells = vec![
                "geometric mean".to_owned(),
                policy.clone(),
                format!("{:.3}", means.cost_ratio),
            ];
            cells.extend(["", ""].map(str::to_owned));
            cells.push(format!("{:.3}", means.tau_u));
            cells.resize(head.len(), String::new());
            table.push(cells);
        }
        render(&table, markdown)
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
    fn every_trace_meets_every_policy_and_the_means_are_geometric() {
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
        let row = |cost_ratio, tau_u| Row {
            cost_ratio,
            ..Row::new(
                "t",
                "p",
                &Score {
                    tau_u,
                    ..Score::default()
                },
            )
        };
        let means = means(&[row(1.0, 0.0), row(4.0, 0.1)]);
        assert_eq!(means["p"].cost_ratio, 2.0);
        assert!((means["p"].tau_u - 0.01).abs() < 1e-12);
    }

    #[test]
    fn the_legend_explains_every_figure_of_the_tables() {
        // As wide as `--help` is.
        assert!(LEGEND.lines().all(|line| line.chars().count() <= 100));
        let report = Report {
            traces: Vec::new(),
            geomean: BTreeMap::new(),
        };
        let head = report.table(false);
        for word in head
            .split_whitespace()
            .filter(|word| !["trace", "policy", "%"].contains(word))
        {
            assert!(LEGEND.contains(word), "{word}");
        }
    }

    #[test]
    fn a_folder_without_traces_is_bad_input() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read_all(dir.path(), 1.0).is_err());
        std::fs::write(dir.path().join("zero.txt"), "0\n0\n").unwrap();
        assert!(read_all(dir.path(), 1.0).is_err());
        assert!(read_all(&dir.path().join("absent"), 1.0).is_err());
    }
}
