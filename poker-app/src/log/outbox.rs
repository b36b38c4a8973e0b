//! Empties the outboxes of rooms into the log, each room's in order, many rooms at once.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::Arc,
};

use futures::{StreamExt, stream::FuturesUnordered};
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::mpsc;

use super::Sink;
use crate::{
    routes::Routes,
    shard::{
        limits::{OUTBOX_BATCH_EVENTS, OUTBOX_RETRY_DELAY, OUTBOX_ROOMS_AT_ONCE_MAX, OUTBOX_SWEEP_PERIOD},
        ownership::{Me, is_first},
    },
    store::Store,
};

/// Tells the outbox task that a room has events. Cheap to clone.
#[derive(Clone)]
pub struct OutboxHandle {
    notices: mpsc::UnboundedSender<(Arc<str>, u64)>,
}

impl OutboxHandle {
    /// `events` more stand in the team's outbox in the store.
    pub fn notify(&self, team: &Arc<str>, events: u64) {
        // Fails only when the process ends; the events stay in the store.
        let _ = self.notices.send((team.clone(), events));
    }
}

/// The task. It holds names of teams only; events stay in the store until they are delivered.
pub struct Outbox {
    store: Store,
    sink: Sink,
    me: Me,
    routes: Routes,
    /// Events known to wait.
    gauge: Gauge,
    notices: mpsc::UnboundedReceiver<(Arc<str>, u64)>,
    teams: HashMap<Arc<str>, Waiting>,
    ready: VecDeque<Arc<str>>,
    sending: FuturesUnordered<Pin<Box<dyn Future<Output = Sent> + Send>>>,
    failing: bool,
}

struct Waiting {
    events: u64,
    /// Events were added while a batch was under way.
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
    pub fn new(store: Store, sink: Sink, me: Me, routes: Routes, gauge: Gauge) -> (Outbox, OutboxHandle) {
        let (notices, queue) = mpsc::unbounded_channel();
        let outbox = Outbox {
            store,
            sink,
            me,
            routes,
            gauge,
            notices: queue,
            teams: HashMap::new(),
            ready: VecDeque::new(),
            sending: FuturesUnordered::new(),
            failing: false,
        };
        (outbox, OutboxHandle { notices })
    }

    /// Ends when every handle is gone.
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
                // Teams that are this shard's from now on.
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
        self.tell(&sent);
        let Some(waiting) = self.teams.get_mut(&sent.team) else {
            return;
        };
        let gone = (sent.delivered as u64).min(waiting.events);
        waiting.events -= gone;
        self.gauge.dec_by(gone as i64);
        let again = sent.error.is_some() || sent.read == OUTBOX_BATCH_EVENTS || waiting.more;
        if again {
            waiting.more = false;
            self.ready.push_back(sent.team);
        } else {
            // What was counted more than once (a claim and a write) is settled here.
            self.gauge.dec_by(waiting.events as i64);
            self.teams.remove(&sent.team);
        }
    }

    /// One log line when trouble begins and one when it ends.
    fn tell(&mut self, sent: &Sent) {
        match &sent.error {
            Some(error) if !self.failing => {
                self.failing = true;
                tracing::warn!(error, "history events wait in the store");
            }
            None if self.failing && sent.delivered > 0 => {
                self.failing = false;
                tracing::info!("history events are delivered again");
            }
            _ => {}
        }
    }

    /// Events of rooms that nobody has opened since their owner died.
    async fn sweep(&mut self) {
        let teams = match self.store.outboxes().await {
            Ok(teams) => teams,
            Err(error) => return tracing::debug!(%error, "cannot look for forgotten outboxes"),
        };
        let table = self.routes.borrow().clone();
        for team in teams {
            if !self.teams.contains_key(&*team) && is_first(&table, &self.me, &team) {
                self.add(team, 0);
            }
        }
    }
}

/// Sends one batch of a room's outbox and removes what was delivered.
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
