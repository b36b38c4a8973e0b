//! Parses the command line and runs the role.

use std::process::ExitCode;

use clap::Parser;
use poker_app::{
    cli::{Cli, LogFormat, Role},
    gateway, load, shard, standalone, telemetry, worker,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let Cli { role, standalone } = Cli::parse();
    let role = role.unwrap_or(Role::Standalone(standalone));
    telemetry::init(log_format(&role))?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signals(stop.clone()));
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

/// The first SIGTERM or SIGINT stops the role gracefully, the second one at once.
async fn stop_on_signals(stop: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!("cannot handle signals: the process can only be killed");
        return;
    };
    for _ in 0..2 {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if stop.is_cancelled() {
            std::process::exit(130);
        }
        tracing::info!("stopping; send the signal again to stop at once");
        stop.cancel();
    }
}
