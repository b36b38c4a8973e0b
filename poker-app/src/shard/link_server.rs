//! The shard's end of the links: one task a gateway.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use poker_core::{
    ErrorCode, Refusal, SessionId,
    parse::{Rejected, client_message},
    protocol::{ClientMessage, ErrorMessage, Hello, ServerMessage, close},
};
use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::{
    engine::Input,
    limits::{
        LINK_BYTES_MAX, LINK_FRAMES_MAX, LINK_FRAMES_PER_WRITE_MAX, LINK_SILENCE_MAX, LINK_WRITE_TIMEOUT,
    },
};
use crate::link::{LinkError, ShardEnd, ToGateway, ToShard, Wish, shard_end};

/// Session ids of the engine: the link's number above, the gateway's session below these bits.
const SESSION_BITS: u32 = 44;
const SESSION_MAX: u64 = (1 << SESSION_BITS) - 1;
const LINK_ID_MAX: u64 = (1 << (u64::BITS - SESSION_BITS)) - 1;

/// Sends to one gateway. Cheap to clone.
#[derive(Clone)]
pub struct LinkHandle(Arc<Link>);

struct Link {
    id: u64,
    frames: mpsc::Sender<ToGateway>,
    /// Of the texts in `frames`.
    bytes: Arc<AtomicUsize>,
    stop: CancellationToken,
}

impl LinkHandle {
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Queues a frame. A gateway that does not take them loses the link and opens its sessions anew.
    pub fn send(&self, frame: ToGateway) {
        let bytes = text_bytes(&frame);
        let waiting = self.0.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if waiting > LINK_BYTES_MAX || self.0.frames.try_send(frame).is_err() {
            self.0.stop.cancel();
        }
    }

    /// The engine's name of a gateway's session.
    pub fn session_id(&self, session: u64) -> Option<SessionId> {
        (session <= SESSION_MAX).then_some(SessionId(self.0.id << SESSION_BITS | session))
    }
}

/// The gateway's own number of a session.
pub fn gateway_session(session: SessionId) -> u64 {
    session.0 & SESSION_MAX
}

/// Accepts links and feeds the engine. Cheap to clone.
#[derive(Clone)]
pub struct LinkServer {
    inputs: mpsc::Sender<Input>,
    next_link: Arc<AtomicU64>,
    /// Frames received, to see whether links are quiet.
    received: Arc<AtomicU64>,
    open: Gauge,
    stop: CancellationToken,
}

impl LinkServer {
    pub fn new(inputs: mpsc::Sender<Input>, open: Gauge, stop: CancellationToken) -> LinkServer {
        LinkServer {
            inputs,
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
                    tracing::warn!(%error, "cannot accept a link, trying again");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Serves one gateway over any stream until either side closes it.
    pub async fn serve_link(&self, stream: impl AsyncRead + AsyncWrite + Send + 'static) {
        let id = self.next_link.fetch_add(1, Ordering::Relaxed) & LINK_ID_MAX;
        let (frames, queue) = mpsc::channel(LINK_FRAMES_MAX);
        let stop = self.stop.child_token();
        let bytes = Arc::<AtomicUsize>::default();
        let link = LinkHandle(Arc::new(Link {
            id,
            frames,
            bytes: bytes.clone(),
            stop: stop.clone(),
        }));
        let (sink, stream) = shard_end(stream).split();
        self.open.inc();
        let result = tokio::select! {
            () = stop.cancelled() => Ok(()),
            result = write_frames(sink, queue, &bytes) => result,
            result = self.read_frames(stream, &link) => result,
        };
        if let Err(error) = result {
            tracing::debug!(link = id, %error, "link ended");
        }
        self.open.dec();
        let _ = self.inputs.send(Input::LinkGone { link: id }).await;
    }

    async fn read_frames<S: AsyncRead + AsyncWrite>(
        &self,
        mut stream: futures::stream::SplitStream<ShardEnd<S>>,
        link: &LinkHandle,
    ) -> Result<(), LinkError> {
        loop {
            let frame = match tokio::time::timeout(LINK_SILENCE_MAX, stream.next()).await {
                Ok(Some(frame)) => frame?,
                Ok(None) | Err(_) => return Ok(()),
            };
            if frame != ToShard::Ping {
                self.received.fetch_add(1, Ordering::Relaxed);
            }
            let Some(input) = read_frame(frame, link) else {
                continue;
            };
            if self.inputs.send(input).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Frames other than pings received from all gateways so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

async fn write_frames<S: AsyncRead + AsyncWrite>(
    mut sink: futures::stream::SplitSink<ShardEnd<S>, ToGateway>,
    mut queue: mpsc::Receiver<ToGateway>,
    bytes: &AtomicUsize,
) -> Result<(), LinkError> {
    let mut frames = Vec::new();
    while queue.recv_many(&mut frames, LINK_FRAMES_PER_WRITE_MAX).await > 0 {
        for frame in frames.drain(..) {
            bytes.fetch_sub(text_bytes(&frame), Ordering::Relaxed);
            within(sink.feed(frame)).await?;
        }
        within(sink.flush()).await?;
    }
    Ok(())
}

async fn within(write: impl Future<Output = Result<(), LinkError>>) -> Result<(), LinkError> {
    match tokio::time::timeout(LINK_WRITE_TIMEOUT, write).await {
        Ok(result) => result,
        Err(_) => Err(LinkError::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

/// What a frame weighs: all but its texts is small.
fn text_bytes(frame: &ToGateway) -> usize {
    match frame {
        ToGateway::Attached { texts, .. } => texts.iter().map(String::len).sum(),
        ToGateway::ToSession { text, .. } | ToGateway::Publish { text, .. } => text.len(),
        ToGateway::Moved { .. } | ToGateway::Refused { .. } | ToGateway::Kick { .. } | ToGateway::Pong => 0,
    }
}

/// What a frame means to the engine; what is malformed is answered here.
fn read_frame(frame: ToShard, link: &LinkHandle) -> Option<Input> {
    match frame {
        ToShard::Hello { gateway } => {
            tracing::debug!(link = link.id(), gateway, "link opened");
            None
        }
        ToShard::Ping => {
            link.send(ToGateway::Pong);
            None
        }
        ToShard::Open {
            session,
            team,
            table_version,
            hello,
        } => read_open(link, session, team, table_version, &hello),
        ToShard::Command { session, text } => read_command(link, session, &text),
        ToShard::Close { session } => Some(Input::Close {
            session: link.session_id(session)?,
        }),
    }
}

fn read_open(
    link: &LinkHandle,
    session: u64,
    team: String,
    table_version: u64,
    hello: &str,
) -> Option<Input> {
    // The gateway may also send the bare hello.
    let wish = serde_json::from_str(hello)
        .or_else(|_| serde_json::from_str::<Hello>(hello).map(|hello| Wish::Hello(Box::new(hello))));
    match (wish, link.session_id(session)) {
        (Ok(wish), Some(id)) => Some(Input::Open(Open {
            session: id,
            link: link.clone(),
            team: team.into(),
            table_version,
            wish,
        })),
        _ => {
            link.send(ToGateway::Kick {
                session,
                code: close::BAD_HELLO,
                reason: ErrorCode::BadHello.name(),
            });
            None
        }
    }
}

/// A session at a room's door.
pub struct Open {
    pub session: SessionId,
    pub link: LinkHandle,
    pub team: Arc<str>,
    /// Version of the table by which the gateway routed.
    pub table_version: u64,
    pub wish: Wish,
}

fn read_command(link: &LinkHandle, session: u64, text: &str) -> Option<Input> {
    let rejected = match client_message(text) {
        Ok(ClientMessage::Command { id, command }) => {
            let session = link.session_id(session)?;
            return Some(Input::Command { session, id, command });
        }
        Ok(_) => Rejected {
            id: None,
            refusal: Refusal::new(ErrorCode::Malformed, "send a command as the protocol says"),
        },
        Err(rejected) => rejected,
    };
    link.send(ToGateway::ToSession {
        session,
        text: error_text(rejected.id.clone(), rejected.refusal, None),
        command_id: rejected.id,
    });
    None
}

/// An `error` message as it goes to the client.
pub fn error_text(id: Option<String>, refusal: Refusal, retry_after_ms: Option<u64>) -> String {
    let Refusal { code, message } = refusal;
    let message = ServerMessage::Error(ErrorMessage {
        id,
        code,
        message,
        retry_after_ms,
    });
    serde_json::to_string(&message).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> (LinkServer, mpsc::Receiver<Input>) {
        let (inputs, received) = mpsc::channel(16);
        let server = LinkServer::new(inputs, Gauge::default(), CancellationToken::new());
        (server, received)
    }

    #[tokio::test]
    async fn a_gateway_that_takes_nothing_loses_its_link_when_too_many_bytes_wait() {
        let (server, mut inputs) = server();
        let (mut gateway, shard) = tokio::io::duplex(64 * 1024);
        let serving = server.clone();
        tokio::spawn(async move { serving.serve_link(shard).await });
        let hello = r#"{"protocol":1,"key":"00000000000000000000000000000000","name":"Ada","role":"voter"}"#;
        let open = ToShard::Open {
            session: 1,
            team: "team".into(),
            table_version: 1,
            hello: hello.into(),
        };
        crate::link::gateway_end(&mut gateway).send(open).await.unwrap();
        let Some(Input::Open(open)) = inputs.recv().await else {
            panic!("no session was opened");
        };
        let text = "x".repeat(LINK_BYTES_MAX / 128);
        for _ in 0..=130 {
            open.link.send(ToGateway::ToSession {
                session: 1,
                command_id: None,
                text: text.clone(),
            });
        }
        assert!(open.link.0.stop.is_cancelled());
        assert!(matches!(inputs.recv().await, Some(Input::LinkGone { .. })));
    }
}
