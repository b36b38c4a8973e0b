//! Starts all tasks of the operator. When one of them ends, the process ends.

use crate::{
    backoff,
    cache::{expectations::Expectations, stores::Stores, watch_health::WatchHealth, watches::WatchDeps},
    cluster_key::ClusterKey,
    error::Error,
    kafka::topic_manager::{self, TopicManager},
    leader::{self, Elector, Leadership},
    metrics::{Metrics, Reason},
    options::Options,
    prometheus::{poller, sample_store::SampleStore},
    reconcile::{context::Context, drain_status, memory::Memories, reconcile},
    triggers::{self, DecodedCluster, Triggers},
};
use anyhow::{Context as _, Result, bail};
use backon::ExponentialBuilder;
use futures::{Stream, StreamExt, stream};
use kube::{
    Client,
    runtime::{
        controller::{Action, Config, Error as ControllerError, ReconcileRequest, applier},
        events::Reporter,
    },
};
use poker_service::{admin, readiness::Readiness};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// Time for running reconciles to end after SIGTERM, and for the Lease to be released.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a cluster waits after a reconcile that failed: a quarter of a second to a minute, and with jitter up to twice as
/// long, so that clusters that failed at the same time are not retried at the same time.
const RECONCILE_BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(250))
    .with_max_delay(Duration::from_secs(60))
    .with_jitter();

/// Chooses the process's TLS implementation; call it once before any client is made.
pub fn install_crypto() {
    // An error means that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Runs until `stop`, then waits for running reconciles and gives up leadership.
///
/// # Errors
/// When a task ends before `stop`. The caller then ends the process, and Kubernetes restarts it.
pub async fn run(
    client: Client,
    options: Options,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<()> {
    let (triggers, mut requests) = triggers::queue();
    let readiness = Readiness::default();
    let metrics = Arc::new(Metrics::default());
    let expectations = Arc::new(Expectations::default());
    let watch_health = Arc::new(WatchHealth::default());
    let leadership = Arc::new(Leadership::default());
    let (samples, topics) = (
        Arc::new(SampleStore::default()),
        Arc::new(TopicManager::default()),
    );

    let deps = WatchDeps {
        expectations: expectations.clone(),
        watch_health: watch_health.clone(),
        readiness: readiness.clone(),
        metrics: metrics.clone(),
        triggers: triggers.clone(),
    };
    let (stores, watches) = Stores::watch(client.clone(), options.watch_namespace.as_deref(), deps);
    let ctx = Arc::new(Context {
        client: client.clone(),
        stores,
        leadership: leadership.clone(),
        expectations,
        watch_health,
        metrics: metrics.clone(),
        samples: samples.clone(),
        topics: topics.clone(),
        memories: Memories::default(),
        reporter: Reporter {
            controller: "poker-operator".to_owned(),
            instance: Some(options.identity.clone()),
        },
        http: drain_status::http_client()?,
    });

    // Before the election begins, so that becoming leader at once is not missed.
    let leading = leadership.subscribe();
    // Leadership is given up only after the last reconcile has ended.
    let release = CancellationToken::new();
    let elector = Elector::new(client, &options, metrics.clone());
    let leader = AbortOnDropHandle::new(tokio::spawn(leader::run(elector, leadership, release.clone())));
    let mut parts = JoinSet::new();
    let routes = admin::router(readiness.clone(), metrics.registry());
    parts.spawn(admin::serve(listener, routes, stop.clone()));
    parts.spawn(poller::run(
        samples,
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
    parts.spawn(requeue_all_on_leadership(
        ctx.clone(),
        leading,
        triggers,
        stop.clone(),
    ));
    let requests = stream::poll_fn(move |cx| requests.poll_recv(cx)).map(Ok::<_, Infallible>);
    let requests = requests.take_until(stop.clone().cancelled_owned()).boxed();
    let reconciler = reconcile_all(ctx, requests, options.concurrency, stop.clone());
    let tasks = Tasks {
        leader,
        reconciler: AbortOnDropHandle::new(tokio::spawn(reconciler)),
        parts,
        watches,
    };
    tasks.supervise(&readiness, stop, release).await
}

/// All tasks. Dropping it aborts them.
struct Tasks {
    leader: AbortOnDropHandle<Result<()>>,
    reconciler: AbortOnDropHandle<()>,
    parts: JoinSet<Result<()>>,
    watches: JoinSet<&'static str>,
}

impl Tasks {
    /// Waits for `stop`, then ends in order: first the reconciles, then leadership.
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
                ended.context("a background task panicked")??;
                bail!("a part ended");
            }
            Some(ended) = self.watches.join_next() => {
                bail!("the watch of {} ended", ended.context("a watch panicked")?)
            }
        }
        readiness.wait_for("shutdown", "shutting down");
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, self.reconciler)
            .await
            .is_err()
        {
            tracing::warn!("reconciles are still running: they are cancelled");
        }
        release.cancel();
        let released = tokio::time::timeout(SHUTDOWN_TIMEOUT, self.leader).await;
        released.context("the lease could not be released in time")??
    }
}

/// Reconciles clusters as the queue requests it, until the queue has ended and so have the running reconciles.
async fn reconcile_all(
    ctx: Arc<Context>,
    requests: impl Stream<Item = Result<ReconcileRequest<DecodedCluster>, Infallible>> + Send + Unpin,
    concurrency: u16,
    stop: CancellationToken,
) {
    // With an incomplete cache, the operator would create objects that exist, or treat needed ones as missing.
    tokio::select! {
        () = stop.cancelled() => return,
        ready = ctx.stores.ready() => if ready.is_err() { return },
    }
    // No debounce: each event would postpone the reconcile, for as long as events arrive. Waiting requests for one
    // cluster count once anyway.
    let config = Config::default().concurrency(concurrency);
    let clusters = ctx.stores.clusters.clone();
    let reconcile = |object, ctx| Box::pin(reconcile(object, ctx));
    let results = applier(reconcile, on_error, ctx.clone(), clusters, requests, config);
    results
        .for_each(async |result| {
            ctx.metrics
                .clusters
                .set(i64::try_from(ctx.stores.clusters.len()).unwrap_or(i64::MAX));
            if let Err(ControllerError::ObjectNotFound(deleted)) = result {
                let namespace = deleted.namespace.unwrap_or_default();
                ctx.forget(&ClusterKey::new(namespace, deleted.name));
            }
        })
        .await;
}

/// A reconcile that failed is retried, each time after a longer wait.
fn on_error(object: Arc<DecodedCluster>, error: &Error, ctx: Arc<Context>) -> Action {
    let key = ClusterKey::of(&*object);
    let message = error.message();
    let (failures, is_new) = ctx.memories.check_out(&key).record_failure(&message);
    let reason = error.category();
    ctx.metrics
        .reconcile_errors
        .get_or_create(&Reason { reason })
        .inc();
    let (namespace, cluster) = (key.namespace, key.name);
    if error.is_transient() {
        tracing::info!(
            namespace,
            cluster,
            error = message,
            "reconcile has to be repeated"
        );
    } else if is_new {
        tracing::warn!(namespace, cluster, error = message, "reconcile failed");
    } else {
        tracing::debug!(
            namespace,
            cluster,
            error = message,
            failures,
            "reconcile failed again"
        );
    }
    Action::requeue(backoff::delay(RECONCILE_BACKOFF, failures))
}

/// Requests a reconcile of every cluster whenever this process becomes leader.
async fn requeue_all_on_leadership(
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
        for cluster in ctx.stores.cluster_keys() {
            triggers.reconcile(&cluster, "leadership changed").await;
        }
    }
}
