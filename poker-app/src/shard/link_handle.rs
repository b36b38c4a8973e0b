//! The sending half of a link, as the engine sees it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use poker_core::{CatchUp, SessionId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::limits::{LINK_BYTES_MAX, LINK_FRAMES_MAX};
use crate::link::ToGateway;

/// The engine's session ids hold the link's number above these bits, and the gateway's session number below them.
const SESSION_BITS: u32 = 44;
const SESSION_MAX: u64 = (1 << SESSION_BITS) - 1;
const LINK_ID_MAX: u64 = (1 << (u64::BITS - SESSION_BITS)) - 1;

/// Sends to one gateway. Cheap to clone.
#[derive(Clone)]
pub struct LinkHandle(Arc<Link>);

struct Link {
    id: u64,
    frames: mpsc::Sender<ToGateway>,
    /// Bytes of the texts in `frames`.
    bytes: AtomicUsize,
    stop: CancellationToken,
}

impl LinkHandle {
    /// With the queue of the frames to write; `stop` is cancelled when it overflows.
    pub fn new(number: u64, stop: CancellationToken) -> (LinkHandle, mpsc::Receiver<ToGateway>) {
        let (frames, queue) = mpsc::channel(LINK_FRAMES_MAX);
        let link = Link {
            id: number & LINK_ID_MAX,
            frames,
            bytes: AtomicUsize::default(),
            stop,
        };
        (LinkHandle(Arc::new(link)), queue)
    }

    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Queues a frame. A gateway that does not read fast enough loses the link and opens its sessions again.
    pub fn send(&self, frame: ToGateway) {
        let bytes = text_bytes(&frame);
        let waiting = self.0.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if waiting > LINK_BYTES_MAX || self.0.frames.try_send(frame).is_err() {
            self.0.stop.cancel();
        }
    }

    /// Call it for each frame taken from the queue.
    pub fn dequeued(&self, frame: &ToGateway) {
        self.0.bytes.fetch_sub(text_bytes(frame), Ordering::Relaxed);
    }

    /// The engine's id of a gateway's session.
    pub fn session_id(&self, session: u64) -> Option<SessionId> {
        (session <= SESSION_MAX).then_some(SessionId(self.0.id << SESSION_BITS | session))
    }
}

/// The gateway's own number of a session.
pub fn gateway_session(session: SessionId) -> u64 {
    session.0 & SESSION_MAX
}

/// The size of a frame without its small parts.
fn text_bytes(frame: &ToGateway) -> usize {
    match frame {
        ToGateway::Attached {
            welcome, catch_up, ..
        } => {
            welcome.len()
                + match catch_up {
                    CatchUp::Snapshot(text) => text.len(),
                    CatchUp::Events(texts) => texts.iter().map(String::len).sum(),
                }
        }
        ToGateway::Ack { text, .. }
        | ToGateway::Refused { text, .. }
        | ToGateway::Private { text, .. }
        | ToGateway::Publish { text, .. } => text.len(),
        ToGateway::Moved { .. }
        | ToGateway::OpenRefused { .. }
        | ToGateway::Kick { .. }
        | ToGateway::Preview { .. }
        | ToGateway::Pong => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_ends_when_too_many_bytes_wait() {
        let stop = CancellationToken::new();
        let (link, mut queue) = LinkHandle::new(7, stop.clone());
        let frame = ToGateway::Private {
            session: 1,
            text: "x".repeat(LINK_BYTES_MAX / 2),
        };
        link.send(frame.clone());
        link.send(frame.clone());
        assert!(!stop.is_cancelled());
        link.dequeued(&queue.try_recv().unwrap());
        link.send(frame.clone());
        assert!(!stop.is_cancelled(), "written frames no longer count");
        link.send(frame);
        assert!(stop.is_cancelled());
    }
}
