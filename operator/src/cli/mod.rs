//! The command line. Exit codes: 0 success, 1 a check failed or the controller ended by a failure, 2 bad
//! usage or input with one line on stderr.

mod analyze;
mod bench;
mod crds;
mod forecast;
mod plan;
mod policies;
mod run;
mod simulate;
mod vectors;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Runs planning poker clusters on Kubernetes.
///
/// A PokerCluster names a version and, if you like, sizes; the operator makes and keeps everything
/// behind it: gateways, shards, workers, Redis, Kafka, a database, and the routing of teams to shards.
#[derive(Parser, Debug)]
#[command(name = "poker-operator", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  poker-operator crds | kubectl apply --server-side -f -    install the resource definitions
  poker-operator run                                        run the controller on the current context
  poker-operator plan -f demo.yaml                          see what a PokerCluster would become
  poker-operator forecast --input load.csv --horizon 1h     see where a load is going

Every flag of `run` can be given as an environment variable; `poker-operator run --help` names them.";

#[derive(Subcommand, Debug)]
enum Command {
    Run(run::RunArgs),
    Crds(crds::CrdsArgs),
    Plan(plan::PlanArgs),
    Forecast(forecast::ForecastArgs),
    Vectors(vectors::VectorsArgs),
    Analyze(analyze::AnalyzeArgs),
    Simulate(simulate::SimulateArgs),
    Bench(bench::BenchArgs),
}

/// Parses the arguments of the process and runs the command.
pub fn main() -> ExitCode {
    end_quietly_when_nobody_reads();
    let result = match Cli::parse().command {
        Command::Run(args) => run::run(args),
        Command::Crds(args) => crds::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Forecast(args) => forecast::run(&args),
        Command::Vectors(args) => vectors::run(args),
        Command::Analyze(args) => analyze::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Bench(args) => bench::run(args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {}", one_line(&error));
        ExitCode::from(2)
    })
}

/// `poker-operator plan … | head` ends as other tools do: the standard library panics when it cannot print.
fn end_quietly_when_nobody_reads() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_unread = panic.payload_as_str().is_some_and(|text| {
            text.starts_with("failed printing to stdout") && text.contains("Broken pipe")
        });
        if is_unread {
            std::process::exit(0);
        }
        report(panic);
    }));
}

/// The error and its causes in one line, without what a cause repeats.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string().replace('\n', " ");
        if !line.contains(&text) {
            line = if line.is_empty() {
                text
            } else {
                format!("{line}: {text}")
            };
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_of_run_is_an_environment_variable() {
        let cli = Cli::command();
        let run = cli.find_subcommand("run").unwrap();
        for arg in run
            .get_arguments()
            .filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"))
        {
            let name = arg.get_id().as_str().to_uppercase();
            let variable = arg.get_env().and_then(|env| env.to_str()).unwrap_or_default();
            assert_eq!(variable, format!("POKER_OPERATOR_{name}"));
        }
    }

    #[test]
    fn benches_print_json_of_either_data() {
        for data in ["--m4", "--series"] {
            let line = ["poker-operator", "bench", "forecast", data, "DIR", "--json"];
            assert!(Cli::try_parse_from(line).is_ok(), "{data}");
        }
        assert!(Cli::try_parse_from(["poker-operator", "bench", "forecast", "--json"]).is_err());
    }

    #[test]
    fn errors_are_one_line() {
        let error = anyhow::anyhow!("line one\nline two").context("cannot read file");
        assert_eq!(one_line(&error), "cannot read file: line one line two");
    }
}
