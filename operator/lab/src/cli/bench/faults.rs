//! `poker-lab bench faults --load DIR`: whether a faulty source of metrics causes a scale-in.

use std::process::ExitCode;

use crate::simulate::{Demand, Fault, Setup};
use clap::Args;
use indicatif::ProgressBar;
use rayon::prelude::*;
use serde::Serialize;

use super::load::{Load, LoadArgs, run_beside, run_with};
use super::progress;
use crate::cli::policies::{GRACE_WINDOWS, Named};

/// Count the scale-ins that a faulty source of metrics causes
///
/// Every file in DIR is a trace. It runs with the assumptions of `bench scaling`, once with a
/// healthy source and once with each kind of fault, for ten minutes every seven hours. A fault
/// causes a scale-in that happens during it, or up to --grace-windows scale-in windows after its
/// end, and that leaves fewer replicas than the run with the healthy source has within one window
/// before and after. The exit code is 1 if there is any.
///
/// Examples:
///   poker-lab bench faults --load testdata/load
///   poker-lab bench faults --load testdata/load --grace-windows 2
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct FaultsArgs {
    #[command(flatten)]
    load: LoadArgs,
    /// Scale-in windows after the end of a fault in which it still causes scale-ins
    #[arg(long, value_name = "COUNT", default_value_t = GRACE_WINDOWS)]
    grace_windows: u8,
}

/// The scale-ins that faults caused on a trace, in the order of [`Fault::ALL`].
#[derive(Serialize)]
struct TraceFaults {
    trace: String,
    scale_ins: Vec<u64>,
}

#[derive(Serialize)]
struct FaultsReport {
    kinds: Vec<&'static str>,
    traces: Vec<TraceFaults>,
}

/// The exit code is 1 if a fault caused a scale-in.
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
            grace_windows: args.grace_windows,
            ..args.load.setup(&policy, capacity, demand)
        };
        TraceFaults {
            trace: trace.clone(),
            scale_ins: scale_ins(demand, &policy, &setup, &bar),
        }
    });
    let traces = traces.collect();
    bar.finish_and_clear();
    let kinds = Fault::ALL.map(Fault::as_str).to_vec();
    let report = FaultsReport { kinds, traces };
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

impl FaultsReport {
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
