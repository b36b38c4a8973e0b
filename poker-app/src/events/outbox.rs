//! Delivers the outboxes of rooms: the events of a room in order, many rooms at once.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::Arc,
};

use futures::{StreamExt, stream::FuturesUnordered};
use poker_routing::RoutingTable;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::mpsc;

use super::{
    Sink,
    limits::{OUTBOX_BATCH_EVENTS, OUTBOX_RETRY_DELAY, OUTBOX_ROOMS_AT_ONCE_MAX, OUTBOX_SWEEP_PERIOD},
};
use crate::{routes::Routes, store::Store};

/// Notifies the outbox task that a room has events. Cheap to clone.
#[derive(Clone)]
pub struct OutboxHandle {
    notices: mpsc::UnboundedSender<(Arc<str>, u64)>,
}

impl OutboxHandle {
    /// The team's outbox in the store holds `events` more.
    pub fn notify(&self, team: &Arc<str>, events: u64) {
        // Fails only when the process shuts down; the events stay in the store.
        let _ = self.notices.send((team.clone(), events));
    }
}

/// Whether a routing table assigns a team to this shard.
type IsMine = Box<dyn Fn(&RoutingTable, &str) -> bool + Send + Sync>;

/// The task. It keeps team names only; events stay in the store until they are delivered.
pub struct Outbox {
    store: Store,
    sink: Sink,
    routes: Routes,
    is_mine: IsMine,
    /// Events known to be undelivered.
    gauge: Gauge,
    notices: mpsc::UnboundedReceiver<(Arc<str>, u64)>,
    teams: HashMap<Arc<str>, Waiting>,
    ready: VecDeque<Arc<str>>,
    sending: FuturesUnordered<Pin<Box<dyn Future<Output = Sent> + Send>>>,
    failing: bool,
}

struct Waiting {
    events: u64,
    /// Events were added while a batch was in flight.
    more: bool,
}

struct Sent {
    team: Arc<str>,
    read: usize,
    delivered: usize,
    error: Option<String>,
}

impl Outbox {
    /// Run it with [`Outbox::run`].
    pub fn new(
        store: Store,
        sink: Sink,
        routes: Routes,
        is_mine: impl Fn(&RoutingTable, &str) -> bool + Send + Sync + 'static,
        gauge: Gauge,
    ) -> (Outbox, OutboxHandle) {
        let (notices, queue) = mpsc::unbounded_channel();
        let outbox = Outbox {
            store,
            sink,
            routes,
            is_mine: Box::new(is_mine),
            gauge,
            notices: queue,
            teams: HashMap::new(),
            ready: VecDeque::new(),
            sending: FuturesUnordered::new(),
            failing: false,
        };
        (outbox, OutboxHandle { notices })
    }

    /// Ends when every handle is dropped.
    pub async fn run(mut self) {
        let mut sweep = tokio::time::interval(OUTBOX_SWEEP_PERIOD);
        loop {
            tokio::select! {
                notice = self.notices.recv() => match notice {
                    Some((team, events)) => self.add(team, events),
                    None => return,
                },
                Some(sent) = self.sending.next(), if !self.sending.is_empty() => self.on_sent(sent),
                _ = sweep.tick() => self.sweep().await,
                // Teams that a new table assigns to this shard.
                Ok(()) = self.routes.changed() => self.sweep().await,
            }
            while self.sending.len() < OUTBOX_ROOMS_AT_ONCE_MAX
                && let Some(team) = self.ready.pop_front()
            {
                let task = send(self.store.clone(), self.sink.clone(), team);
                self.sending.push(Box::pin(task));
            }
        }
    }

    fn add(&mut self, team: Arc<str>, events: u64) {
        self.gauge.inc_by(i64::try_from(events).unwrap_or(i64::MAX));
        match self.teams.get_mut(&team) {
            Some(waiting) => {
                waiting.events += events;
                waiting.more = true;
            }
            None => {
                self.teams.insert(team.clone(), Waiting { events, more: false });
                self.ready.push_back(team);
            }
        }
    }

    fn on_sent(&mut self, sent: Sent) {
        self.log_change(&sent);
        let Some(waiting) = self.teams.get_mut(&sent.team) else {
            return;
        };
        let delivered = (sent.delivered as u64).min(waiting.events);
        waiting.events -= delivered;
        self.gauge.dec_by(delivered as i64);
        let again = sent.error.is_some() || sent.read == OUTBOX_BATCH_EVENTS || waiting.more;
        if again {
            waiting.more = false;
            self.ready.push_back(sent.team);
        } else {
            // Events counted twice (by a claim and a write) are corrected here.
            self.gauge.dec_by(waiting.events as i64);
            self.teams.remove(&sent.team);
        }
    }

    /// Logs once when delivery starts to fail and once when it recovers.
    fn log_change(&mut self, sent: &Sent) {
        match &sent.error {
            Some(error) if !self.failing => {
                self.failing = true;
                tracing::warn!(error, "cannot deliver history events, they stay in the store");
            }
            None if self.failing && sent.delivered > 0 => {
                self.failing = false;
                tracing::info!("history events are delivered again");
            }
            _ => {}
        }
    }

    /// Finds events of rooms that have not been opened since their owner crashed.
    async fn sweep(&mut self) {
        let teams = match self.store.outboxes().await {
            Ok(teams) => teams,
            Err(error) => return tracing::debug!(%error, "cannot list outboxes"),
        };
        let table = self.routes.borrow().clone();
        for team in teams {
            if !self.teams.contains_key(&*team) && (self.is_mine)(&table, &team) {
                self.add(team, 0);
            }
        }
    }
}

/// Sends one batch of a room's outbox and removes the delivered events.
async fn send(store: Store, sink: Sink, team: Arc<str>) -> Sent {
    let mut sent = Sent {
        team,
        read: 0,
        delivered: 0,
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
    sent.read = events.len();
    if events.is_empty() {
        return Ok(());
    }
    let (delivered, error) = sink.deliver(&sent.team, &events).await;
    store
        .trim(&sent.team, &events[..delivered])
        .await
        .map_err(|error| error.to_string())?;
    sent.delivered = delivered;
    error.map_or(Ok(()), |error| Err(error.to_string()))
}
