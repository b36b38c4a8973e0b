//! A shard: it owns a share of the rooms.

mod commit_gate;
mod engine;
mod heartbeat;
mod input;
mod limits;
mod link_handle;
mod link_server;
mod live_room;
pub mod ownership;

use std::{future::Future, sync::Arc};

use anyhow::Context;
use poker_routing::RoutingTable;
use tokio::{net::TcpListener, sync::mpsc, task::AbortHandle, time::Instant};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

pub use self::link_server::LinkServer;
use self::{
    engine::Engine,
    heartbeat::Heartbeat,
    input::Input,
    limits::{
        ENGINE_LIVE_AGE_MAX, HANDOFF_POLL_PERIOD, HANDOFF_QUIET, HANDOFF_STORE_TIMEOUT, HANDOFF_TIMEOUT,
        MAILBOX_INPUTS_MAX,
    },
    ownership::{LocalShard, is_first},
};
use poker_service::readiness::Readiness;

use crate::{
    admin::{self, Admin, DrainStatus},
    cli::ShardArgs,
    events::{KafkaSink, Outbox, Sink},
    metrics::{self, ShardMetrics},
    routes::{self, Routes},
    store::{RedisStore, STORE_RECONNECT_DELAY_MAX, Store},
};

/// Pending in [`Readiness`] until the store has answered once.
const PENDING_STORE: &str = "store";

/// A running shard. Dropping it stops it at once.
pub struct Shard {
    links: LinkServer,
    inputs: mpsc::Sender<Input>,
    metrics: ShardMetrics,
    heartbeat: Heartbeat,
    stop: CancellationToken,
    ended: CancellationToken,
    tasks: Vec<AbortHandle>,
}

impl Shard {
    /// Starts the engine and, with a `sink`, the task that delivers the outboxes to it.
    pub fn start(
        local: LocalShard,
        store: Store,
        sink: Option<Sink>,
        routes: Routes,
        metrics: ShardMetrics,
    ) -> Shard {
        let mut tasks = Vec::new();
        let ended = CancellationToken::new();
        let outbox = sink.map(|sink| {
            let (outbox_metrics, local) = (metrics.outbox.clone(), local.clone());
            let is_mine = move |table: &RoutingTable, team: &str| is_first(table, &local, team);
            let (outbox, handle) = Outbox::new(store.clone(), sink, routes.clone(), is_mine, outbox_metrics);
            tasks.push(tokio::spawn(notify_on_exit(ended.clone(), outbox.run())).abort_handle());
            handle
        });
        let table = routes.borrow().clone();
        let heartbeat = Heartbeat::new(Instant::now());
        let engine = Engine::new(
            local,
            store.clone(),
            outbox,
            metrics.clone(),
            heartbeat.clone(),
            table,
        );
        let (inputs, mailbox) = mpsc::channel(MAILBOX_INPUTS_MAX);
        tasks.push(tokio::spawn(notify_on_exit(ended.clone(), engine.run(mailbox, routes))).abort_handle());
        let stop = CancellationToken::new();
        Shard {
            links: LinkServer::new(
                inputs.clone(),
                store,
                heartbeat.clone(),
                metrics.links.clone(),
                stop.clone(),
            ),
            inputs,
            metrics,
            heartbeat,
            stop,
            ended,
            tasks,
        }
    }

    /// Completes when a task that should run for ever has ended: the rooms are no longer served.
    pub fn ended(&self) -> WaitForCancellationFuture<'_> {
        self.ended.cancelled()
    }

    /// Answers `/live`: whether the engine takes turns.
    pub fn is_live(&self) -> Arc<dyn Fn() -> bool + Send + Sync> {
        let heartbeat = self.heartbeat.clone();
        Arc::new(move || heartbeat.age() < ENGINE_LIVE_AGE_MAX)
    }

    /// Serves links from a listener, or one link over any stream.
    pub fn links(&self) -> &LinkServer {
        &self.links
    }

    /// Hands all rooms off, waits until the store has them and gateways know it, and closes the links. Claims no more rooms.
    pub async fn drain(&self) {
        let begin = Instant::now();
        let _ = self.inputs.send(Input::Drain).await;
        let mut quiet_since = Instant::now();
        let mut received = self.links.received();
        loop {
            tokio::time::sleep(HANDOFF_POLL_PERIOD).await;
            let rooms = self.metrics.rooms.get();
            let is_busy = rooms > 0 || self.metrics.outbox.events.get() > 0;
            if is_busy || self.links.received() != received {
                received = self.links.received();
                quiet_since = Instant::now();
            }
            let timeout = match rooms > 0 {
                true => HANDOFF_STORE_TIMEOUT,
                false => HANDOFF_TIMEOUT,
            };
            if begin.elapsed() >= timeout || quiet_since.elapsed() >= HANDOFF_QUIET {
                break;
            }
        }
        let rooms = self.metrics.rooms.get();
        if rooms > 0 {
            tracing::error!(
                rooms,
                "the store has not confirmed these rooms: their last changes are lost unless it has them"
            );
        }
        self.stop.cancel();
    }
}

/// Runs `task` and cancels `ended` when it ends, also by a panic.
async fn notify_on_exit(ended: CancellationToken, task: impl Future<Output = ()>) {
    let _guard = ended.drop_guard();
    task.await;
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.stop.cancel();
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// The role `shard`: serves until `stop`, then hands its rooms off.
pub async fn run(args: ShardArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let mut registry = metrics::registry(&args.common);
    let version = metrics::routes_version(&mut registry);
    let metrics = ShardMetrics::register(metrics::shard_registry(&mut registry, args.shard));
    let readiness = Readiness::default();
    readiness.wait_for(PENDING_STORE, PENDING_STORE);
    let end = CancellationToken::new();
    let namespace = args.common.namespace.clone();
    let routes = routes::follow(
        args.routes.clone(),
        namespace,
        version,
        readiness.clone(),
        end.clone(),
    );
    let drain_status = drain_status(&metrics, &routes);
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}: choose another --listen", args.listen))?;
    let shard = start(&args, routes, metrics, readiness.clone())?;
    let admin = Admin {
        readiness,
        registry: Arc::new(registry),
        is_live: Some(shard.is_live()),
        drain_status: Some(drain_status),
    };
    let admin = tokio::spawn(admin::serve(args.common.admin_listen, admin, end.clone()));
    tracing::info!(address = %args.listen, shard = args.shard, "shard is listening");
    tokio::select! {
        () = stop.cancelled() => {}
        () = shard.links().serve(listener) => {}
        () = shard.ended() => anyhow::bail!("a task of the shard ended unexpectedly; another process claims its rooms"),
        result = admin => result??,
    }
    tracing::info!("handing all rooms off");
    shard.drain().await;
    end.cancel();
    Ok(())
}

fn start(
    args: &ShardArgs,
    routes: Routes,
    metrics: ShardMetrics,
    readiness: Readiness,
) -> anyhow::Result<Shard> {
    let store = Store::Redis(RedisStore::connect(&args.redis_url, &args.redis_prefix)?);
    let sink = match (&args.kafka_brokers, &args.kafka_topic) {
        (Some(brokers), Some(topic)) => Some(Sink::Kafka(KafkaSink::new(brokers, topic)?)),
        _ => None,
    };
    tokio::spawn(await_store(store.clone(), readiness));
    let local = LocalShard {
        id: args.shard,
        address: Arc::from(args.advertise.as_str()),
    };
    Ok(Shard::start(local, store, sink, routes, metrics))
}

/// Answers `/drain-status`.
fn drain_status(metrics: &ShardMetrics, routes: &Routes) -> Arc<dyn Fn() -> DrainStatus + Send + Sync> {
    let (rooms, links, routes) = (metrics.rooms.clone(), metrics.links.clone(), routes.clone());
    Arc::new(move || DrainStatus {
        active: rooms.get().unsigned_abs(),
        gateway_links: links.get().unsigned_abs(),
        routes_version: routes.borrow().version,
    })
}

/// The shard is ready once the store has answered. A later outage does not make it unready: sessions still read the
/// rooms in memory.
async fn await_store(store: Store, readiness: Readiness) {
    while let Err(error) = store.ping().await {
        tracing::warn!(%error, "waiting for the store");
        tokio::time::sleep(STORE_RECONNECT_DELAY_MAX).await;
    }
    readiness.done(PENDING_STORE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_reported() {
        let ended = CancellationToken::new();
        let task = tokio::spawn(notify_on_exit(ended.clone(), async { panic!("injected") }));
        ended.cancelled().await;
        assert!(task.await.unwrap_err().is_panic());
    }
}
