//! Counters and latencies.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram;

use super::{limits::LATENCY_MICROS_MAX, rounds::Check};

/// Shared by all sockets of the process.
pub struct Stats(Mutex<Totals>);

pub struct Totals {
    /// Microseconds.
    pub vote_to_ack: Histogram<u64>,
    pub vote_to_seen: Histogram<u64>,
    pub connect: Histogram<u64>,
    pub reconnect: Histogram<u64>,
    pub counts: Counts,
    pub errors: BTreeMap<String, u64>,
    pub close_codes: BTreeMap<String, u64>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub teams_ready: u64,
    pub sockets_joined: u64,
    pub votes_sent: u64,
    pub votes_acked: u64,
    pub votes_lost: u64,
    pub votes_doubled: u64,
    pub votes_unseen: u64,
    pub rounds_revealed: u64,
    pub rounds_unrevealed: u64,
    pub sockets_closed_by_server: u64,
    pub reconnects: u64,
    pub resumed_exactly: u64,
    pub snapshots: u64,
    pub epochs_passed: u64,
    pub seq_gaps: u64,
    pub notices: u64,
}

impl Stats {
    pub fn new() -> anyhow::Result<Self> {
        let histogram = || Histogram::new_with_bounds(1, LATENCY_MICROS_MAX, 3);
        Ok(Self(Mutex::new(Totals {
            vote_to_ack: histogram()?,
            vote_to_seen: histogram()?,
            connect: histogram()?,
            reconnect: histogram()?,
            counts: Counts::default(),
            errors: BTreeMap::new(),
            close_codes: BTreeMap::new(),
        })))
    }

    pub fn totals(&self) -> MutexGuard<'_, Totals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn counts(&self) -> Counts {
        self.totals().counts
    }

    pub fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.totals().counts);
    }

    pub fn error(&self, code: &str) {
        *self.totals().errors.entry(String::from(code)).or_default() += 1;
    }

    pub fn closed_by_server(&self, code: &str) {
        let mut totals = self.totals();
        totals.counts.sockets_closed_by_server += 1;
        *totals.close_codes.entry(String::from(code)).or_default() += 1;
    }

    pub fn acked(&self, latency: Duration) {
        let mut totals = self.totals();
        totals.counts.votes_acked += 1;
        record(&mut totals.vote_to_ack, latency);
    }

    pub fn seen_by_all(&self, latencies: impl IntoIterator<Item = Duration>) {
        let mut totals = self.totals();
        for latency in latencies {
            record(&mut totals.vote_to_seen, latency);
        }
    }

    pub fn revealed(&self, check: Check) {
        self.count(|counts| {
            counts.rounds_revealed += 1;
            counts.votes_lost += check.lost;
            counts.votes_doubled += check.doubled;
        });
    }
}

pub fn record(histogram: &mut Histogram<u64>, latency: Duration) {
    let micros = u64::try_from(latency.as_micros()).unwrap_or(LATENCY_MICROS_MAX);
    histogram.saturating_record(micros.clamp(1, LATENCY_MICROS_MAX));
}
