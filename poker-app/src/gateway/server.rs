//! The public port: accepts connections within a bound, and lets sockets go gently at the end.

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
        HTTP_CONNECTION_AGE_MAX, HTTP_CONNECTIONS_MAX, HTTP_HEAD_TIMEOUT, LISTEN_BACKLOG,
        RESTART_RETRY_MS_MAX, SHUTDOWN_TIMEOUT,
    },
};
use crate::metrics::GatewayMetrics;

/// The sockets there are, and whether more are welcome.
pub struct Sockets {
    open: AtomicU32,
    max: u32,
    draining: AtomicBool,
    tasks: TaskTracker,
    metrics: GatewayMetrics,
}

/// One socket's place, given back when dropped.
pub struct Seat(Arc<Sockets>);

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

    /// None when there are too many, or the gateway is ending.
    pub fn take_seat(self: &Arc<Self>) -> Option<Seat> {
        let seat = Seat(self.clone());
        let before = self.open.fetch_add(1, Ordering::AcqRel);
        self.metrics.connections.inc();
        (before < self.max && !self.draining.load(Ordering::Acquire)).then_some(seat)
    }

    pub fn open(&self) -> u32 {
        self.open.load(Ordering::Acquire)
    }

    /// Wraps a socket's task so that the end of the process waits for it.
    pub fn track<F: Future>(&self, task: F) -> impl Future<Output = F::Output> + use<F> {
        self.tasks.track_future(task)
    }

    /// Closes all sockets of the hub, spread over `window`, and waits until they are gone.
    pub async fn drain(&self, hub: &Hub, window: Duration) {
        self.draining.store(true, Ordering::Release);
        let mut outboxes = hub.outboxes();
        outboxes.shuffle(&mut rand::rng());
        let (start, count) = (Instant::now(), outboxes.len());
        tracing::info!(
            sockets = count,
            window_seconds = window.as_secs(),
            "closing sockets"
        );
        for (index, outbox) in outboxes.into_iter().enumerate() {
            tokio::time::sleep_until(start + window.mul_f64(index as f64 / count as f64)).await;
            outbox.close(close::SERVICE_RESTART, restart_reason());
        }
        // Those that said hello meanwhile.
        for outbox in hub.outboxes() {
            outbox.close(close::SERVICE_RESTART, restart_reason());
        }
        self.tasks.close();
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, self.tasks.wait()).await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
        self.0.metrics.connections.dec();
    }
}

fn restart_reason() -> String {
    let retry_after_ms = rand::rng().random_range(0..=RESTART_RETRY_MS_MAX);
    serde_json::to_string(&RestartReason { retry_after_ms }).unwrap_or_default()
}

/// Listens with a backlog that a reconnect storm fits into.
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
    bind()
        .with_context(|| format!("cannot listen on {address}: stop what uses it or choose another --listen"))
}

/// Serves `app` until `stop`; a connection is accepted only when there is room for it.
pub async fn serve(listener: TcpListener, app: Router, sockets_max: u32, stop: CancellationToken) {
    let connections_max = sockets_max as usize + HTTP_CONNECTIONS_MAX;
    let room = Arc::new(Semaphore::new(connections_max));
    let mut delay = Duration::ZERO;
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = accept(&listener, &room) => accepted,
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
                delay = (delay * 2).clamp(Duration::from_millis(5), Duration::from_secs(1));
                tracing::warn!(%error, "cannot accept a connection, trying again");
                tokio::time::sleep(delay).await;
            }
        }
    }
}

/// Holds a connection's place as long as any clone of it lives, which a socket's task does.
#[derive(Clone)]
pub struct Permit {
    _permit: Arc<OwnedSemaphorePermit>,
}

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> std::io::Result<(TcpStream, Permit)> {
    let permit = room.clone().acquire_owned().await;
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
    async fn whoever_sends_slowly_holds_no_place_for_ever() {
        let app = Router::new().route("/", post(async |body: String| body));
        let room = Arc::new(Semaphore::new(1));
        let permit = Permit {
            _permit: Arc::new(room.clone().acquire_owned().await.unwrap()),
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
        let _place = room.acquire().await.unwrap();
    }
}
