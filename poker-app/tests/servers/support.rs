//! Real servers and the gateway's end of a link, for tests.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use poker_app::{
    events::Sink,
    link::{GatewayEnd, ToGateway, ToShard, gateway_end},
    metrics::ShardMetrics,
    routes::{RoutesSender, in_process},
    shard::{Shard, ownership::LocalShard},
    store::{RedisStore, Store},
};
use poker_core::{
    CatchUp,
    protocol::{CreateRoom, DeckChoice, DeckKind, Hello, Role},
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

/// A variable of the script that starts a server.
type Setting = Option<(&'static str, &'static str)>;

/// The broker's heartbeats come later than its session lasts, as without CPU: it is fenced again and again. It answers, but
/// its metadata lists no broker.
const FENCED: Setting = Some(("KAFKA_BROKER_HEARTBEAT_INTERVAL_MS", "7000"));

/// A real server of its own folder and port.
pub struct Server {
    kind: &'static str,
    setting: Setting,
    child: Child,
    dir: TempDir,
    pub port: u16,
}

impl Server {
    pub fn start(kind: &'static str) -> Server {
        Server::with(kind, None)
    }

    fn with(kind: &'static str, setting: Setting) -> Server {
        let dir = TempDir::new().unwrap();
        // PostgreSQL does not run as root.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(dir.path(), open).unwrap();
        let (child, port) = spawn(kind, setting, dir.path(), None);
        Server {
            kind,
            setting,
            child,
            dir,
            port,
        }
    }

    /// Redis that syncs each write to disk before it answers.
    pub async fn redis() -> Server {
        Server::redis_with("always").await
    }

    /// Redis with this `appendfsync`.
    pub async fn redis_with(fsync: &'static str) -> Server {
        let server = Server::with("redis", Some(("REDIS_APPENDFSYNC", fsync)));
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

    /// Access to Redis besides the store.
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

    /// Restarts at the same address without data.
    pub fn restart_empty(&mut self) {
        self.dir = tempfile::tempdir().unwrap();
        self.restart();
    }

    /// Restarts with the same folder and port.
    pub fn restart(&mut self) {
        self.restart_with(self.setting);
    }

    /// Restarts a Kafka whose broker is fenced most of the time.
    pub fn restart_fenced(&mut self) {
        self.restart_with(FENCED);
    }

    fn restart_with(&mut self, setting: Setting) {
        (self.child, _) = spawn(self.kind, setting, self.dir.path(), Some(self.port));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(kind: &str, setting: Setting, dir: &Path, port: Option<u16>) -> (Child, u16) {
    let script = "../tests/servers/start";
    let mut child = Command::new(script)
        .arg(kind)
        .arg(dir)
        .args(port.map(|port| port.to_string()))
        .envs(setting)
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

/// A proxy of a server that can fall silent like a machine that loses power: no connection is closed and no byte arrives.
/// Later connections reach the server.
pub struct SilentProxy {
    pub port: u16,
    silence: Arc<Mutex<CancellationToken>>,
    task: JoinHandle<()>,
}

impl SilentProxy {
    pub async fn of(server: &Server) -> SilentProxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let silence = Arc::<Mutex<CancellationToken>>::default();
        let task = tokio::spawn(forward(listener, server.port, silence.clone()));
        SilentProxy { port, silence, task }
    }

    /// Existing connections fall silent.
    pub fn fall_silent(&self) {
        std::mem::take(&mut *self.silence.lock().unwrap()).cancel();
    }
}

impl Drop for SilentProxy {
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

/// Waits for the effect of another process.
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
        let local = LocalShard {
            id,
            address: address.into(),
        };
        let shard = Arc::new(Shard::start(local, store, sink, receiver, metrics.clone()));
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
        // A stopped shard closes the link.
        let _ = self.end.send(frame).await;
    }

    /// Reads a team's name.
    pub async fn preview(&mut self, team: &str) -> Option<String> {
        let team = team.to_owned();
        self.send(ToShard::Preview { request: 7, team }).await;
        self.next(|frame| match frame {
            ToGateway::Preview { request: 7, name } => Some(name),
            _ => None,
        })
        .await
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

    /// The next frame for which `pick` returns a value; others are skipped.
    pub async fn next<T>(&mut self, mut pick: impl FnMut(ToGateway) -> Option<T>) -> T {
        loop {
            let frame = self.try_next().await.expect("the link is closed");
            if let Some(answer) = pick(frame) {
                return answer;
            }
        }
    }

    /// Opens a session and waits until it is attached. Returns its epoch and the room's state.
    pub async fn enter(&mut self, session: u64, team: &str, table_version: u64) -> (u64, CatchUp) {
        loop {
            self.open(session, team, table_version).await;
            let answer = self
                .next(|frame| match frame {
                    ToGateway::Attached {
                        session: at,
                        epoch,
                        catch_up,
                        ..
                    } if at == session => Some(Some((epoch, catch_up))),
                    ToGateway::OpenRefused {
                        retry_after_ms, code, ..
                    } => {
                        assert!(retry_after_ms.is_some(), "refused permanently: {code:?}");
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

    /// Waits for the answer to a command. True: acknowledged.
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
        ToGateway::Ack { command_id, .. } if command_id == id => Some(true),
        ToGateway::Refused { command_id, .. } if command_id == id => Some(false),
        _ => None,
    }
}

/// A hello of the participant behind this session, who creates the team if it does not exist.
pub fn hello(session: u64) -> Hello {
    Hello {
        protocol: 1,
        key: format!("{session:032x}"),
        name: format!("P{session}"),
        role: Role::Voter,
        create: Some(CreateRoom {
            name: "Blue".into(),
            deck: DeckChoice {
                kind: DeckKind::Fibonacci,
                cards: None,
            },
        }),
        resume: None,
    }
}

pub fn snapshot(catch_up: &CatchUp) -> serde_json::Value {
    match catch_up {
        CatchUp::Snapshot(text) => serde_json::from_str(text).unwrap(),
        CatchUp::Events(_) => panic!("not a snapshot: {catch_up:?}"),
    }
}

/// The own vote in a snapshot.
pub fn your_vote(catch_up: &CatchUp) -> Option<String> {
    snapshot(catch_up)["yourVote"].as_str().map(str::to_owned)
}
