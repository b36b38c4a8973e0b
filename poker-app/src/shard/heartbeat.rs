//! Whether the engine still takes turns. A bug that makes it loop in one room stops all rooms of the shard.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// Cheap to clone.
#[derive(Clone)]
pub struct Heartbeat(Arc<Beats>);

struct Beats {
    start: Instant,
    /// Milliseconds from `start` to the newest beat.
    newest_ms: AtomicU64,
}

impl Heartbeat {
    /// Its first beat is at `start`.
    pub fn new(start: Instant) -> Heartbeat {
        Heartbeat(Arc::new(Beats {
            start,
            newest_ms: AtomicU64::new(0),
        }))
    }

    pub fn beat(&self) {
        let now_ms = u64::try_from(self.0.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.newest_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Time since the newest beat.
    pub fn age(&self) -> Duration {
        let newest = Duration::from_millis(self.0.newest_ms.load(Ordering::Relaxed));
        self.0.start.elapsed().saturating_sub(newest)
    }
}
