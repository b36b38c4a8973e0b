//! The public port: accepts a bounded number of connections, and closes sockets gradually at shutdown.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use axum::{Router, body::Body, http::Request};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use poker_core::protocol::{RestartReason, close};
use rand::{Rng, seq::SliceRandom};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use super::{
    hub::Hub,
    limits::{
        ACCEPT_DELAY_MAX, ACCEPT_DELAY_MIN, HTTP_CONNECTION_AGE_MAX, HTTP_CONNECTIONS_MAX, HTTP_HEAD_TIMEOUT,
        LISTEN_BACKLOG, RESTART_RETRY_MS_MAX, SOCKETS_CLOSED_TIMEOUT,
    },
};
use crate::metrics::GatewayMetrics;

/// Counts the open sockets and admits new ones.
pub struct Sockets {
    open: AtomicU32,
    max: u32,
    draining: AtomicBool,
    tasks: TaskTracker,
    metrics: GatewayMetrics,
}

/// The place of one socket, freed when dropped.
pub struct SocketSlot(Arc<Sockets>);

impl Sockets {
    pub fn new(max: u32, metrics: GatewayMetrics) -> Arc<Self> {
        Arc::new(Self {
            open: AtomicU32::new(0),
            max,
            draining: AtomicBool::new(false),
            tasks: TaskTracker::new(),
            metrics,
        })
    }

    /// `None` if there are too many, or the gateway drains.
    pub fn admit(self: &Arc<Self>) -> Option<SocketSlot> {
        let slot = SocketSlot(self.clone());
        let before = self.open.fetch_add(1, Ordering::AcqRel);
        self.metrics.connections.inc();
        (before < self.max && !self.draining.load(Ordering::Acquire)).then_some(slot)
    }

    pub fn open(&self) -> u32 {
        self.open.load(Ordering::Acquire)
    }

    /// Wraps a socket's task so that the shutdown waits for it.
    pub fn track<F: Future>(&self, task: F) -> impl Future<Output = F::Output> + use<F> {
        self.tasks.track_future(task)
    }

    /// Closes all sockets of the hub, spread over `window`, and waits until they are closed.
    pub async fn drain(&self, hub: &Hub, window: Duration) {
        self.draining.store(true, Ordering::Release);
        let mut queues = hub.queues();
        queues.shuffle(&mut rand::rng());
        let (start, count) = (Instant::now(), queues.len());
        tracing::info!(
            sockets = count,
            window_seconds = window.as_secs(),
            "closing sockets"
        );
        for (index, queue) in queues.into_iter().enumerate() {
            tokio::time::sleep_until(start + window.mul_f64(index as f64 / count as f64)).await;
            queue.close(close::SERVICE_RESTART, restart_reason());
        }
        // Sockets whose hello has arrived meanwhile.
        for queue in hub.queues() {
            queue.close(close::SERVICE_RESTART, restart_reason());
        }
        self.tasks.close();
        let _ = tokio::time::timeout(SOCKETS_CLOSED_TIMEOUT, self.tasks.wait()).await;
    }
}

impl Drop for SocketSlot {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
        self.0.metrics.connections.dec();
    }
}

fn restart_reason() -> String {
    let retry_after_ms = rand::rng().random_range(0..=RESTART_RETRY_MS_MAX);
    serde_json::to_string(&RestartReason { retry_after_ms }).unwrap_or_default()
}

/// Listens with a backlog that is large enough for a reconnect storm.
pub fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bind = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(LISTEN_BACKLOG)
    };
    bind().with_context(|| {
        format!("cannot listen on {address}: stop the process that uses it or choose another --listen")
    })
}

/// Serves `app` until `stop`. A connection is accepted only below the limit.
pub async fn serve(listener: TcpListener, app: Router, sockets_max: u32, stop: CancellationToken) {
    let connections_max = sockets_max as usize + HTTP_CONNECTIONS_MAX;
    let permits = Arc::new(Semaphore::new(connections_max));
    let mut delay = Duration::ZERO;
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = accept(&listener, &permits) => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                delay = Duration::ZERO;
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve_connection(
                    stream,
                    app.clone(),
                    permit,
                    HTTP_CONNECTION_AGE_MAX,
                    stop.clone(),
                ));
            }
            Err(error) => {
                delay = (delay * 2).clamp(ACCEPT_DELAY_MIN, ACCEPT_DELAY_MAX);
                tracing::warn!(%error, "cannot accept a connection, retrying");
                tokio::time::sleep(delay).await;
            }
        }
    }
}

/// The permit of a connection, shared by its request and the task of its socket.
#[derive(Clone)]
pub struct Permit {
    _permit: Arc<OwnedSemaphorePermit>,
}

async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> std::io::Result<(TcpStream, Permit)> {
    let permit = permits.clone().acquire_owned().await;
    let permit = permit.map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((
        stream,
        Permit {
            _permit: Arc::new(permit),
        },
    ))
}

async fn serve_connection<IO>(
    stream: IO,
    app: Router,
    permit: Permit,
    age_max: Duration,
    stop: CancellationToken,
) where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = tower::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(permit.clone());
        app.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP_HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => {}
        () = tokio::time::sleep(age_max) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(age_max, connection).await;
}

#[cfg(test)]
mod tests {
    use axum::routing::post;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_slow_request_does_not_keep_its_connection_for_ever() {
        let app = Router::new().route("/", post(async |body: String| body));
        let permits = Arc::new(Semaphore::new(1));
        let permit = Permit {
            _permit: Arc::new(permits.clone().acquire_owned().await.unwrap()),
        };
        let (mut client, server) = tokio::io::duplex(1024);
        let age_max = Duration::from_millis(50);
        tokio::spawn(serve_connection(
            server,
            app,
            permit,
            age_max,
            CancellationToken::new(),
        ));
        client
            .write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nslow")
            .await
            .unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        let _freed = permits.acquire().await.unwrap();
    }
}
