//! Wires the parts together and ends the process's work when any of them ends.

use crate::{
    cache::expectations::Expectations,
    cache::stores::CacheBuilder,
    cache::watch_health::WatchHealth,
    cache::watches::{DecodedCluster, Triggers, WatchDeps},
    context::{Context, Parts},
    error::Error,
    kafka::topic_manager::{self, TopicManager},
    leader::{self, Elector, Leadership},
    limits,
    metrics::{Metrics, Reason},
    options::Options,
    prometheus::poller,
    prometheus::sample_store::SampleStore,
    reconcile,
};
use anyhow::{Context as _, Result, bail};
use futures::{Stream, StreamExt, stream};
use kube::{
    Client,
    runtime::controller::{
        Action, Config, Error as ControllerError, ReconcileReason, ReconcileRequest, applier,
    },
};
use poker_operator_core::backoff;
use poker_service::{admin, readiness::Readiness};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// Chooses the process's TLS implementation; call it once before any client is made.
pub fn install_crypto() {
    // An error means that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Runs until `stop`, then ends running passes and gives leadership up.
///
/// # Errors
/// When any part ends by itself: the process must end then, and start anew.
pub async fn run(
    client: Client,
    options: Options,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<()> {
    let (triggers, mut queue) = mpsc::channel(limits::TRIGGER_QUEUE_ENTRIES);
    let readiness = Readiness::default();
    let metrics = Arc::new(Metrics::default());
    let expectations = Arc::new(Expectations::default());
    let watch_health = Arc::new(WatchHealth::default());
    let leadership = Arc::new(Leadership::default());
    let (sampler, topics) = (
        Arc::new(SampleStore::default()),
        Arc::new(TopicManager::default()),
    );

    let mut watches = JoinSet::new();
    let stores = CacheBuilder {
        client: client.clone(),
        namespace: options.watch_namespace.as_deref(),
        deps: WatchDeps {
            expectations: expectations.clone(),
            watch_health: watch_health.clone(),
            readiness: readiness.clone(),
            metrics: metrics.clone(),
            triggers: triggers.clone(),
        },
        tasks: &mut watches,
    }
    .start();
    let ctx = Arc::new(Context::new(Parts {
        client: client.clone(),
        identity: options.identity.clone(),
        stores,
        leadership: leadership.clone(),
        expectations,
        watch_health,
        metrics: metrics.clone(),
        sampler: sampler.clone(),
        topics: topics.clone(),
    })?);

    // Before the election begins: what it tells at once is not missed.
    let leading = leadership.subscribe();
    // Leadership is given up only after the last pass has ended.
    let release = CancellationToken::new();
    let elector = Elector::new(client, &options, metrics.clone());
    let leader = AbortOnDropHandle::new(tokio::spawn(leader::run(elector, leadership, release.clone())));
    let mut parts = JoinSet::new();
    let routes = admin::router(readiness.clone(), metrics.registry());
    parts.spawn(admin::serve(listener, routes, stop.clone()));
    parts.spawn(poller::run(
        sampler,
        triggers.clone(),
        metrics.clone(),
        stop.clone(),
    ));
    parts.spawn(topic_manager::run(
        topics,
        triggers.clone(),
        metrics,
        stop.clone(),
    ));
    parts.spawn(look_at_all_when_leading(
        ctx.clone(),
        leading,
        triggers,
        stop.clone(),
    ));
    let next = stream::poll_fn(move |cx| queue.poll_recv(cx)).map(Ok::<_, Infallible>);
    let queue = next.take_until(stop.clone().cancelled_owned()).boxed();
    let reconciler = reconcile_all(ctx, queue, options.concurrency, stop.clone());
    let tasks = Tasks {
        leader,
        reconciler: AbortOnDropHandle::new(tokio::spawn(reconciler)),
        parts,
        watches,
    };
    tasks.supervise(&readiness, stop, release).await
}

/// Everything that runs. Dropping it ends all at once.
struct Tasks {
    leader: AbortOnDropHandle<Result<()>>,
    reconciler: AbortOnDropHandle<()>,
    parts: JoinSet<Result<()>>,
    watches: JoinSet<&'static str>,
}

impl Tasks {
    /// Waits for `stop` and ends in order: passes first, then leadership.
    async fn supervise(
        mut self,
        readiness: &Readiness,
        stop: CancellationToken,
        release: CancellationToken,
    ) -> Result<()> {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            ended = &mut self.leader => {
                ended.context("the leader election panicked")??;
                bail!("the leader election ended");
            }
            ended = &mut self.reconciler => {
                ended.context("the reconciler panicked")?;
                bail!("the reconciler ended");
            }
            Some(ended) = self.parts.join_next() => {
                ended.context("a part panicked")??;
                bail!("a part ended");
            }
            Some(ended) = self.watches.join_next() => {
                bail!("the watch of {} ended", ended.context("a watch panicked")?)
            }
        }
        readiness.wait_for("shutdown", "shutting down");
        let patience = Duration::from_secs(limits::SHUTDOWN_SECONDS);
        if tokio::time::timeout(patience, self.reconciler).await.is_err() {
            tracing::warn!("passes were still running: they are cut off");
        }
        release.cancel();
        let released = tokio::time::timeout(patience, self.leader).await;
        released.context("the lease could not be given up in time")??
    }
}

/// Looks at clusters as the queue names them, until it ends and the running passes have ended.
async fn reconcile_all(
    ctx: Arc<Context>,
    queue: impl Stream<Item = Result<ReconcileRequest<DecodedCluster>, Infallible>> + Send + Unpin,
    concurrency: u16,
    stop: CancellationToken,
) {
    // Without all caches, what is missing in one would be made again or deleted.
    tokio::select! {
        () = stop.cancelled() => return,
        ready = ctx.stores.ready() => if ready.is_err() { return },
    }
    // No debounce: each event would put a pass off, for as long as events come. Those that wait count once anyway.
    let config = Config::default().concurrency(concurrency);
    let clusters = ctx.stores.clusters.clone();
    let pass = |object, ctx| Box::pin(reconcile::pass(object, ctx));
    let passes = applier(pass, retry, ctx.clone(), clusters, queue, config);
    passes
        .for_each(async |result| {
            ctx.metrics
                .clusters
                .set(i64::try_from(ctx.stores.clusters.len()).unwrap_or(i64::MAX));
            if let Err(ControllerError::ObjectNotFound(gone)) = result {
                ctx.forget(&(gone.namespace.clone().unwrap_or_default(), gone.name.clone()));
            }
        })
        .await;
}

/// What failed is tried again, each time after a longer wait.
fn retry(object: Arc<DecodedCluster>, error: &Error, ctx: Arc<Context>) -> Action {
    let key = reconcile::key(&object);
    let line = error.line();
    let (failures, is_news) = ctx.failed(&key, &line);
    ctx.metrics
        .reconcile_errors
        .get_or_create(&Reason {
            reason: error.label(),
        })
        .inc();
    if error.is_passing() {
        tracing::info!(
            namespace = key.0,
            cluster = key.1,
            error = line,
            "pass has to be repeated"
        );
    } else if is_news {
        tracing::warn!(namespace = key.0, cluster = key.1, error = line, "pass failed");
    } else {
        tracing::debug!(
            namespace = key.0,
            cluster = key.1,
            error = line,
            failures,
            "pass failed again"
        );
    }
    Action::requeue(backoff::delay(failures, jitter()))
}

/// A process that becomes leader looks at every cluster.
async fn look_at_all_when_leading(
    ctx: Arc<Context>,
    mut leading: watch::Receiver<bool>,
    triggers: Triggers,
    stop: CancellationToken,
) -> Result<()> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = leading.changed() => changed?,
        }
        for obj_ref in ctx.stores.cluster_refs() {
            let _ = triggers
                .send(ReconcileRequest {
                    obj_ref,
                    reason: ReconcileReason::BulkReconcile,
                })
                .await;
        }
    }
}

/// A number in 0..=1.
fn jitter() -> f64 {
    let mut random = [0];
    match getrandom::fill(&mut random) {
        Ok(()) => f64::from(random[0]) / f64::from(u8::MAX),
        Err(_) => 0.0,
    }
}
