//! The shard's end of the links: one task for each gateway.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use poker_core::{
    ErrorCode, Refusal, Room,
    parse::{Rejected, client_message},
    protocol::{ClientMessage, ErrorMessage, Hello, close},
};
use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{Semaphore, mpsc},
};
use tokio_util::sync::CancellationToken;

use super::{
    heartbeat::Heartbeat,
    input::{Input, Open},
    limits::{
        ACCEPT_RETRY_DELAY, ENGINE_PING_AGE_MAX, GATEWAY_SILENCE_MAX, GATEWAY_WRITE_TIMEOUT,
        PREVIEWS_AT_ONCE_MAX,
    },
    link_handle::LinkHandle,
};
use crate::{
    link::{LINK_FRAMES_PER_WRITE_MAX, LinkError, ShardEnd, ToGateway, ToShard, shard_end},
    store::{Store, StoreError},
};

/// Accepts links and passes their inputs to the engine. Cheap to clone.
#[derive(Clone)]
pub struct LinkServer {
    inputs: mpsc::Sender<Input>,
    /// Previews read the store and never touch the engine.
    store: Store,
    previews: Arc<Semaphore>,
    /// Of the engine.
    heartbeat: Heartbeat,
    next_link: Arc<AtomicU64>,
    /// Frames about teams received, to see whether links are quiet.
    received: Arc<AtomicU64>,
    open: Gauge,
    stop: CancellationToken,
}

impl LinkServer {
    pub fn new(
        inputs: mpsc::Sender<Input>,
        store: Store,
        heartbeat: Heartbeat,
        open: Gauge,
        stop: CancellationToken,
    ) -> LinkServer {
        LinkServer {
            inputs,
            store,
            previews: Arc::new(Semaphore::new(PREVIEWS_AT_ONCE_MAX)),
            heartbeat,
            next_link: Arc::default(),
            received: Arc::default(),
            open,
            stop,
        }
    }

    /// Serves gateways that connect, until the shard stops.
    pub async fn serve(&self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    let server = self.clone();
                    tokio::spawn(async move { server.serve_link(stream).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a link, retrying");
                    tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                }
            }
        }
    }

    /// Serves one gateway over any stream until either side closes it.
    pub async fn serve_link(&self, stream: impl AsyncRead + AsyncWrite + Send + 'static) {
        let stop = self.stop.child_token();
        let number = self.next_link.fetch_add(1, Ordering::Relaxed);
        let (link, queue) = LinkHandle::new(number, stop.clone());
        let (sink, stream) = shard_end(stream).split();
        self.open.inc();
        let result = tokio::select! {
            () = stop.cancelled() => Ok(()),
            result = write_frames(sink, queue, &link) => result,
            result = self.read_frames(stream, &link) => result,
        };
        if let Err(error) = result {
            tracing::debug!(link = link.id(), %error, "link ended");
        }
        self.open.dec();
        let _ = self.inputs.send(Input::LinkEnded { link: link.id() }).await;
    }

    async fn read_frames<S: AsyncRead + AsyncWrite>(
        &self,
        mut stream: SplitStream<ShardEnd<S>>,
        link: &LinkHandle,
    ) -> Result<(), LinkError> {
        loop {
            let frame = match tokio::time::timeout(GATEWAY_SILENCE_MAX, stream.next()).await {
                Ok(Some(frame)) => frame?,
                Ok(None) | Err(_) => return Ok(()),
            };
            if !matches!(frame, ToShard::Ping | ToShard::Shards { .. }) {
                self.received.fetch_add(1, Ordering::Relaxed);
            }
            let Some(input) = self.read_frame(frame, link) else {
                continue;
            };
            if self.inputs.send(input).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Frames about teams received from all gateways so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// The engine's input, for frames that are not answered here.
    fn read_frame(&self, frame: ToShard, link: &LinkHandle) -> Option<Input> {
        match frame {
            ToShard::Hello { gateway } => {
                tracing::debug!(link = link.id(), gateway, "link opened");
                None
            }
            ToShard::Ping => {
                if self.heartbeat.age() < ENGINE_PING_AGE_MAX {
                    link.send(ToGateway::Pong);
                }
                None
            }
            ToShard::Preview { request, team } => {
                self.preview(link, request, team);
                None
            }
            ToShard::Open {
                session,
                team,
                table_version,
                hello,
            } => read_open(link, session, team, table_version, hello),
            ToShard::Command { session, text } => read_command(link, session, &text),
            ToShard::Shards { up, down } => Some(Input::Shards {
                link: link.id(),
                up,
                down,
            }),
            ToShard::Close { session } => Some(Input::Close {
                session: link.session_id(session)?,
            }),
        }
    }

    /// Reads a team's name from the store. Without an answer (too many at once, or the store is unavailable) the
    /// gateway's request times out.
    fn preview(&self, link: &LinkHandle, request: u64, team: String) {
        let Ok(permit) = self.previews.clone().try_acquire_owned() else {
            return;
        };
        let (store, link) = (self.store.clone(), link.clone());
        tokio::spawn(async move {
            let _permit = permit;
            match stored_name(&store, &team).await {
                Ok(name) => link.send(ToGateway::Preview { request, name }),
                Err(error) => tracing::debug!(%error, "cannot read a team's name"),
            }
        });
    }
}

async fn stored_name(store: &Store, team: &str) -> Result<Option<String>, StoreError> {
    let Some(state) = store.state(team).await? else {
        return Ok(None);
    };
    let room = Room::decode(&state).map_err(|error| StoreError::Unexpected(error.to_string()))?;
    Ok(Some(room.name().to_owned()))
}

async fn write_frames<S: AsyncRead + AsyncWrite>(
    mut sink: SplitSink<ShardEnd<S>, ToGateway>,
    mut queue: mpsc::Receiver<ToGateway>,
    link: &LinkHandle,
) -> Result<(), LinkError> {
    let mut frames = Vec::new();
    while queue.recv_many(&mut frames, LINK_FRAMES_PER_WRITE_MAX).await > 0 {
        for frame in frames.drain(..) {
            link.dequeued(&frame);
            within(GATEWAY_WRITE_TIMEOUT, sink.feed(frame)).await?;
        }
        within(GATEWAY_WRITE_TIMEOUT, sink.flush()).await?;
    }
    Ok(())
}

async fn within(
    timeout: Duration,
    write: impl Future<Output = Result<(), LinkError>>,
) -> Result<(), LinkError> {
    match tokio::time::timeout(timeout, write).await {
        Ok(result) => result,
        Err(_) => Err(LinkError::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

fn read_open(
    link: &LinkHandle,
    session: u64,
    team: String,
    table_version: u64,
    hello: Hello,
) -> Option<Input> {
    let Some(id) = link.session_id(session) else {
        link.send(ToGateway::Kick {
            session,
            code: close::BAD_HELLO,
            reason: ErrorCode::BadHello.name(),
        });
        return None;
    };
    Some(Input::Open(Open {
        session: id,
        link: link.clone(),
        team: team.into(),
        table_version,
        hello,
    }))
}

fn read_command(link: &LinkHandle, session: u64, text: &str) -> Option<Input> {
    let Rejected { id, refusal } = match client_message(text) {
        Ok(ClientMessage::Command { id, command }) => {
            let session = link.session_id(session)?;
            return Some(Input::Command { session, id, command });
        }
        Ok(_) => Rejected {
            id: None,
            refusal: Refusal::new(ErrorCode::Malformed, "send a command as the protocol requires"),
        },
        Err(rejected) => rejected,
    };
    let text = ErrorMessage::new(id.clone(), refusal).to_text();
    link.send(match id {
        Some(command_id) => ToGateway::Refused {
            session,
            command_id,
            text,
        },
        None => ToGateway::Private { session, text },
    });
    None
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::{link::gateway_end, store::RedbStore};

    fn server(last_turn: Instant) -> (tempfile::TempDir, LinkServer, Heartbeat, mpsc::Receiver<Input>) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::Redb(RedbStore::open(&folder.path().join("rooms")).unwrap());
        let (sender, inputs) = mpsc::channel(16);
        let heartbeat = Heartbeat::new(last_turn);
        let server = LinkServer::new(
            sender,
            store,
            heartbeat.clone(),
            Gauge::default(),
            CancellationToken::new(),
        );
        (folder, server, heartbeat, inputs)
    }

    #[tokio::test]
    async fn the_engine_learns_that_a_link_ended() {
        let (_folder, server, _, mut inputs) = server(Instant::now());
        let (gateway, shard) = tokio::io::duplex(64 * 1024);
        tokio::spawn(async move { server.serve_link(shard).await });
        let mut gateway = gateway_end(gateway);
        gateway.send(ToShard::Close { session: 1 }).await.unwrap();
        assert!(matches!(inputs.recv().await, Some(Input::Close { .. })));
        drop(gateway);
        assert!(matches!(inputs.recv().await, Some(Input::LinkEnded { link: 0 })));
    }

    #[tokio::test]
    async fn pings_are_not_answered_while_the_engine_takes_no_turn() {
        let (_folder, server, heartbeat, _inputs) = server(Instant::now() - ENGINE_PING_AGE_MAX);
        let (link, mut frames) = LinkHandle::new(1, CancellationToken::new());
        server.read_frame(ToShard::Ping, &link);
        assert!(frames.try_recv().is_err());
        heartbeat.beat();
        server.read_frame(ToShard::Ping, &link);
        assert_eq!(frames.try_recv().unwrap(), ToGateway::Pong);
    }
}
