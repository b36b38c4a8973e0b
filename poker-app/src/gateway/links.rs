//! Links to shards: one connection for each address, reconnected as long as it is needed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use rand::Rng;
use tokio::{
    net::TcpStream,
    sync::mpsc,
    time::{Instant, timeout},
};

use super::limits::{
    LINK_IDLE_MAX, LINK_PING_PERIOD, LINK_RETRY_DELAY_MAX, LINK_RETRY_DELAY_MIN, SHARD_SILENCE_MAX,
};
use crate::link::{GatewayEnd, LINK_FRAMES_PER_WRITE_MAX, LinkError, ToGateway, ToShard, gateway_end};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    Up,
    /// Not connected, for less than [`SHARD_SILENCE_MAX`].
    Trying,
    /// Without an answer for [`SHARD_SILENCE_MAX`] or longer.
    Down,
}

/// An event of the link to one address.
#[derive(Debug)]
pub enum LinkEvent {
    Frame(ToGateway),
    /// The link is up, or counts as down from now on.
    StateChanged,
    /// The connection ended: every session that was open on it is closed.
    Ended,
}

/// The consumer of the links' events.
pub trait LinkListener: Send + Sync {
    fn on_link_event(&self, address: &str, event: LinkEvent);

    /// Whether the link to this address is worth a connection.
    fn needs_link(&self, address: &str) -> bool;
}

/// All links of a gateway, by address.
pub struct Links {
    /// Names this process to shards.
    name: String,
    /// The links end when it is dropped.
    listener: Weak<dyn LinkListener>,
    links: Mutex<HashMap<Arc<str>, Arc<Link>>>,
}

struct Link {
    address: Arc<str>,
    connection: Mutex<Connection>,
}

struct Connection {
    state: LinkState,
    /// To the writer of the connection while the link is up.
    ///
    /// Its length is bounded by what sessions may have unanswered; a shard that does not answer for
    /// [`SHARD_SILENCE_MAX`] loses the connection with everything queued.
    frames: Option<mpsc::UnboundedSender<ToShard>>,
}

impl Links {
    pub fn new(name: String, listener: Weak<dyn LinkListener>) -> Self {
        Self {
            name,
            listener,
            links: Mutex::default(),
        }
    }

    pub fn state(&self, address: &str) -> LinkState {
        match self.lock().get(address) {
            Some(link) => link.lock().state,
            None => LinkState::Trying,
        }
    }

    /// The addresses of the links that are up.
    pub fn up(&self) -> Vec<Arc<str>> {
        let links = self.lock();
        let up = links
            .iter()
            .filter(|(_, link)| link.lock().state == LinkState::Up);
        up.map(|(address, _)| address.clone()).collect()
    }

    /// Connects to `address`, and reconnects as long as the listener needs the link.
    pub fn ensure(self: &Arc<Self>, address: &Arc<str>) {
        let mut links = self.lock();
        if links.contains_key(address) {
            return;
        }
        let link = Arc::new(Link {
            address: address.clone(),
            connection: Mutex::new(Connection {
                state: LinkState::Trying,
                frames: None,
            }),
        });
        links.insert(address.clone(), link.clone());
        tokio::spawn(keep_connected(link, Arc::downgrade(self)));
    }

    /// Sends a frame. Without a connection it is dropped, as sessions are opened again on the next one.
    pub fn send(&self, address: &str, frame: ToShard) {
        let link = self.lock().get(address).cloned();
        if let Some(link) = link
            && let Some(frames) = &link.lock().frames
        {
            let _ = frames.send(frame);
        }
    }

    fn notify(&self, address: &str, event: LinkEvent) {
        if let Some(listener) = self.listener.upgrade() {
            listener.on_link_event(address, event);
        }
    }

    fn is_needed(&self, address: &str) -> bool {
        let listener = self.listener.upgrade();
        listener.is_some_and(|listener| listener.needs_link(address))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    /// Whether this changes the state.
    fn set(&self, state: LinkState, frames: Option<mpsc::UnboundedSender<ToShard>>) -> bool {
        let former = std::mem::replace(&mut *self.lock(), Connection { state, frames });
        former.state != state
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects, serves, and reconnects, until the link is not needed or the gateway has ended.
async fn keep_connected(link: Arc<Link>, links: Weak<Links>) {
    let mut trying_since = Instant::now();
    let mut delay = LINK_RETRY_DELAY_MIN;
    loop {
        let Some(name) = links.upgrade().map(|links| links.name.clone()) else {
            return;
        };
        let connected = timeout(SHARD_SILENCE_MAX, TcpStream::connect(&*link.address)).await;
        if let Ok(Ok(stream)) = connected
            && let Ok((sink, frames)) = greet(stream, name).await
        {
            tracing::info!(shard = %link.address, "link is up");
            let end = serve(&link, sink, frames, &links).await;
            tracing::info!(shard = %link.address, ?end, "link ended");
            trying_since = Instant::now();
            delay = LINK_RETRY_DELAY_MIN;
        }
        let Some(all) = links.upgrade() else { return };
        if !all.is_needed(&link.address) {
            all.lock().remove(&link.address);
            return;
        }
        if trying_since.elapsed() >= SHARD_SILENCE_MAX && link.set(LinkState::Down, None) {
            tracing::warn!(shard = %link.address, "link is down, its teams move to the next shard");
            all.notify(&link.address, LinkEvent::StateChanged);
        }
        drop(all);
        let jitter = rand::rng().random_range(0.5..1.0);
        tokio::time::sleep(delay.mul_f64(jitter)).await;
        delay = (delay * 2).min(retry_delay_max(trying_since));
    }
}

/// Short until the link counts as down, so that a restarted shard is found before that.
fn retry_delay_max(trying_since: Instant) -> Duration {
    match trying_since.elapsed() < 2 * SHARD_SILENCE_MAX {
        true => SHARD_SILENCE_MAX / 5,
        false => LINK_RETRY_DELAY_MAX,
    }
}

type FrameSink = SplitSink<GatewayEnd<TcpStream>, ToShard>;
type FrameStream = SplitStream<GatewayEnd<TcpStream>>;

/// Sends the hello. The first answer proves that a shard is serving, and not only that its kernel accepts connections.
async fn greet(stream: TcpStream, gateway: String) -> Result<(FrameSink, FrameStream), LinkError> {
    stream.set_nodelay(true)?;
    let (mut sink, mut frames) = gateway_end(stream).split();
    sink.send(ToShard::Hello { gateway }).await?;
    sink.send(ToShard::Ping).await?;
    match timeout(SHARD_SILENCE_MAX, frames.next()).await {
        Ok(Some(frame)) => frame.map(|_| (sink, frames)),
        Ok(None) | Err(_) => Err(LinkError::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

/// Why a connection ended.
#[derive(Debug)]
enum End {
    /// The shard or the network closed it, or it is not needed: a reconnect may succeed at once.
    Closed,
    /// The shard has not answered for [`SHARD_SILENCE_MAX`].
    Silent,
    Failed(#[expect(dead_code, reason = "for the log")] LinkError),
}

/// Serves one connection until it ends.
async fn serve(link: &Link, sink: FrameSink, mut frames: FrameStream, links: &Weak<Links>) -> End {
    let (sender, queue) = mpsc::unbounded_channel();
    link.set(LinkState::Up, Some(sender));
    if let Some(links) = links.upgrade() {
        links.notify(&link.address, LinkEvent::StateChanged);
    }
    let end = tokio::select! {
        end = read(link, &mut frames, links) => end,
        Err(error) = write(sink, queue) => End::Failed(error),
    };
    let state = match end {
        End::Silent => LinkState::Down,
        End::Closed | End::Failed(_) => LinkState::Trying,
    };
    link.set(state, None);
    if let Some(links) = links.upgrade() {
        links.notify(&link.address, LinkEvent::Ended);
    }
    end
}

async fn read(link: &Link, frames: &mut FrameStream, links: &Weak<Links>) -> End {
    let mut used = Instant::now();
    loop {
        let frame = match timeout(SHARD_SILENCE_MAX, frames.next()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return End::Failed(error),
            Ok(None) => return End::Closed,
            Err(_) => return End::Silent,
        };
        let Some(links) = links.upgrade() else {
            return End::Closed;
        };
        if !matches!(frame, ToGateway::Pong) {
            links.notify(&link.address, LinkEvent::Frame(frame));
            used = Instant::now();
        } else if used.elapsed() > LINK_IDLE_MAX {
            if !links.is_needed(&link.address) {
                return End::Closed;
            }
            used = Instant::now();
        }
    }
}

async fn write(mut sink: FrameSink, mut queue: mpsc::UnboundedReceiver<ToShard>) -> Result<(), LinkError> {
    let mut ping = tokio::time::interval(LINK_PING_PERIOD);
    let mut frames = Vec::new();
    loop {
        tokio::select! {
            count = queue.recv_many(&mut frames, LINK_FRAMES_PER_WRITE_MAX) => if count == 0 { return Ok(()) },
            _ = ping.tick() => frames.push(ToShard::Ping),
        }
        for frame in frames.drain(..) {
            sink.feed(frame).await?;
        }
        sink.flush().await?;
    }
}
