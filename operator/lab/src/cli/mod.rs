//! The command line. Exit codes are in `poker_service::exit`.

mod analyze;
mod bench;
mod forecast;
mod policies;
mod simulate;
mod vectors;

use clap::{Parser, Subcommand};
use poker_service::exit;
use std::process::ExitCode;

/// Offline tools of poker-operator: try an autoscaling policy on recorded load, forecast a series, replay the verdict of
/// a rollout, and benchmark all of them
///
/// They need no cluster. Scaling decisions are made by the controller's own code.
#[derive(Parser, Debug)]
#[command(name = "poker-lab", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  poker-lab simulate --trace load.csv --policy policy.yaml   replay recorded load against an autoscaling policy
  poker-lab forecast --input load.csv --horizon 1h           forecast a series
  poker-lab analyze --samples samples.jsonl                  replay the samples of a rollout through the judge";

#[derive(Subcommand, Debug)]
enum Command {
    Simulate(simulate::SimulateArgs),
    Forecast(forecast::ForecastArgs),
    Analyze(analyze::AnalyzeArgs),
    Bench(bench::BenchArgs),
    Vectors(vectors::VectorsArgs),
}

/// Parses the arguments of the process and runs the command.
pub fn main() -> ExitCode {
    exit::succeed_on_broken_pipe();
    exit::code_of(match Cli::parse().command {
        Command::Simulate(args) => simulate::run(&args),
        Command::Forecast(args) => forecast::run(&args),
        Command::Analyze(args) => analyze::run(&args),
        Command::Bench(args) => bench::run(args),
        Command::Vectors(args) => vectors::run(args),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn bench_forecast_prints_json_for_m4_and_for_series() {
        for data in ["--m4", "--series"] {
            let line = ["poker-lab", "bench", "forecast", data, "DIR", "--json"];
            assert!(Cli::try_parse_from(line).is_ok(), "{data}");
        }
        assert!(Cli::try_parse_from(["poker-lab", "bench", "forecast", "--json"]).is_err());
    }
}
