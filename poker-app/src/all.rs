//! Everything in one process: no other server, data in a folder.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use poker_routing::{RoutingTable, ShardRoute, ShardState};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{self, Admin, Readiness},
    cli::{AllArgs, Common},
    gateway::{self, Gateway, GatewayConfig},
    history::{History, RedbHistory},
    log::Sink,
    metrics::{self, GatewayMetrics, ShardMetrics},
    routes::{self, RoutesSender},
    shard::{Shard, ownership::Me},
    store::{RedbStore, Store},
};

/// Files in the folder of the data.
const ROOMS_FILE: &str = "rooms.redb";
pub const HISTORY_FILE: &str = "history.redb";
const SHARD: u32 = 0;
const CONNECTIONS_MAX: u32 = 18_000;

/// The whole product, serving.
pub struct All {
    /// Where browsers connect.
    pub address: SocketAddr,
    gateway: Gateway,
    shard: Shard,
    /// Keeps the routing table alive.
    _routes: RoutesSender,
}

impl All {
    /// Opens the data folder and serves.
    pub async fn start(args: &AllArgs) -> anyhow::Result<All> {
        let mut registry = metrics::registry(&common(args));
        let shard_metrics = ShardMetrics::register(metrics::shard_registry(&mut registry, SHARD));
        let gateway_metrics = GatewayMetrics::register(&mut registry);
        let (store, history) = open(args)?;
        let listener = gateway::listen(args.listen)?;
        let address = listener.local_addr()?;
        // Gateway and shard talk over a port of this machine, as they do in a cluster.
        let link = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))
            .await
            .context("cannot listen on a port of this machine")?;
        let link_address = link.local_addr()?.to_string();
        let (sender, routes) = routes::in_process(table(&link_address));
        let me = Me {
            id: SHARD,
            address: Arc::from(link_address),
        };
        let sink = Sink::History(history.clone());
        let shard = Shard::start(me, store, Some(sink), routes.clone(), shard_metrics);
        let links = shard.links().clone();
        tokio::spawn(async move { links.serve(link).await });
        let config = GatewayConfig {
            name: "all".to_owned(),
            routes,
            history: Some(history),
            metrics: gateway_metrics,
            connections_max: CONNECTIONS_MAX,
        };
        let gateway = Gateway::start(config, listener);
        if let Some(admin_listen) = args.admin_listen {
            let admin = Admin {
                readiness: Readiness::default(),
                registry: Arc::new(registry),
                drain_status: Some(Arc::new(gateway.drain_status())),
            };
            tokio::spawn(admin::serve(admin_listen, admin, gateway.ended()));
        }
        Ok(All {
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

/// The role `all`, until `stop`.
pub async fn run(args: AllArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let all = All::start(&args).await?;
    eprintln!("Planning poker is ready: open http://{}", shown(all.address));
    eprintln!("Data is kept in {}. Stop with Ctrl-C.", args.data.display());
    tokio::select! {
        () = stop.cancelled() => {}
        () = all.shard.ended() => anyhow::bail!("the rooms' work ended unexpectedly: start again, nothing acknowledged is lost"),
    }
    all.stop().await;
    Ok(())
}

/// An address that a browser on this machine can open.
fn shown(address: SocketAddr) -> SocketAddr {
    match address.ip().is_unspecified() {
        true => SocketAddr::from(([127, 0, 0, 1], address.port())),
        false => address,
    }
}

fn open(args: &AllArgs) -> anyhow::Result<(Store, History)> {
    let folder = args.data.display();
    std::fs::create_dir_all(&args.data)
        .with_context(|| format!("cannot make the folder {folder}: choose another --data"))?;
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

fn common(args: &AllArgs) -> Common {
    Common {
        namespace: "local".to_owned(),
        cluster: "local".to_owned(),
        revision: env!("CARGO_PKG_VERSION").to_owned(),
        pod: String::new(),
        log: args.log,
        admin_listen: args.admin_listen.unwrap_or(args.listen),
    }
}
