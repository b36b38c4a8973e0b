//! One client's socket, from hello to close.
//!
//! Generic over the socket, so that tests drive it with channels. One task a socket, and nothing
//! kept for it that it does not need while idle.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes};
use bytes::Bytes;
use futures::{Sink, SinkExt, Stream, StreamExt};
use poker_core::{
    ErrorCode,
    limits::HELLO_TIMEOUT_MS,
    protocol::{Hello, close},
};
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    client_frame::{self, ClientFrame},
    hub::{Hub, Membership},
    limits::{CLOSE_TIMEOUT, PING_AFTER, REFUSALS_MAX, REFUSED_RETRY_MS, WRITE_TIMEOUT},
    outbox::{Closing, Outbox},
    rate::Allowance,
    team::error_text,
};
use crate::{link::Wish, metrics::GatewayMetrics};

const PONG: Utf8Bytes = Utf8Bytes::from_static(r#"{"type":"pong"}"#);
/// WebSocket close code for a message that is too big (RFC 6455).
const MESSAGE_TOO_BIG: u16 = 1009;

/// A WebSocket of any kind.
pub trait Socket<E>: Stream<Item = Result<Message, E>> + Sink<Message, Error = E> + Unpin {}
impl<E, S: Stream<Item = Result<Message, E>> + Sink<Message, Error = E> + Unpin> Socket<E> for S {}

/// Why a session ends.
enum End {
    /// The client has gone, or cannot be written to.
    Gone,
    Close(Closing),
}

/// Serves a socket of `team` until it closes. `outbox` is also closed by a drain.
pub async fn run<E>(
    mut socket: impl Socket<E>,
    team: &str,
    hub: Arc<Hub>,
    outbox: Arc<Outbox>,
    metrics: GatewayMetrics,
) {
    let within = Duration::from_millis(HELLO_TIMEOUT_MS);
    let end = match Box::pin(say_hello(&mut socket, &outbox, within)).await {
        Ok(hello) => {
            metrics.received.inc();
            if hello.resume.is_some() {
                metrics.reconnects.inc();
            }
            let membership = hub.join(team, Wish::Hello(Box::new(hello)), outbox.clone());
            let mut session = Session {
                membership,
                outbox,
                metrics,
                allowance: Allowance::new(Instant::now().into_std()),
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
        let _ = timeout(CLOSE_TIMEOUT, say_goodbye(&mut socket, frame)).await;
    }
}

fn bad_hello() -> End {
    End::Close((close::BAD_HELLO, ErrorCode::BadHello.name()))
}

/// Waits for the first frame, which must be a hello. Bounds the answers to pings before it as well.
async fn say_hello<E>(socket: &mut impl Socket<E>, outbox: &Outbox, within: Duration) -> Result<Hello, End> {
    let hello = timeout(within, read_hello(socket, outbox)).await;
    hello.unwrap_or_else(|_| Err(bad_hello()))
}

async fn read_hello<E>(socket: &mut impl Socket<E>, outbox: &Outbox) -> Result<Hello, End> {
    loop {
        let message = tokio::select! {
            message = socket.next() => message,
            () = outbox.changed() => match outbox.take() {
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
                        let _ = timeout(CLOSE_TIMEOUT, socket.send(Message::Text(error))).await;
                        return Err(bad_hello());
                    }
                },
            },
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Binary(_))) => return Err(bad_hello()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
        };
        if socket.send(Message::Text(answer)).await.is_err() {
            return Err(End::Gone);
        }
    }
}

/// Sends the close frame and waits for the client's, so that it is not lost to a reset.
async fn say_goodbye<E>(socket: &mut impl Socket<E>, frame: CloseFrame) {
    if socket.send(Message::Close(Some(frame))).await.is_ok() {
        while let Some(Ok(_)) = socket.next().await {}
    }
}

struct Session {
    membership: Membership,
    outbox: Arc<Outbox>,
    metrics: GatewayMetrics,
    allowance: Allowance,
    refusals: u32,
}

impl Session {
    async fn serve<E>(&mut self, socket: &mut impl Socket<E>) -> End {
        let mut heard = Instant::now();
        let mut pinged = false;
        let mut alarm = pin!(sleep_until(heard + PING_AFTER));
        loop {
            let end = tokio::select! {
                message = socket.next() => {
                    heard = Instant::now();
                    pinged = false;
                    self.receive(message)
                }
                () = self.outbox.changed() => self.send(socket).await,
                () = &mut alarm => {
                    let due = heard + PING_AFTER;
                    let now = Instant::now();
                    if due > now {
                        alarm.as_mut().reset(due);
                        continue;
                    }
                    if pinged {
                        return End::Gone;
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
                return self.refuse(error_text(None, ErrorCode::Malformed, message, None));
            }
            // The socket reads no further after a frame over the limit, but can still be closed.
            Some(Err(_)) => return Err(End::Close((MESSAGE_TOO_BIG, ErrorCode::MessageTooLarge.name()))),
            Some(Ok(Message::Close(_))) | None => return Err(End::Gone),
        };
        self.metrics.received.inc();
        let frame = client_frame::read(&text);
        if !self.allowance.take(Instant::now().into_std()) {
            let id = match &frame {
                Ok(ClientFrame::Command(id)) => Some(&**id),
                _ => None,
            };
            let message = "too many messages: slow down";
            return self.refuse(error_text(
                id,
                ErrorCode::RateLimited,
                message,
                Some(REFUSED_RETRY_MS),
            ));
        }
        match frame {
            Ok(ClientFrame::Command(id)) => {
                self.membership.command(&id, &text);
                Ok(())
            }
            Ok(ClientFrame::Ping) => {
                self.membership.answer(PONG);
                Ok(())
            }
            Ok(ClientFrame::Hello) => {
                let message = "say hello once for each socket";
                self.refuse(error_text(None, ErrorCode::BadHello, message, None))
            }
            Err(error) => self.refuse(error),
        }
    }

    fn refuse(&mut self, error: Utf8Bytes) -> Result<(), End> {
        self.refusals += 1;
        if self.refusals > REFUSALS_MAX {
            return Err(End::Close((close::TOO_MANY, "too_many".to_owned())));
        }
        self.membership.answer(error);
        Ok(())
    }

    /// Writes what is queued; batches of it leave in one write.
    async fn send<E>(&mut self, socket: &mut impl Socket<E>) -> Result<(), End> {
        let (queue, closing) = self.outbox.take();
        if !queue.is_empty() {
            self.metrics.sent.inc_by(queue.len() as u64);
            let write = async {
                for text in queue {
                    socket.feed(Message::Text(text)).await?;
                }
                socket.flush().await
            };
            match timeout(WRITE_TIMEOUT, write).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(End::Gone),
            }
        }
        match closing {
            Some(closing) => Err(End::Close(closing)),
            None => Ok(()),
        }
    }

    async fn write<E>(&self, socket: &mut impl Socket<E>, message: Message) -> Result<(), End> {
        match timeout(WRITE_TIMEOUT, socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
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

    /// Pings without end and takes no answer.
    struct Deaf;

    impl Stream for Deaf {
        type Item = Result<Message, ()>;

        fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(Some(Ok(Message::Text(r#"{"type":"ping"}"#.into()))))
        }
    }

    impl Sink<Message> for Deaf {
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
    async fn whoever_pings_and_reads_no_answer_must_say_hello_in_time_as_well() {
        let end = say_hello(&mut Deaf, &Outbox::default(), Duration::from_millis(1)).await;
        assert!(matches!(end, Err(End::Close((close::BAD_HELLO, _)))));
    }
}
