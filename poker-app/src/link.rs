//! The link between gateways and shards: one TCP connection for each pair, many sessions on it.
//!
//! Frames are postcard behind a 4-byte big-endian length, at most [`FRAME_MAX_BYTES`].

use std::marker::PhantomData;

use bytes::{BufMut, BytesMut};
use poker_core::protocol::Hello;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{Decoder, Encoder, Framed};

/// The largest frame either side sends or accepts.
pub const FRAME_MAX_BYTES: usize = 1024 * 1024;
/// Read and written at once.
const BUFFER_BYTES: usize = 64 * 1024;
const LENGTH_BYTES: usize = 4;

/// What a gateway says to a shard. `session` is chosen by the gateway, unique in its process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToShard {
    /// First frame of a link. `gateway` names the process, for logs.
    Hello { gateway: String },
    /// Open a session at a team's room. `hello` is a [`Wish`] as JSON.
    /// `table_version` is the table the gateway routed by.
    Open {
        session: u64,
        team: String,
        table_version: u64,
        hello: String,
    },
    /// A client's `command` frame as JSON, unchanged.
    Command { session: u64, text: String },
    /// The client has gone.
    Close { session: u64 },
    /// Asks for a [`ToGateway::Pong`].
    Ping,
}

/// What a session wants of a room. A shard that does not know the wish kicks the session (4000).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Wish {
    /// To come in: the client's hello, with `resume` replaced by what the gateway knows.
    Hello(Box<Hello>),
    /// To be told a [`Sight`] of the team; takes no seat, and nobody in the room notices.
    Look {},
}

/// What whoever has a team's link may know without joining.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Sight {
    Team { name: String },
}

/// What a shard says to a gateway. Every `text` is a server message as JSON, ready for the socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToGateway {
    /// The session is in the room: `texts` hold the welcome, then the snapshot or missing events.
    Attached {
        session: u64,
        team: String,
        epoch: u64,
        seq: u64,
        texts: Vec<String>,
    },
    /// For one session; `command_id` when it answers (acks or refuses) that command.
    ToSession {
        session: u64,
        command_id: Option<String>,
        text: String,
    },
    /// For every session of the team that is attached on this link.
    Publish {
        team: String,
        epoch: u64,
        seq: u64,
        text: String,
    },
    /// The room is not here (any more). `owner` is a link address; without one, route again.
    Moved {
        team: String,
        owner: Option<String>,
        table_version: u64,
    },
    /// The session could not be opened. `retry_ms` 0 means: do not try again.
    Refused {
        session: u64,
        code: String,
        message: String,
        retry_ms: u32,
    },
    /// Close the session's socket with a close code and reason.
    Kick { session: u64, code: u16, reason: String },
    /// Answers [`ToShard::Ping`].
    Pong,
}

/// A link that cannot go on: close it and connect anew.
#[derive(Debug, Error)]
pub enum LinkError {
    #[error("link frame of {0} bytes exceeds {FRAME_MAX_BYTES}: close the link and reconnect")]
    TooLarge(usize),
    #[error("link frame is malformed: check that gateway and shard have compatible versions")]
    Malformed(#[from] postcard::Error),
    #[error("link connection failed: reconnect")]
    Io(#[from] std::io::Error),
}

/// Encodes `Out` and decodes `In`.
pub struct LinkCodec<Out, In> {
    types: PhantomData<fn(Out) -> In>,
}

impl<Out, In> Default for LinkCodec<Out, In> {
    fn default() -> Self {
        Self { types: PhantomData }
    }
}

impl<Out: Serialize, In> Encoder<Out> for LinkCodec<Out, In> {
    type Error = LinkError;

    fn encode(&mut self, message: Out, buffer: &mut BytesMut) -> Result<(), LinkError> {
        let start = buffer.len();
        buffer.put_u32(0);
        postcard::to_io(&message, buffer.writer())?;
        let length = buffer.len() - start - LENGTH_BYTES;
        match u32::try_from(length) {
            Ok(short) if length <= FRAME_MAX_BYTES => {
                buffer[start..start + LENGTH_BYTES].copy_from_slice(&short.to_be_bytes());
                Ok(())
            }
            _ => {
                buffer.truncate(start);
                Err(LinkError::TooLarge(length))
            }
        }
    }
}

impl<Out, In: DeserializeOwned> Decoder for LinkCodec<Out, In> {
    type Item = In;
    type Error = LinkError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<In>, LinkError> {
        let Some(head) = buffer.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*head) as usize;
        if length > FRAME_MAX_BYTES {
            return Err(LinkError::TooLarge(length));
        }
        let end = LENGTH_BYTES + length;
        if buffer.len() < end {
            buffer.reserve(end - buffer.len());
            return Ok(None);
        }
        let frame = buffer.split_to(end);
        Ok(Some(postcard::from_bytes(&frame[LENGTH_BYTES..])?))
    }
}

/// The gateway's end of a link.
pub type GatewayEnd<S> = Framed<S, LinkCodec<ToShard, ToGateway>>;
/// The shard's end of a link.
pub type ShardEnd<S> = Framed<S, LinkCodec<ToGateway, ToShard>>;

/// Frames the gateway's end of a connection to a shard.
pub fn gateway_end<S: AsyncRead + AsyncWrite>(stream: S) -> GatewayEnd<S> {
    let mut framed = Framed::with_capacity(stream, LinkCodec::default(), BUFFER_BYTES);
    framed.set_backpressure_boundary(BUFFER_BYTES);
    framed
}

/// Frames the shard's end of a connection from a gateway.
pub fn shard_end<S: AsyncRead + AsyncWrite>(stream: S) -> ShardEnd<S> {
    let mut framed = Framed::with_capacity(stream, LinkCodec::default(), BUFFER_BYTES);
    framed.set_backpressure_boundary(BUFFER_BYTES);
    framed
}

#[cfg(test)]
mod tests {
    use futures::{SinkExt, StreamExt};
    use proptest::prelude::*;

    use super::*;

    fn frames(message: &ToShard) -> BytesMut {
        let mut buffer = BytesMut::new();
        LinkCodec::<ToShard, ToGateway>::default()
            .encode(message.clone(), &mut buffer)
            .unwrap();
        buffer
    }

    proptest! {
        #[test]
        fn any_split_of_the_stream_gives_the_same_frames(
            text in ".{0,200}", session: u64, cut in 0usize..300,
        ) {
            let message = ToShard::Command { session, text };
            let whole = frames(&message);
            let cut = cut.min(whole.len());
            let mut codec = LinkCodec::<ToGateway, ToShard>::default();
            let mut buffer = BytesMut::from(&whole[..cut]);
            let mut got = Vec::new();
            got.extend(codec.decode(&mut buffer).unwrap());
            buffer.extend_from_slice(&whole[cut..]);
            got.extend(codec.decode(&mut buffer).unwrap());
            prop_assert_eq!(got, vec![message]);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut codec = LinkCodec::<ToGateway, ToShard>::default();
            let _ = codec.decode(&mut BytesMut::from(&noise[..]));
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_on_both_sides() {
        let big = ToShard::Command {
            session: 1,
            text: "x".repeat(FRAME_MAX_BYTES + 1),
        };
        let mut buffer = BytesMut::new();
        let mut codec = LinkCodec::<ToShard, ToShard>::default();
        assert!(matches!(
            codec.encode(big, &mut buffer),
            Err(LinkError::TooLarge(_))
        ));
        assert!(buffer.is_empty());
        let mut head = BytesMut::from(&[0xff; 8][..]);
        assert!(matches!(codec.decode(&mut head), Err(LinkError::TooLarge(_))));
    }

    #[tokio::test]
    async fn both_ends_understand_each_other() {
        let (a, b) = tokio::io::duplex(1024);
        let (mut gateway, mut shard) = (gateway_end(a), shard_end(b));
        gateway.send(ToShard::Ping).await.unwrap();
        assert_eq!(shard.next().await.unwrap().unwrap(), ToShard::Ping);
        shard.send(ToGateway::Pong).await.unwrap();
        assert_eq!(gateway.next().await.unwrap().unwrap(), ToGateway::Pong);
    }
}
