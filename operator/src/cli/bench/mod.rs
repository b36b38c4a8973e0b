//! `poker-operator bench`: measures the decisions of this program, beside those of others.

mod faults;
mod forecast;
pub mod scaling;
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
    Faults(faults::FaultsArgs),
    Forecast(forecast::ForecastArgs),
    Scaling(scaling::ScalingArgs),
    Verdicts(verdicts::VerdictsArgs),
}

/// # Errors
/// As the bench that runs.
pub fn run(args: BenchArgs) -> anyhow::Result<ExitCode> {
    match args.bench {
        Bench::Faults(args) => faults::run(&args),
        Bench::Forecast(args) => forecast::run(&args),
        Bench::Scaling(args) => scaling::run(&args),
        Bench::Verdicts(args) => verdicts::run(&args),
    }
}
