//! Frames of a link: postcard behind a 4-byte big-endian length.

use std::marker::PhantomData;

use bytes::{BufMut, BytesMut};
use poker_core::limits::{MESSAGE_BYTES_MAX, RING_BYTES_MAX, SNAPSHOT_BYTES_MAX};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{Decoder, Encoder, Framed};

use super::messages::{ToGateway, ToShard};

/// The largest frame that either side sends or accepts; a larger one ends the link.
pub const LINK_FRAME_BYTES_MAX: usize = 1024 * 1024;
/// Frames that one write to the socket carries.
pub const LINK_FRAMES_PER_WRITE_MAX: usize = 256;
/// Bytes of one read or write.
const BUFFER_BYTES: usize = 64 * 1024;
const LENGTH_BYTES: usize = 4;

const _: () = assert!(
    SNAPSHOT_BYTES_MAX + RING_BYTES_MAX < LINK_FRAME_BYTES_MAX,
    "the largest room and the events to catch up with must fit into a frame"
);
const _: () = assert!(MESSAGE_BYTES_MAX < LINK_FRAME_BYTES_MAX);

/// The link is unusable: close it and reconnect.
#[derive(Debug, Error)]
pub enum LinkError {
    #[error("link frame of {0} bytes exceeds {LINK_FRAME_BYTES_MAX}: close the link and reconnect")]
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
            Ok(short) if length <= LINK_FRAME_BYTES_MAX => {
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
        if length > LINK_FRAME_BYTES_MAX {
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
        fn frames_do_not_depend_on_how_the_stream_is_split(
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
        fn random_bytes_never_panic(noise in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut codec = LinkCodec::<ToGateway, ToShard>::default();
            let _ = codec.decode(&mut BytesMut::from(&noise[..]));
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_on_both_sides() {
        let big = ToShard::Command {
            session: 1,
            text: "x".repeat(LINK_FRAME_BYTES_MAX + 1),
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
    async fn gateway_and_shard_exchange_frames() {
        let (a, b) = tokio::io::duplex(1024);
        let (mut gateway, mut shard) = (gateway_end(a), shard_end(b));
        gateway.send(ToShard::Ping).await.unwrap();
        assert_eq!(shard.next().await.unwrap().unwrap(), ToShard::Ping);
        shard.send(ToGateway::Pong).await.unwrap();
        assert_eq!(gateway.next().await.unwrap().unwrap(), ToGateway::Pong);
    }

    #[tokio::test]
    async fn a_hello_survives_the_link_with_and_without_its_optional_fields() {
        let (a, b) = tokio::io::duplex(1024);
        let (mut gateway, mut shard) = (gateway_end(a), shard_end(b));
        let optional =
            r#","create":{"name":"Blue","deck":{"kind":"fibonacci"}},"resume":{"epoch":7,"seq":3}"#;
        for fields in ["", optional] {
            let hello = format!(r#"{{"protocol":1,"key":"k","name":"Ada","role":"voter"{fields}}}"#);
            let open = ToShard::Open {
                session: 1,
                team: "team".into(),
                table_version: 2,
                hello: serde_json::from_str(&hello).unwrap(),
            };
            gateway.send(open.clone()).await.unwrap();
            assert_eq!(shard.next().await.unwrap().unwrap(), open);
        }
    }
}
