//! The state that all tasks of a run share.

use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    args::Gateway,
    record::{Record, RecordedVote},
    stats::Stats,
};

pub struct Shared {
    pub gateways: Vec<Gateway>,
    pub stats: Stats,
    pub handshakes: Semaphore,
    /// When the voting starts, once known.
    pub start: watch::Sender<Option<Instant>>,
    /// No more votes; open rounds are revealed.
    pub ending: CancellationToken,
    /// Sockets close.
    pub closing: CancellationToken,
    pub file: Option<Record>,
}

impl Shared {
    pub fn record(&self, vote: &RecordedVote<'_>) {
        if let Some(file) = &self.file
            && file.write(vote).is_err()
        {
            self.stats.error("record");
        }
    }
}
