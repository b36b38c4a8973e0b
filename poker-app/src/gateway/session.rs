//! One client's socket, from hello to close.
//!
//! Generic over the socket, so that tests can replace it. One task per socket, with as little memory as possible while it
//! is idle.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes};
use bytes::Bytes;
use futures::{Sink, SinkExt, Stream, StreamExt};
use poker_core::{
    ErrorCode,
    limits::{COMMAND_RETRY_AFTER_MS, HELLO_TIMEOUT_MS},
    protocol::{Hello, close},
};
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    client_frame::{self, ClientFrame},
    hub::{Hub, SessionHandle},
    limits::{PING_AFTER, REFUSALS_MAX, SOCKET_CLOSE_TIMEOUT, SOCKET_WRITE_TIMEOUT},
    rate_limit::TokenBucket,
    send_queue::{Closing, SendQueue},
    server_messages::error,
};
use crate::metrics::GatewayMetrics;

const PONG: Utf8Bytes = Utf8Bytes::from_static(r#"{"type":"pong"}"#);
/// WebSocket close code for a message that is too big (RFC 6455).
const MESSAGE_TOO_BIG: u16 = 1009;

/// A WebSocket of any kind.
pub trait Socket<E>: Stream<Item = Result<Message, E>> + Sink<Message, Error = E> + Unpin {}
impl<E, S: Stream<Item = Result<Message, E>> + Sink<Message, Error = E> + Unpin> Socket<E> for S {}

/// Why a session ends.
enum End {
    /// The client has disconnected, or cannot be written to.
    Disconnected,
    Close(Closing),
}

/// Serves a socket of `team` until it closes. `queue` is also closed by a drain.
pub async fn run<E>(
    mut socket: impl Socket<E>,
    team: &str,
    hub: Arc<Hub>,
    queue: Arc<SendQueue>,
    metrics: GatewayMetrics,
) {
    let within = Duration::from_millis(HELLO_TIMEOUT_MS);
    let end = match Box::pin(await_hello(&mut socket, &queue, within)).await {
        Ok(hello) => {
            metrics.received.inc();
            if hello.resume.is_some() {
                metrics.reconnects.inc();
            }
            let handle = hub.join(team, hello, queue.clone());
            let mut session = Session {
                handle,
                queue,
                metrics,
                bucket: TokenBucket::new(Instant::now().into_std()),
                refusals: 0,
            };
            session.serve(&mut socket).await
        }
        Err(end) => end,
    };
    if let End::Close((code, reason)) = end {
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        let _ = timeout(SOCKET_CLOSE_TIMEOUT, close_socket(&mut socket, frame)).await;
    }
}

fn bad_hello() -> End {
    End::Close((close::BAD_HELLO, ErrorCode::BadHello.name()))
}

/// Waits for the first frame, which must be a hello. The timeout includes the answers to pings before it.
async fn await_hello<E>(
    socket: &mut impl Socket<E>,
    queue: &SendQueue,
    within: Duration,
) -> Result<Hello, End> {
    let hello = timeout(within, read_hello(socket, queue)).await;
    hello.unwrap_or_else(|_| Err(bad_hello()))
}

async fn read_hello<E>(socket: &mut impl Socket<E>, queue: &SendQueue) -> Result<Hello, End> {
    loop {
        let message = tokio::select! {
            message = socket.next() => message,
            () = queue.changed() => match queue.take() {
                (_, Some(closing)) => return Err(End::Close(closing)),
                _ => continue,
            },
        };
        let answer = match message {
            Some(Ok(Message::Text(text))) => match client_frame::read(&text) {
                Ok(ClientFrame::Ping) => PONG,
                _ => match client_frame::read_hello(&text) {
                    Ok(hello) => return Ok(hello),
                    Err(error) => {
                        let _ = timeout(SOCKET_CLOSE_TIMEOUT, socket.send(Message::Text(error))).await;
                        return Err(bad_hello());
                    }
                },
            },
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Binary(_))) => return Err(bad_hello()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Disconnected),
        };
        if socket.send(Message::Text(answer)).await.is_err() {
            return Err(End::Disconnected);
        }
    }
}

/// Sends the close frame and waits for the client's, as a reset could discard it.
async fn close_socket<E>(socket: &mut impl Socket<E>, frame: CloseFrame) {
    if socket.send(Message::Close(Some(frame))).await.is_ok() {
        while let Some(Ok(_)) = socket.next().await {}
    }
}

struct Session {
    handle: SessionHandle,
    queue: Arc<SendQueue>,
    metrics: GatewayMetrics,
    bucket: TokenBucket,
    refusals: u32,
}

impl Session {
    async fn serve<E>(&mut self, socket: &mut impl Socket<E>) -> End {
        let mut received_at = Instant::now();
        let mut pinged = false;
        let mut alarm = pin!(sleep_until(received_at + PING_AFTER));
        loop {
            let end = tokio::select! {
                message = socket.next() => {
                    received_at = Instant::now();
                    pinged = false;
                    self.receive(message)
                }
                () = self.queue.changed() => self.send(socket).await,
                () = &mut alarm => {
                    let due = received_at + PING_AFTER;
                    let now = Instant::now();
                    if due > now {
                        alarm.as_mut().reset(due);
                        continue;
                    }
                    if pinged {
                        return End::Disconnected;
                    }
                    pinged = true;
                    alarm.as_mut().reset(now + PING_AFTER);
                    self.write(socket, Message::Ping(Bytes::new())).await
                }
            };
            if let Err(end) = end {
                return end;
            }
        }
    }

    fn receive<E>(&mut self, message: Option<Result<Message, E>>) -> Result<(), End> {
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Binary(_))) => {
                let message = "send text frames with JSON";
                return self.refuse(error(None, ErrorCode::Malformed, message, None));
            }
            // After a frame over the limit the socket cannot be read, but it can still be closed.
            Some(Err(_)) => return Err(End::Close((MESSAGE_TOO_BIG, ErrorCode::MessageTooLarge.name()))),
            Some(Ok(Message::Close(_))) | None => return Err(End::Disconnected),
        };
        self.metrics.received.inc();
        let frame = client_frame::read(&text);
        if !self.bucket.take(Instant::now().into_std()) {
            let id = match &frame {
                Ok(ClientFrame::Command(id)) => Some(&**id),
                _ => None,
            };
            let message = "too many messages: slow down";
            return self.refuse(error(
                id,
                ErrorCode::RateLimited,
                message,
                Some(COMMAND_RETRY_AFTER_MS),
            ));
        }
        match frame {
            Ok(ClientFrame::Command(id)) => {
                self.handle.command(&id, &text);
                Ok(())
            }
            Ok(ClientFrame::Ping) => {
                self.handle.answer(PONG);
                Ok(())
            }
            Ok(ClientFrame::Hello) => {
                let message = "send only one hello per socket";
                self.refuse(error(None, ErrorCode::BadHello, message, None))
            }
            Err(error) => self.refuse(error),
        }
    }

    fn refuse(&mut self, error: Utf8Bytes) -> Result<(), End> {
        self.refusals += 1;
        if self.refusals > REFUSALS_MAX {
            return Err(End::Close((close::TOO_MANY, "too_many".to_owned())));
        }
        self.handle.answer(error);
        Ok(())
    }

    /// Writes the queued messages in one flush.
    async fn send<E>(&mut self, socket: &mut impl Socket<E>) -> Result<(), End> {
        let (queue, closing) = self.queue.take();
        if !queue.is_empty() {
            self.metrics.sent.inc_by(queue.len() as u64);
            let write = async {
                for text in queue {
                    socket.feed(Message::Text(text)).await?;
                }
                socket.flush().await
            };
            match timeout(SOCKET_WRITE_TIMEOUT, write).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(End::Disconnected),
            }
        }
        match closing {
            Some(closing) => Err(End::Close(closing)),
            None => Ok(()),
        }
    }

    async fn write<E>(&self, socket: &mut impl Socket<E>, message: Message) -> Result<(), End> {
        match timeout(SOCKET_WRITE_TIMEOUT, socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Disconnected),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll},
    };

    use super::*;

    /// Sends pings without end and reads no answer.
    struct PingFlood;

    impl Stream for PingFlood {
        type Item = Result<Message, ()>;

        fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(Some(Ok(Message::Text(r#"{"type":"ping"}"#.into()))))
        }
    }

    impl Sink<Message> for PingFlood {
        type Error = ();

        fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
            Poll::Pending
        }

        fn start_send(self: Pin<&mut Self>, _: Message) -> Result<(), ()> {
            Ok(())
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
            Poll::Pending
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn pings_do_not_extend_the_hello_timeout() {
        let end = await_hello(&mut PingFlood, &SendQueue::default(), Duration::from_millis(1)).await;
        assert!(matches!(end, Err(End::Close((close::BAD_HELLO, _)))));
    }
}
