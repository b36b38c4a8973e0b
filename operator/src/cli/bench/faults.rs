//! `poker-operator bench faults --load DIR`: whether a broken source of metrics ever takes replicas away.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use indicatif::ProgressBar;
use poker_operator_core::simulate::{Demand, Fault, Setup, policies as core_policies, run as simulate};
use rayon::prelude::*;
use serde::Serialize;

use super::scaling::{history_seconds, read_all, render};
use crate::cli::policies::{self, Named};

/// Counts the scale-ins that a faulty source of metrics causes
///
/// Every file in DIR is one trace, run with the assumptions of `bench scaling`, once with a source that
/// works and once with every kind of fault, ten minutes of each seven hours. A scale-in counts as caused by
/// the fault when it comes during it, or up to one scale-in window after it, and leaves fewer replicas than
/// there were with the source that works within a window before and after. Exits with 1 when there is any.
///
/// Example: poker-operator bench faults --load testdata/load
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct FaultsArgs {
    /// Folder of traces (csv, csv.gz, txt, json)
    #[arg(long, value_name = "DIR")]
    load: PathBuf,
    /// The autoscaling block to measure, instead of the one built in
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Seconds from a decision until a new replica serves
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(i64).range(0..=1_740))]
    start_seconds: i64,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Print Markdown tables
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

/// Scale-ins caused, by trace and by kind in the order of [`Fault::ALL`].
#[derive(Serialize)]
struct Row {
    trace: String,
    scale_ins: Vec<u64>,
}

#[derive(Serialize)]
struct Report {
    kinds: Vec<&'static str>,
    traces: Vec<Row>,
}

/// Exits with 1 when a fault made the policy scale in.
///
/// # Errors
/// There is no trace, or a file cannot be used.
pub fn run(args: &FaultsArgs) -> anyhow::Result<ExitCode> {
    let block = match &args.policy {
        Some(path) => policies::read(path)?,
        None => policies::default(args.start_seconds)?,
    };
    let capacity = core_policies::capacity(&block).context("no target per replica")?;
    let policy = Named::new("default", block);
    let demands = read_all(&args.load, capacity)?;
    let bar = ProgressBar::new((demands.len() * Fault::ALL.len()) as u64);
    let traces = demands.par_iter().map(|(trace, demand)| {
        let setup = policy.setup(capacity, args.start_seconds, history_seconds(demand));
        Row {
            trace: trace.clone(),
            scale_ins: scale_ins(demand, &policy, &setup, &bar),
        }
    });
    let traces = traces.collect();
    bar.finish_and_clear();
    let kinds = Fault::ALL.map(Fault::as_str).to_vec();
    let report = Report { kinds, traces };
    match (args.json, args.markdown) {
        (true, _) => println!("{}", serde_json::to_string_pretty(&report)?),
        (_, markdown) => print!("{}", render(&report.table(), markdown)),
    }
    let is_safe = report
        .traces
        .iter()
        .all(|row| row.scale_ins.iter().all(|n| *n == 0));
    Ok(if is_safe {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

fn scale_ins(demand: &Demand, policy: &Named, setup: &Setup, bar: &ProgressBar) -> Vec<u64> {
    let healthy = simulate(demand, &policy.block, setup, None, false);
    let count = |kind: &Fault| {
        let setup = Setup {
            fault: Some(*kind),
            ..setup.clone()
        };
        let run = simulate(demand, &policy.block, &setup, Some(&healthy), false);
        bar.inc(1);
        run.score.scale_ins_on_fault
    };
    Fault::ALL.par_iter().map(count).collect()
}

impl Report {
    fn table(&self) -> Vec<Vec<String>> {
        let mut table = vec![vec!["trace".to_owned()]];
        table[0].extend(self.kinds.iter().map(|kind| (*kind).to_owned()));
        for row in &self.traces {
            let mut cells = vec![row.trace.clone()];
            cells.extend(row.scale_ins.iter().map(u64::to_string));
            table.push(cells);
        }
        table
    }
}
