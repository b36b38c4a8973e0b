//! The command line. Exit codes are in `poker_service::exit`.

mod crds;
mod plan;
mod run;

use clap::{Parser, Subcommand};
use poker_service::exit;
use std::process::ExitCode;

/// Runs planning poker clusters on Kubernetes.
///
/// A PokerCluster names at least a version. The operator creates and maintains everything that it needs: gateways,
/// shards, workers, Redis, Kafka, a database, and the routing of teams to shards.
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

Every flag of `run` can be given as an environment variable; `poker-operator run --help` names them.";

#[derive(Subcommand, Debug)]
enum Command {
    Run(run::RunArgs),
    Crds(crds::CrdsArgs),
    Plan(plan::PlanArgs),
}

/// Parses the arguments of the process and runs the command.
pub fn main() -> ExitCode {
    exit::succeed_on_broken_pipe();
    let result = match Cli::parse().command {
        Command::Run(args) => run::run(args),
        Command::Crds(args) => crds::run(&args),
        Command::Plan(args) => plan::run(&args),
    };
    exit::code_of(result)
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
}
