//! Links to shards: one connection each, kept up, with what came of it told to the hub.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU8, Ordering},
    },
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

use super::{
    hub::Hub,
    limits::{
        LINK_FRAMES_PER_WRITE_MAX, LINK_IDLE_MAX, LINK_PING_PERIOD, LINK_RETRY_DELAY_MAX,
        LINK_RETRY_DELAY_MIN, LINK_SILENCE_MAX,
    },
    placement::LinkState,
};
use crate::link::{GatewayEnd, LinkError, ToGateway, ToShard, gateway_end};

/// All links of a gateway, by address.
pub struct Links {
    /// Names this process to shards.
    name: String,
    links: Mutex<HashMap<Arc<str>, Arc<Link>>>,
}

struct Link {
    address: Arc<str>,
    state: AtomicU8,
    /// To the writer of the connection there is now; none while there is none.
    ///
    /// Its length is bounded by what sessions may have unanswered, and a link whose shard does not
    /// answer for a second is dropped with all that waits.
    frames: Mutex<Option<mpsc::UnboundedSender<ToShard>>>,
}

impl Links {
    pub fn new(name: String) -> Self {
        Self {
            name,
            links: Mutex::default(),
        }
    }

    pub fn state(&self, address: &str) -> LinkState {
        match self.lock().get(address) {
            Some(link) => link.state(),
            None => LinkState::Trying,
        }
    }

    /// Connects to `address`, and keeps trying as long as the hub has a use for it.
    pub fn ensure(&self, address: &Arc<str>, hub: &Weak<Hub>) {
        let mut links = self.lock();
        if links.contains_key(address) {
            return;
        }
        let link = Arc::new(Link {
            address: address.clone(),
            state: AtomicU8::new(TRYING),
            frames: Mutex::default(),
        });
        links.insert(address.clone(), link.clone());
        tokio::spawn(keep(link, self.name.clone(), hub.clone()));
    }

    /// Sends a frame; without a connection it is dropped, as sessions are opened anew on the next.
    pub fn send(&self, address: &str, frame: ToShard) {
        let link = self.lock().get(address).cloned();
        if let Some(link) = link
            && let Some(frames) = &*link.lock_frames()
        {
            let _ = frames.send(frame);
        }
    }

    fn forget(&self, address: &str) {
        self.lock().remove(address);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const UP: u8 = 0;
const TRYING: u8 = 1;
const DOWN: u8 = 2;

impl Link {
    fn state(&self) -> LinkState {
        match self.state.load(Ordering::Acquire) {
            UP => LinkState::Up,
            TRYING => LinkState::Trying,
            _ => LinkState::Down,
        }
    }

    fn set(&self, state: u8) -> bool {
        self.state.swap(state, Ordering::AcqRel) != state
    }

    fn lock_frames(&self) -> MutexGuard<'_, Option<mpsc::UnboundedSender<ToShard>>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects, serves, and connects again, until the hub has no use for the address or is gone.
async fn keep(link: Arc<Link>, name: String, hub: Weak<Hub>) {
    let mut trying_since = Instant::now();
    let mut delay = LINK_RETRY_DELAY_MIN;
    loop {
        let connected = timeout(LINK_SILENCE_MAX, TcpStream::connect(&*link.address)).await;
        if let Ok(Ok(stream)) = connected
            && let Ok((sink, frames)) = greet(stream, &name).await
        {
            tracing::info!(shard = %link.address, "link up");
            let end = serve(&link, sink, frames, &hub).await;
            tracing::info!(shard = %link.address, ?end, "link ended");
            trying_since = Instant::now();
            delay = LINK_RETRY_DELAY_MIN;
        }
        let Some(hub) = hub.upgrade() else { return };
        if !hub.has_use_for(&link.address) {
            hub.links().forget(&link.address);
            return;
        }
        if trying_since.elapsed() >= LINK_SILENCE_MAX && link.set(DOWN) {
            tracing::warn!(shard = %link.address, "no link for a second, its teams go to the next shard");
            hub.links_changed();
        }
        drop(hub);
        let jitter = rand::rng().random_range(0.5..1.0);
        tokio::time::sleep(delay.mul_f64(jitter)).await;
        delay = (delay * 2).min(next_delay_max(trying_since));
    }
}

/// Quick until the link counts as down, so that a restarted shard is found before that.
fn next_delay_max(trying_since: Instant) -> Duration {
    match trying_since.elapsed() < 2 * LINK_SILENCE_MAX {
        true => LINK_SILENCE_MAX / 5,
        false => LINK_RETRY_DELAY_MAX,
    }
}

type FrameSink = SplitSink<GatewayEnd<TcpStream>, ToShard>;
type FrameStream = SplitStream<GatewayEnd<TcpStream>>;

/// Says hello. The first answer proves that a shard listens, not just a kernel.
async fn greet(stream: TcpStream, name: &str) -> Result<(FrameSink, FrameStream), LinkError> {
    stream.set_nodelay(true)?;
    let (mut sink, mut frames) = gateway_end(stream).split();
    let gateway = name.to_owned();
    sink.send(ToShard::Hello { gateway }).await?;
    sink.send(ToShard::Ping).await?;
    match timeout(LINK_SILENCE_MAX, frames.next()).await {
        Ok(Some(frame)) => frame.map(|_| (sink, frames)),
        Ok(None) | Err(_) => Err(LinkError::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

/// Why a connection ended.
#[derive(Debug)]
enum End {
    /// The shard or the network closed it, or it is of no more use: a new one may succeed at once.
    Closed,
    /// The shard has not answered for a second.
    Silent,
    Failed(#[expect(dead_code, reason = "for the log")] LinkError),
}

/// One connection, until it ends.
async fn serve(link: &Link, sink: FrameSink, mut frames: FrameStream, hub: &Weak<Hub>) -> End {
    let (sender, queue) = mpsc::unbounded_channel();
    *link.lock_frames() = Some(sender);
    link.set(UP);
    if let Some(hub) = hub.upgrade() {
        hub.links_changed();
    }
    let end = tokio::select! {
        end = read(link, &mut frames, hub) => end,
        Err(error) = write(sink, queue) => End::Failed(error),
    };
    *link.lock_frames() = None;
    link.set(match end {
        End::Silent => DOWN,
        End::Closed | End::Failed(_) => TRYING,
    });
    if let Some(hub) = hub.upgrade() {
        hub.link_down(&link.address);
    }
    end
}

async fn read(link: &Link, frames: &mut FrameStream, hub: &Weak<Hub>) -> End {
    let mut used = Instant::now();
    loop {
        let frame = match timeout(LINK_SILENCE_MAX, frames.next()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return End::Failed(error),
            Ok(None) => return End::Closed,
            Err(_) => return End::Silent,
        };
        let Some(hub) = hub.upgrade() else {
            return End::Closed;
        };
        if !matches!(frame, ToGateway::Pong) {
            hub.hear(&link.address, frame);
            used = Instant::now();
        } else if used.elapsed() > LINK_IDLE_MAX {
            if !hub.has_use_for(&link.address) {
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
