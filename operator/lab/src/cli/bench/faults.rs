//! `poker-lab bench faults --load DIR`: whether a broken source of metrics ever takes replicas away.

use std::process::ExitCode;

use crate::simulate::{Demand, Fault, Setup};
use clap::Args;
use indicatif::ProgressBar;
use rayon::prelude::*;
use serde::Serialize;

use super::load::{Load, LoadArgs, run_beside, run_with};
use super::progress;
use crate::cli::policies::{Named, WINDOWS_AFTER};

/// Count the scale-ins that a faulty source of metrics causes
///
/// Every file in DIR is one trace, run with the assumptions of `bench scaling`, once with a source
/// that works and once with every kind of fault, ten minutes of each seven hours. A scale-in counts
/// as caused by the fault when it comes during it, or up to --windows-after scale-in windows after
/// its end, and leaves fewer replicas than there were with the source that works within a window
/// before and after. Exits with 1 when there is any.
///
/// Examples:
///   poker-lab bench faults --load testdata/load
///   poker-lab bench faults --load testdata/load --windows-after 2
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct FaultsArgs {
    #[command(flatten)]
    load: LoadArgs,
    /// How many scale-in windows after a fault's end a scale-in still counts as caused by it
    #[arg(long, value_name = "COUNT", default_value_t = WINDOWS_AFTER)]
    windows_after: u8,
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
    let Load {
        block,
        capacity,
        demands,
    } = args.load.read()?;
    let policy = Named::new("default", block);
    let bar = progress((demands.len() * Fault::ALL.len()) as u64);
    let traces = demands.par_iter().map(|(trace, demand)| {
        let setup = Setup {
            windows_after: args.windows_after,
            ..args.load.setup(&policy, capacity, demand)
        };
        Row {
            trace: trace.clone(),
            scale_ins: scale_ins(demand, &policy, &setup, &bar),
        }
    });
    let traces = traces.collect();
    bar.finish_and_clear();
    let kinds = Fault::ALL.map(Fault::as_str).to_vec();
    let report = Report { kinds, traces };
    args.load.print(&report, &report.table(), None)?;
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
    let healthy = run_with(demand, policy, setup, None, false);
    let count = |kind: &Fault| {
        let run = run_beside(&healthy, demand, policy, setup, *kind, false);
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
