//! The standalone role: gateway and shard in one process, with the data in a folder.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use poker_routing::{RoutingTable, ShardRoute, ShardState};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use poker_service::readiness::Readiness;

use crate::{
    admin::{self, Admin},
    cli::{CONNECTIONS_MAX_DEFAULT, Common, StandaloneArgs},
    events::Sink,
    gateway::{self, Gateway, GatewayConfig},
    history::{History, RedbHistory},
    metrics::{self, GatewayMetrics, ShardMetrics},
    routes::{self, RoutesSender},
    shard::{Shard, ownership::LocalShard},
    store::{RedbStore, Store},
};

/// Files in the data folder.
const ROOMS_FILE: &str = "rooms.redb";
pub const HISTORY_FILE: &str = "history.redb";
const SHARD: u32 = 0;

/// The running app.
pub struct Standalone {
    /// Where browsers connect.
    pub address: SocketAddr,
    gateway: Gateway,
    shard: Shard,
    /// Keeps the routing table alive.
    _routes: RoutesSender,
}

impl Standalone {
    /// Opens the data folder and serves.
    pub async fn start(args: &StandaloneArgs) -> anyhow::Result<Standalone> {
        let mut registry = metrics::registry(&common(args));
        let shard_metrics = ShardMetrics::register(metrics::shard_registry(&mut registry, SHARD));
        let gateway_metrics = GatewayMetrics::register(&mut registry);
        let (store, history) = open(args)?;
        let listener = gateway::listen(args.listen)?;
        let address = listener.local_addr()?;
        // Gateway and shard are connected by a link over TCP, as in a cluster.
        let link = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))
            .await
            .context("cannot listen on a port of this machine")?;
        let link_address = link.local_addr()?.to_string();
        let (sender, routes) = routes::in_process(table(&link_address));
        let local = LocalShard {
            id: SHARD,
            address: Arc::from(link_address),
        };
        let sink = Sink::History(history.clone());
        let shard = Shard::start(local, store, Some(sink), routes.clone(), shard_metrics);
        let links = shard.links().clone();
        tokio::spawn(async move { links.serve(link).await });
        let config = GatewayConfig {
            name: "standalone".to_owned(),
            routes,
            history: Some(history),
            metrics: gateway_metrics,
            connections_max: CONNECTIONS_MAX_DEFAULT,
        };
        let gateway = Gateway::start(config, listener);
        if let Some(admin_listen) = args.admin_listen {
            let admin = Admin {
                readiness: Readiness::default(),
                registry: Arc::new(registry),
                is_live: Some(shard.is_live()),
                drain_status: Some(Arc::new(gateway.drain_status())),
            };
            tokio::spawn(admin::serve(admin_listen, admin, gateway.ended()));
        }
        Ok(Standalone {
            address,
            gateway,
            shard,
            _routes: sender,
        })
    }

    /// Closes all sockets and files.
    pub async fn stop(self) {
        self.gateway.drain(Duration::ZERO).await;
        self.shard.drain().await;
    }
}

/// The role `standalone`, until `stop`.
pub async fn run(args: StandaloneArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let standalone = Standalone::start(&args).await?;
    eprintln!(
        "Planning poker is ready: open http://{}",
        browser_address(standalone.address)
    );
    eprintln!("Data is stored in {}. Stop with Ctrl-C.", args.data.display());
    tokio::select! {
        () = stop.cancelled() => {}
        () = standalone.shard.ended() => anyhow::bail!("a task of the shard ended unexpectedly: start again, no acknowledged change is lost"),
    }
    standalone.stop().await;
    Ok(())
}

/// An address that a browser on this machine can open.
fn browser_address(address: SocketAddr) -> SocketAddr {
    match address.ip().is_unspecified() {
        true => SocketAddr::from(([127, 0, 0, 1], address.port())),
        false => address,
    }
}

fn open(args: &StandaloneArgs) -> anyhow::Result<(Store, History)> {
    let folder = args.data.display();
    std::fs::create_dir_all(&args.data)
        .with_context(|| format!("cannot create the folder {folder}: choose another --data"))?;
    let hint = || {
        format!(
            "cannot open the data in {folder}: stop the other process that uses it, or choose another --data"
        )
    };
    let rooms = RedbStore::open(&args.data.join(ROOMS_FILE)).with_context(hint)?;
    let history = RedbHistory::open(&args.data.join(HISTORY_FILE)).with_context(hint)?;
    Ok((Store::Redb(rooms), History::Embedded(history)))
}

fn table(address: &str) -> RoutingTable {
    RoutingTable {
        version: 1,
        shards: vec![ShardRoute {
            id: SHARD,
            revision: "local".to_owned(),
            address: address.to_owned(),
            state: ShardState::Active,
            weight: 1,
        }],
        ..RoutingTable::default()
    }
}

fn common(args: &StandaloneArgs) -> Common {
    Common {
        namespace: "local".to_owned(),
        cluster: "local".to_owned(),
        revision: env!("CARGO_PKG_VERSION").to_owned(),
        pod: String::new(),
        log: args.log,
        admin_listen: args.admin_listen.unwrap_or(args.listen),
    }
}
