//! `poker-operator bench`: measures the decisions of this program, beside those of others.

mod verdicts;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// Measure the decisions of this program beside those of others
#[derive(Args, Debug)]
pub struct BenchArgs {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand, Debug)]
enum Bench {
    Verdicts(verdicts::VerdictsArgs),
}

/// # Errors
/// As the bench that runs.
pub fn run(args: BenchArgs) -> anyhow::Result<ExitCode> {
    match args.bench {
        Bench::Verdicts(args) => verdicts::run(&args),
    }
}
