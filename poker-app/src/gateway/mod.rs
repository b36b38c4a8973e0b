//! The gateway: sockets of browsers on one side, links to shards on the other.

mod action;
mod client_frame;
mod csv;
mod http;
mod hub;
mod limits;
mod links;
mod placement;
mod rate_limit;
mod send_queue;
mod server;
mod server_messages;
mod session;
mod slug;
mod team;
mod team_preview;
mod team_session;
#[cfg(test)]
mod team_tests;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use self::server::listen;
use self::{http::App, hub::Hub, limits::READINESS_POLL_PERIOD, server::Sockets};
use poker_service::readiness::Readiness;

use crate::{
    admin::{self, Admin, DrainStatus},
    cli::GatewayArgs,
    history::{History, PostgresHistory},
    metrics::{self, GatewayMetrics},
    routes::{self, Routes},
};

/// Pending in [`Readiness`] until a shard answers, and while the gateway drains.
const PENDING_LINK: &str = "link to a shard";
const PENDING_DRAIN: &str = "draining";

/// A running gateway.
pub struct Gateway {
    hub: Arc<Hub>,
    sockets: Arc<Sockets>,
    stop: CancellationToken,
    server: tokio::task::JoinHandle<()>,
}

/// The settings of a gateway.
pub struct GatewayConfig {
    /// Names the process to shards.
    pub name: String,
    pub routes: Routes,
    pub history: Option<History>,
    pub metrics: GatewayMetrics,
    pub connections_max: u32,
}

impl Gateway {
    /// Serves on `listener`.
    pub fn start(config: GatewayConfig, listener: TcpListener) -> Gateway {
        let stop = CancellationToken::new();
        let hub = Hub::start(config.name, config.routes, stop.clone());
        let sockets = Sockets::new(config.connections_max, config.metrics.clone());
        let app = http::router(App {
            hub: hub.clone(),
            sockets: sockets.clone(),
            metrics: config.metrics,
            history: config.history,
        });
        let server = tokio::spawn(server::serve(listener, app, config.connections_max, stop.clone()));
        Gateway {
            hub,
            sockets,
            stop,
            server,
        }
    }

    /// Answers `/drain-status`.
    pub fn drain_status(&self) -> impl Fn() -> DrainStatus + Send + Sync + use<> {
        let (hub, sockets) = (self.hub.clone(), self.sockets.clone());
        move || DrainStatus {
            active: u64::from(sockets.open()),
            gateway_links: 0,
            routes_version: hub.routes_version(),
        }
    }

    /// Cancelled when the gateway has stopped.
    pub fn ended(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Closes all sockets, spread over `window`, then stops.
    pub async fn drain(self, window: Duration) {
        self.sockets.drain(&self.hub, window).await;
        self.stop.cancel();
        let _ = self.server.await;
    }
}

/// The role `gateway`, until `stop`.
pub async fn run(args: GatewayArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let mut registry = metrics::registry(&args.common);
    let metrics = GatewayMetrics::register(&mut registry);
    let version = metrics::routes_version(&mut registry);
    let readiness = Readiness::default();
    readiness.wait_for(PENDING_LINK, PENDING_LINK);
    let end = CancellationToken::new();
    let namespace = args.common.namespace.clone();
    let routes = routes::follow(args.routes, namespace, version, readiness.clone(), end.clone());
    let history = match &args.database_url {
        Some(url) => Some(History::Postgres(PostgresHistory::new(url)?)),
        None => None,
    };
    let config = GatewayConfig {
        name: process_name(args.listen),
        routes,
        history,
        metrics,
        connections_max: args.connections_max,
    };
    let gateway = Gateway::start(config, listen(args.listen)?);
    tracing::info!(address = %args.listen, "gateway is listening");
    let links = watch_links(gateway.hub.clone(), readiness.clone());
    tokio::spawn(end.clone().run_until_cancelled_owned(links));
    let admin = Admin {
        readiness: readiness.clone(),
        registry: Arc::new(registry),
        is_live: None,
        drain_status: Some(Arc::new(gateway.drain_status())),
    };
    let admin = tokio::spawn(admin::serve(args.common.admin_listen, admin, end.clone()));
    let result = tokio::select! {
        () = stop.cancelled() => Ok(()),
        result = admin => result?,
    };
    readiness.wait_for(PENDING_DRAIN, PENDING_DRAIN);
    let window = Duration::from_secs(args.drain_window_seconds.into());
    gateway.drain(window).await;
    end.cancel();
    result
}

/// The gateway is ready once a shard is reachable.
async fn watch_links(hub: Arc<Hub>, readiness: Readiness) {
    while !hub.any_link_up() {
        tokio::time::sleep(READINESS_POLL_PERIOD).await;
    }
    readiness.done(PENDING_LINK);
}

/// The name of the pod, if there is one.
fn process_name(listen: SocketAddr) -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "gateway".to_owned());
    format!("{host}:{}", listen.port())
}
