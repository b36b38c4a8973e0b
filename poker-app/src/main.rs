//! Parses the command line and runs the role.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use poker_app::{
    cli::{Cli, Role},
    gateway, load, shard, standalone, worker,
};
use poker_service::{
    logs::{self, LogFormat},
    shutdown,
};

/// Sets log levels, in the syntax of `RUST_LOG`.
const LOG_FILTER: &str = "POKER_LOG_FILTER";

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let Cli { role, standalone } = Cli::parse();
    let role = role.unwrap_or(Role::Standalone(standalone));
    let filter = std::env::var(LOG_FILTER).unwrap_or_default();
    logs::install(log_format(&role), &filter).context(LOG_FILTER)?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stop = shutdown::on_signal().context("the process cannot handle signals")?;
    match role {
        Role::Standalone(args) => standalone::run(args, stop).await?,
        Role::Gateway(args) => gateway::run(args, stop).await?,
        Role::Shard(args) => shard::run(args, stop).await?,
        Role::Worker(args) => worker::run(args, stop).await?,
        Role::Load(args) => return load::run(args, stop).await,
    }
    Ok(ExitCode::SUCCESS)
}

fn log_format(role: &Role) -> LogFormat {
    match role {
        Role::Standalone(args) => args.log,
        Role::Gateway(args) => args.common.log,
        Role::Shard(args) => args.common.log,
        Role::Worker(args) => args.common.log,
        Role::Load(_) => LogFormat::Text,
    }
}
