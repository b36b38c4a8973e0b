//! `poker-operator run`

use crate::{
    controller,
    options::{Options, RECONCILE_CONCURRENCY},
};
use anyhow::{Context, Result};
use clap::Args;
use kube::{Client, Config};
use poker_service::{
    logs::{self, LogFormat},
    shutdown,
};
use std::{net::SocketAddr, process::ExitCode, time::Duration};
use tokio::net::TcpListener;

/// Run the controller.
///
/// Connects to the cluster that it runs in, or to the current context of KUBECONFIG. Several may run at
/// once: one is leader and writes, the others keep their caches warm and take over within seconds. SIGTERM
/// ends it cleanly and gives leadership up at once.
///
/// The admin address serves /live, /ready and /metrics; /ready lists what the process still waits for.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// The only namespace whose PokerClusters are reconciled. Without it, or empty: all namespaces.
    #[arg(long, env = "POKER_OPERATOR_WATCH_NAMESPACE", value_name = "NAMESPACE")]
    watch_namespace: Option<String>,

    /// The namespace that the operator runs in and that holds its Lease. Without it: that of the pod, or of
    /// the current context.
    #[arg(long, env = "POKER_OPERATOR_NAMESPACE", value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// Name of the Lease that decides who is leader; it is created when missing.
    #[arg(
        long,
        env = "POKER_OPERATOR_LEASE",
        default_value = "poker-operator",
        value_name = "NAME"
    )]
    lease: String,

    /// Name of this process in the Lease, unique among those that run. Without it: host name and a random part.
    #[arg(long, env = "POKER_OPERATOR_IDENTITY", value_name = "NAME")]
    identity: Option<String>,

    /// Address of /live, /ready and /metrics.
    #[arg(
        long,
        env = "POKER_OPERATOR_ADMIN_LISTEN",
        default_value = "0.0.0.0:8080",
        value_name = "ADDRESS"
    )]
    admin_listen: SocketAddr,

    /// PokerClusters reconciled at the same time.
    #[arg(long, env = "POKER_OPERATOR_CONCURRENCY", default_value_t = RECONCILE_CONCURRENCY,
          value_parser = clap::value_parser!(u16).range(1..=256), value_name = "N")]
    concurrency: u16,

    /// Log filter: a level, or a filter in the syntax of RUST_LOG.
    #[arg(
        long,
        env = "POKER_OPERATOR_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    log: String,

    /// Format of the log; auto is text on a terminal and JSON elsewhere.
    #[arg(
        long,
        env = "POKER_OPERATOR_LOG_FORMAT",
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    log_format: LogFormat,
}

pub fn run(args: RunArgs) -> Result<ExitCode> {
    logs::install(args.log_format, &args.log)?;
    controller::install_crypto();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(serve(args));
    runtime.shutdown_timeout(Duration::from_secs(1)); // a Kafka client that waits for its broker does not delay the exit
    code
}

async fn serve(args: RunArgs) -> Result<ExitCode> {
    let config = Config::infer()
        .await
        .context("no cluster is configured: run inside Kubernetes or set KUBECONFIG to a readable file")?;
    let options = Options {
        watch_namespace: args.watch_namespace.filter(|namespace| !namespace.is_empty()),
        namespace: args.namespace.unwrap_or_else(|| config.default_namespace.clone()),
        lease: args.lease,
        identity: match args.identity {
            Some(identity) => identity,
            None => identity()?,
        },
        concurrency: args.concurrency,
    };
    let client = Client::try_from(config)
        .context("the cluster's address or credentials cannot be used: check the kubeconfig")?;
    let listener = TcpListener::bind(args.admin_listen).await.with_context(|| {
        format!(
            "cannot listen on {}: choose another --admin-listen",
            args.admin_listen
        )
    })?;
    let stop = shutdown::on_signal()?;
    match controller::run(client, options, listener, stop).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            tracing::error!(
                error = format!("{error:#}"),
                "the process ends; the next start continues"
            );
            Ok(ExitCode::from(1))
        }
    }
}

fn identity() -> Result<String> {
    let mut random = [0_u8; 4];
    getrandom::fill(&mut random)
        .map_err(|error| anyhow::anyhow!("cannot get random numbers from the system: {error}"))?;
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "poker-operator".to_owned());
    Ok(format!("{host}_{:08x}", u32::from_be_bytes(random)))
}
