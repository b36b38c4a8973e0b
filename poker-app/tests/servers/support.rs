//! Real servers, and a gateway's end of a link, for tests.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use poker_app::{
    link::{GatewayEnd, ToGateway, ToShard, gateway_end},
    log::Sink,
    metrics::ShardMetrics,
    routes::{RoutesSender, in_process},
    shard::{Shard, ownership::Me},
    store::{RedisStore, Store},
};
use poker_routing::{RoutingTable, ShardRoute, ShardState};
use prometheus_client::registry::Registry;
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;
use tokio::{
    io::{DuplexStream, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// Nothing in these tests takes this long unless it is stuck.
pub const STUCK: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// A real server of its own folder and port.
pub struct Server {
    kind: &'static str,
    fsync: &'static str,
    child: Child,
    dir: TempDir,
    pub port: u16,
}

impl Server {
    pub fn start(kind: &'static str) -> Server {
        Server::with(kind, "always")
    }

    fn with(kind: &'static str, fsync: &'static str) -> Server {
        let dir = TempDir::new().unwrap();
        // PostgreSQL runs as another user than root.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(dir.path(), open).unwrap();
        let (child, port) = spawn(kind, fsync, dir.path(), None);
        Server {
            kind,
            fsync,
            child,
            dir,
            port,
        }
    }

    /// Redis that has a vote on disk before it answers.
    pub async fn redis() -> Server {
        Server::redis_with("always").await
    }

    /// Redis with this `appendfsync`.
    pub async fn redis_with(fsync: &'static str) -> Server {
        let server = Server::with("redis", fsync);
        let store = server.store();
        until("redis answers", async || store.ping().await.is_ok()).await;
        server
    }

    pub fn store(&self) -> Store {
        Store::Redis(RedisStore::connect(&self.redis_url(), "test").unwrap())
    }

    pub fn redis_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// To look into Redis, past the store.
    pub async fn redis_connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.redis_url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    pub fn postgres_url(&self) -> String {
        postgres_url(self.port)
    }

    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The same address, and nothing of what was there.
    pub fn restart_empty(&mut self) {
        self.dir = tempfile::tempdir().unwrap();
        self.restart();
    }

    /// The same folder and port again.
    pub fn restart(&mut self) {
        (self.child, _) = spawn(self.kind, self.fsync, self.dir.path(), Some(self.port));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(kind: &str, fsync: &str, dir: &Path, port: Option<u16>) -> (Child, u16) {
    let script = "../tests/servers/start";
    let mut child = Command::new(script)
        .arg(kind)
        .arg(dir)
        .args(port.map(|port| port.to_string()))
        .env("REDIS_APPENDFSYNC", fsync)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    (child, line.trim().parse().unwrap())
}

pub fn postgres_url(port: u16) -> String {
    format!("postgres://poker@127.0.0.1:{port}/postgres")
}

/// Keys of Redis that match.
pub async fn keys(connection: &mut MultiplexedConnection, pattern: &str) -> Vec<String> {
    let mut command = redis::cmd("KEYS");
    command.arg(pattern).query_async(connection).await.unwrap()
}

/// A way to a server that can go without a word, as when its machine loses power: nothing is closed and nothing
/// comes any more. Later connections lead to its successor.
pub struct Front {
    pub port: u16,
    silence: Arc<Mutex<CancellationToken>>,
    task: JoinHandle<()>,
}

impl Front {
    pub async fn of(server: &Server) -> Front {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let silence = Arc::<Mutex<CancellationToken>>::default();
        let task = tokio::spawn(forward(listener, server.port, silence.clone()));
        Front { port, silence, task }
    }

    /// Connections made until now fall silent.
    pub fn fall_silent(&self) {
        std::mem::take(&mut *self.silence.lock().unwrap()).cancel();
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(listener: TcpListener, port: u16, silence: Arc<Mutex<CancellationToken>>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let silent = silence.lock().unwrap().clone();
        tokio::spawn(async move {
            let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            tokio::select! {
                _ = copy_bidirectional(&mut client, &mut server) => {}
                // Both ends stay open.
                () = silent.cancelled() => std::future::pending().await,
            }
        });
    }
}

/// Waits for something that another process does.
pub async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + STUCK;
    while !done().await {
        assert!(Instant::now() < end, "stuck: {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// A table with these active shards.
pub fn table(version: u64, shards: &[(u32, &str)]) -> RoutingTable {
    RoutingTable {
        version,
        shards: shards
            .iter()
            .map(|(id, address)| ShardRoute {
                id: *id,
                revision: "r".into(),
                address: (*address).into(),
                state: ShardState::Active,
                weight: 1,
            })
            .collect(),
        ..RoutingTable::default()
    }
}

/// A shard in this process.
pub struct TestShard {
    pub shard: Arc<Shard>,
    pub metrics: ShardMetrics,
    pub routes: RoutesSender,
}

impl TestShard {
    pub fn start(id: u32, address: &str, store: Store, sink: Option<Sink>, table: RoutingTable) -> TestShard {
        let (routes, receiver) = in_process(table);
        let metrics = ShardMetrics::register(&mut Registry::default());
        let me = Me {
            id,
            address: address.into(),
        };
        let shard = Arc::new(Shard::start(me, store, sink, receiver, metrics.clone()));
        TestShard {
            shard,
            metrics,
            routes,
        }
    }

    /// A gateway's link to it.
    pub fn link(&self) -> Link {
        let (here, there) = tokio::io::duplex(1 << 20);
        let links = self.shard.links().clone();
        tokio::spawn(async move { links.serve_link(there).await });
        Link {
            end: gateway_end(here),
        }
    }
}

/// A gateway's end of a link.
pub struct Link {
    end: GatewayEnd<DuplexStream>,
}

impl Link {
    pub async fn send(&mut self, frame: ToShard) {
        // A shard that is gone cannot be told anything.
        let _ = self.end.send(frame).await;
    }

    pub async fn open(&mut self, session: u64, team: &str, table_version: u64) {
        let hello = hello(session);
        self.send(ToShard::Open {
            session,
            team: team.into(),
            table_version,
            hello,
        })
        .await;
    }

    pub async fn vote(&mut self, session: u64, id: &str, card: &str) {
        let command = format!(r#"{{"type":"vote","round":1,"card":"{card}"}}"#);
        self.command(session, id, &command).await;
    }

    pub async fn command(&mut self, session: u64, id: &str, command: &str) {
        let text = format!(r#"{{"type":"command","id":"{id}","command":{command}}}"#);
        self.send(ToShard::Command { session, text }).await;
    }

    /// None when the link is closed.
    pub async fn try_next(&mut self) -> Option<ToGateway> {
        timeout(STUCK, self.end.next())
            .await
            .expect("stuck: a link")?
            .ok()
    }

    /// What has arrived by now.
    pub async fn try_now(&mut self) -> Option<ToGateway> {
        timeout(Duration::ZERO, self.end.next()).await.ok()??.ok()
    }

    /// The next frame for which `pick` has an answer; others are left out.
    pub async fn next<T>(&mut self, mut pick: impl FnMut(ToGateway) -> Option<T>) -> T {
        loop {
            let frame = self.try_next().await.expect("the link is closed");
            if let Some(answer) = pick(frame) {
                return answer;
            }
        }
    }

    /// Opens a session and waits until it is in the room. Returns its epoch and its messages.
    pub async fn enter(&mut self, session: u64, team: &str, table_version: u64) -> (u64, Vec<String>) {
        loop {
            self.open(session, team, table_version).await;
            let answer = self
                .next(|frame| match frame {
                    ToGateway::Attached {
                        session: at,
                        epoch,
                        texts,
                        ..
                    } if at == session => Some(Some((epoch, texts))),
                    ToGateway::Refused { retry_ms, code, .. } => {
                        assert_ne!(retry_ms, 0, "refused for good: {code}");
                        Some(None)
                    }
                    _ => None,
                })
                .await;
            match answer {
                Some(answer) => return answer,
                None => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// Waits for the answer to a command: whether it was acknowledged.
    pub async fn answer(&mut self, id: &str) -> bool {
        self.next(|frame| answer_to(&frame, id)).await
    }

    /// Sends a command and expects its acknowledgement.
    pub async fn done(&mut self, session: u64, id: &str, command: &str) {
        self.command(session, id, command).await;
        assert!(self.answer(id).await, "refused: {command}");
    }
}

/// Whether the frame acknowledges (true) or refuses (false) this command.
pub fn answer_to(frame: &ToGateway, id: &str) -> Option<bool> {
    match frame {
        ToGateway::ToSession {
            command_id: Some(of),
            text,
            ..
        } if of == id => Some(text.contains(r#""type":"ack""#)),
        _ => None,
    }
}

/// A hello of the person behind this session, who would make the team.
pub fn hello(session: u64) -> String {
    let create = r#"{"name":"Blue","deck":{"kind":"fibonacci"}}"#;
    format!(
        r#"{{"type":"hello","protocol":1,"key":"{session:032x}","name":"P{session}","role":"voter","create":{create}}}"#
    )
}

/// `yourVote` of a snapshot among the messages of an entry.
pub fn your_vote(texts: &[String]) -> Option<String> {
    let messages = texts
        .iter()
        .map(|text| serde_json::from_str::<serde_json::Value>(text).unwrap());
    let mut snapshots = messages.filter(|message| message["type"] == "snapshot");
    let snapshot = snapshots.next().expect("a snapshot");
    snapshot["yourVote"].as_str().map(str::to_owned)
}
