//! The link between gateways and shards: one TCP connection for each pair, which carries many sessions.

mod codec;
mod messages;

pub use codec::{
    GatewayEnd, LINK_FRAME_BYTES_MAX, LINK_FRAMES_PER_WRITE_MAX, LinkError, ShardEnd, gateway_end, shard_end,
};
pub use messages::{ToGateway, ToShard};
