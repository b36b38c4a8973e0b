//! Delivers the outboxes of rooms: the events of a room in order, many rooms at once.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::Arc,
};

use futures::{StreamExt, stream::FuturesUnordered};
use poker_routing::RoutingTable;
use serde::Deserialize;
use tokio::{sync::mpsc, time::Instant};

use super::{
    Sink,
    limits::{
        OUTBOX_AGE_PERIOD, OUTBOX_BATCH_EVENTS, OUTBOX_LOG_PERIOD, OUTBOX_RETRY_DELAY,
        OUTBOX_ROOMS_AT_ONCE_MAX, OUTBOX_SWEEP_PERIOD,
    },
};
use crate::{clock::now_ms, metrics::OutboxMetrics, routes::Routes, store::Store};

/// Notifies the outbox task that a room has events. Cheap to clone.
#[derive(Clone)]
pub struct OutboxHandle {
    notices: mpsc::UnboundedSender<(Arc<str>, Notice)>,
}

enum Notice {
    Added(u64),
    Found(u64),
}

impl OutboxHandle {
    /// The team's outbox in the store has got `events` more.
    pub fn added(&self, team: &Arc<str>, events: u64) {
        self.notify(team, Notice::Added(events));
    }

    /// The team's outbox in the store has this many events.
    pub fn found(&self, team: &Arc<str>, events: u64) {
        self.notify(team, Notice::Found(events));
    }

    fn notify(&self, team: &Arc<str>, notice: Notice) {
        // Fails only when the process shuts down; the events stay in the store.
        let _ = self.notices.send((team.clone(), notice));
    }
}

/// Whether a routing table assigns a team to this shard.
type IsMine = Box<dyn Fn(&RoutingTable, &str) -> bool + Send + Sync>;

/// The task. It keeps team names and counts only; events stay in the store until they are delivered.
pub struct Outbox {
    store: Store,
    sink: Sink,
    routes: Routes,
    is_mine: IsMine,
    metrics: OutboxMetrics,
    notices: mpsc::UnboundedReceiver<(Arc<str>, Notice)>,
    teams: HashMap<Arc<str>, Waiting>,
    ready: VecDeque<Arc<str>>,
    sending: FuturesUnordered<Pin<Box<dyn Future<Output = Sent> + Send>>>,
    failing: Option<Failing>,
}

/// A team with undelivered events. It is in `ready` or its batch is in flight.
struct Waiting {
    events: u64,
    /// Events added while a batch was in flight.
    added: u64,
    /// When the oldest was made, as far as batches have shown.
    oldest_ms: u64,
}

/// Delivery fails.
struct Failing {
    log_after: Instant,
}

struct Sent {
    team: Arc<str>,
    /// When the oldest undelivered event of the batch was made.
    oldest_ms: Option<u64>,
    delivered: usize,
    /// Events in the outbox after the batch, if anything changed.
    left: Option<u64>,
    error: Option<String>,
}

impl Outbox {
    /// Run it with [`Outbox::run`].
    pub fn new(
        store: Store,
        sink: Sink,
        routes: Routes,
        is_mine: impl Fn(&RoutingTable, &str) -> bool + Send + Sync + 'static,
        metrics: OutboxMetrics,
    ) -> (Outbox, OutboxHandle) {
        let (notices, queue) = mpsc::unbounded_channel();
        let outbox = Outbox {
            store,
            sink,
            routes,
            is_mine: Box::new(is_mine),
            metrics,
            notices: queue,
            teams: HashMap::new(),
            ready: VecDeque::new(),
            sending: FuturesUnordered::new(),
            failing: None,
        };
        (outbox, OutboxHandle { notices })
    }

    /// Ends when every handle is dropped.
    pub async fn run(mut self) {
        let mut sweep = tokio::time::interval(OUTBOX_SWEEP_PERIOD);
        let mut age = tokio::time::interval(OUTBOX_AGE_PERIOD);
        loop {
            tokio::select! {
                notice = self.notices.recv() => match notice {
                    Some((team, Notice::Added(events))) => self.add(team, events),
                    Some((team, Notice::Found(events))) => self.find(team, events),
                    None => return,
                },
                Some(sent) = self.sending.next(), if !self.sending.is_empty() => self.on_sent(sent),
                _ = age.tick() => self.measure_age(),
                _ = sweep.tick() => self.sweep().await,
                // Teams that a new table assigns to this shard.
                Ok(()) = self.routes.changed() => self.sweep().await,
            }
            while self.sending.len() < OUTBOX_ROOMS_AT_ONCE_MAX
                && let Some(team) = self.ready.pop_front()
            {
                if let Some(waiting) = self.teams.get_mut(&team) {
                    waiting.added = 0;
                }
                let task = send(self.store.clone(), self.sink.clone(), team);
                self.sending.push(Box::pin(task));
            }
        }
    }

    fn add(&mut self, team: Arc<str>, events: u64) {
        let waiting = self.waiting(team);
        waiting.events += events;
        waiting.added += events;
        self.metrics.events.inc_by(signed(events));
    }

    fn find(&mut self, team: Arc<str>, events: u64) {
        let waiting = self.waiting(team);
        waiting.added = waiting.added.max(events);
        let former = std::mem::replace(&mut waiting.events, events);
        self.metrics.events.inc_by(signed(events) - signed(former));
    }

    /// The team's entry; a new one is ready to be sent.
    fn waiting(&mut self, team: Arc<str>) -> &mut Waiting {
        self.teams.entry(team).or_insert_with_key(|team| {
            self.ready.push_back(team.clone());
            Waiting {
                events: 0,
                added: 0,
                oldest_ms: now_ms(),
            }
        })
    }

    fn on_sent(&mut self, sent: Sent) {
        let Some(waiting) = self.teams.get_mut(&sent.team) else {
            return;
        };
        let former = waiting.events;
        let added = std::mem::take(&mut waiting.added);
        if let Some(left) = sent.left {
            // Some of the added ones may be counted twice, until the next batch.
            waiting.events = left + added;
        }
        waiting.oldest_ms = sent.oldest_ms.unwrap_or(waiting.oldest_ms);
        let waits = sent.error.is_some() || waiting.events > 0;
        let events = if waits { waiting.events } else { 0 };
        self.metrics.events.inc_by(signed(events) - signed(former));
        self.log_change(&sent);
        if waits {
            self.ready.push_back(sent.team);
        } else {
            self.teams.remove(&sent.team);
        }
    }

    /// Logs when delivery starts to fail, now and then while it fails, and once when it recovers.
    fn log_change(&mut self, sent: &Sent) {
        let now = Instant::now();
        match &sent.error {
            Some(error)
                if self
                    .failing
                    .as_ref()
                    .is_none_or(|failing| now >= failing.log_after) =>
            {
                self.failing = Some(Failing {
                    log_after: now + OUTBOX_LOG_PERIOD,
                });
                tracing::warn!(
                    error,
                    events = self.metrics.events.get(),
                    oldest_age_seconds = self.oldest_age_seconds().round(),
                    "cannot deliver history events, they stay in the store"
                );
            }
            None if self.failing.is_some() && sent.delivered > 0 => {
                self.failing = None;
                tracing::info!("history events are delivered again");
            }
            _ => {}
        }
    }

    fn measure_age(&self) {
        self.metrics.oldest_age_seconds.set(self.oldest_age_seconds());
    }

    fn oldest_age_seconds(&self) -> f64 {
        let oldest = self.teams.values().map(|waiting| waiting.oldest_ms).min();
        oldest.map_or(0.0, |oldest| now_ms().saturating_sub(oldest) as f64 / 1_000.0)
    }

    /// Finds events of rooms that have not been opened since their owner crashed.
    async fn sweep(&mut self) {
        let outboxes = match self.store.outboxes().await {
            Ok(outboxes) => outboxes,
            Err(error) => return tracing::debug!(%error, "cannot list outboxes"),
        };
        let table = self.routes.borrow().clone();
        for (team, events) in outboxes {
            if !self.teams.contains_key(&*team) && (self.is_mine)(&table, &team) {
                self.find(team, events);
            }
        }
    }
}

fn signed(events: u64) -> i64 {
    i64::try_from(events).unwrap_or(i64::MAX)
}

/// Sends one batch of a room's outbox and removes the delivered events.
async fn send(store: Store, sink: Sink, team: Arc<str>) -> Sent {
    let mut sent = Sent {
        team,
        oldest_ms: None,
        delivered: 0,
        left: None,
        error: None,
    };
    let result = send_batch(&store, &sink, &mut sent).await;
    sent.error = result.err();
    if sent.error.is_some() {
        tokio::time::sleep(OUTBOX_RETRY_DELAY).await;
    }
    sent
}

async fn send_batch(store: &Store, sink: &Sink, sent: &mut Sent) -> Result<(), String> {
    let events = store
        .outbox(&sent.team, OUTBOX_BATCH_EVENTS)
        .await
        .map_err(|error| error.to_string())?;
    if events.is_empty() {
        sent.left = Some(0);
        return Ok(());
    }
    let (delivered, error) = sink.deliver(&sent.team, &events).await;
    sent.delivered = delivered;
    sent.oldest_ms = events.get(delivered).and_then(|event| made_at_ms(event));
    if delivered > 0 {
        let left = store.trim(&sent.team, &events[..delivered]).await;
        sent.left = Some(left.map_err(|error| error.to_string())?);
    }
    error.map_or(Ok(()), |error| Err(error.to_string()))
}

/// When an event was made.
fn made_at_ms(event: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Made {
        at_ms: u64,
    }
    serde_json::from_slice(event).ok().map(|made: Made| made.at_ms)
}
