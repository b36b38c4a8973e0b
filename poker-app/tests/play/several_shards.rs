//! A gateway over two shards and Redis: sockets survive handoffs and crashes of shards.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use poker_app::{
    gateway::{Gateway, GatewayConfig, listen},
    metrics::{GatewayMetrics, ShardMetrics},
    routes::{self, Routes, RoutesSender},
    shard::{Shard, ownership::LocalShard},
    store::{RedisStore, Store},
};
use poker_core::protocol::{Command, RoomView, ServerMessage};
use poker_routing::{RoutingTable, ShardRoute, ShardState};
use prometheus_client::registry::Registry;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use crate::{
    client::Client,
    process::{Process, free_port, is_listening, local, until},
};

const TEAMS: [&str; 4] = ["red", "green", "blue", "grey"];

/// A table that routes every team to one shard; the other is the second choice.
fn table(version: u64, addresses: &[String; 2], owner: u32) -> RoutingTable {
    let route = |id: u32| ShardRoute {
        id,
        revision: "r".into(),
        address: addresses[id as usize].clone(),
        state: ShardState::Active,
        weight: 1,
    };
    RoutingTable {
        version,
        shards: vec![route(0), route(1)],
        pins: TEAMS.iter().map(|team| ((*team).to_owned(), owner)).collect(),
        ..RoutingTable::default()
    }
}

async fn start_gateway(routes: Routes) -> (Gateway, SocketAddr) {
    let listener = listen(local(0)).unwrap();
    let address = listener.local_addr().unwrap();
    let config = GatewayConfig {
        name: "test".into(),
        routes,
        history: None,
        metrics: GatewayMetrics::register(&mut Registry::default()),
        connections_max: 1_000,
    };
    (Gateway::start(config, listener), address)
}

/// Two shards in this process.
struct Two {
    shards: Vec<Shard>,
    addresses: [String; 2],
    routes: RoutesSender,
    gateway: SocketAddr,
    _gateway: Gateway,
}

impl Two {
    async fn start(redis_url: &str) -> Two {
        let listeners = [listener().await, listener().await];
        let addresses = listeners.each_ref().map(|l| l.local_addr().unwrap().to_string());
        let (sender, routes) = routes::in_process(table(1, &addresses, 0));
        let mut shards = Vec::new();
        for (id, listener) in listeners.into_iter().enumerate() {
            let store = Store::Redis(RedisStore::connect(redis_url, "test").unwrap());
            let local = LocalShard {
                id: id as u32,
                address: Arc::from(&*addresses[id]),
            };
            let metrics = ShardMetrics::register(&mut Registry::default());
            let shard = Shard::start(local, store, None, routes.clone(), metrics);
            let links = shard.links().clone();
            tokio::spawn(async move { links.serve(listener).await });
            shards.push(shard);
        }
        let (gateway, address) = start_gateway(routes).await;
        Two {
            shards,
            addresses,
            routes: sender,
            gateway: address,
            _gateway: gateway,
        }
    }

    fn route_all_to(&self, version: u64, owner: u32) {
        self.routes
            .send_replace(Arc::new(table(version, &self.addresses, owner)));
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind(local(0)).await.unwrap()
}

/// Votes without a pause until `stop`. Returns the last vote and the number of votes.
async fn vote_on(mut client: Client, stop: Arc<AtomicBool>) -> (Client, String, usize) {
    let (mut last, mut votes) = (String::new(), 0);
    while !stop.load(Ordering::Relaxed) {
        last = ["1", "2", "xyzzy", "plugh"][votes % 4].to_owned();
        client.vote(&last).await.unwrap();
        votes += 1;
    }
    (client, last, votes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handoffs_under_traffic_close_no_socket_and_lose_no_vote() {
    let folder = tempfile::tempdir().unwrap();
    let (_redis, url) = Process::redis(folder.path()).await;
    let two = Two::start(&url).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut voters = Vec::new();
    let mut watchers = Vec::new();
    for team in TEAMS {
        watchers.push(Client::join(two.gateway, team, "watcher").await);
        for name in ["Ada", "Ben"] {
            let client = Client::join(two.gateway, team, name).await;
            voters.push(tokio::spawn(vote_on(client, stop.clone())));
        }
    }
    for version in 2..=6 {
        two.route_all_to(version, (version % 2) as u32 ^ 1);
        for watcher in &mut watchers {
            let before = watcher.seen.epoch;
            watcher.until_snapshot_after(watcher.snapshots).await;
            assert!(watcher.seen.epoch > before, "a new owner is a new epoch");
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut expected = BTreeMap::new();
    for voter in voters {
        let (client, last, votes) = voter.await.unwrap();
        assert!(votes > 0);
        expected.insert((client.room.team.clone(), client.you.clone()), last);
    }
    for mut watcher in watchers {
        watcher.reveal().await;
        let again = Client::join(two.gateway, &watcher.room.team.clone(), "late").await;
        for vote in again.room.round.votes.clone().unwrap() {
            let key = (again.room.team.clone(), vote.participant);
            assert_eq!(expected.remove(&key), Some(vote.card));
        }
    }
    assert!(expected.is_empty(), "lost: {expected:?}");
    drop(two.shards);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_that_shuts_down_hands_its_rooms_off_without_a_new_table() {
    let folder = tempfile::tempdir().unwrap();
    let (_redis, url) = Process::redis(folder.path()).await;
    let mut two = Two::start(&url).await;
    let mut ada = Client::join(two.gateway, "red", "Ada").await;
    ada.vote("2").await.unwrap();
    two.shards.remove(0).drain().await;
    ada.until_snapshot_after(1).await;
    assert_eq!(ada.your_vote.as_deref(), Some("2"));
    ada.vote("1").await.unwrap();
}

/// A shard as a process of its own.
fn spawn_shard(id: u32, port: u16, routes: &str, redis_url: &str) -> Process {
    let (id, address) = (id.to_string(), local(port).to_string());
    let admin = local(free_port()).to_string();
    let routes = format!("file:{routes}");
    Process::poker_app(&[
        "shard",
        "--shard",
        &id,
        "--listen",
        &address,
        "--advertise",
        &address,
        "--routes",
        &routes,
        "--redis-url",
        redis_url,
        "--admin-listen",
        &admin,
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_of_a_killed_shard_are_served_by_the_other_and_sockets_stay_open() {
    let folder = tempfile::tempdir().unwrap();
    let (_redis, url) = Process::redis(folder.path()).await;
    let ports = [free_port(), free_port()];
    let addresses = ports.map(|port| local(port).to_string());
    let path = folder.path().join("routes.json");
    let first = table(1, &addresses, 0);
    std::fs::write(&path, first.to_json()).unwrap();
    let file = path.to_str().unwrap();
    let mut shards = [0, 1].map(|id| spawn_shard(id, ports[id as usize], file, &url));
    for port in ports {
        until("the shard listens", async || is_listening(port).await).await;
    }
    let (_sender, routes) = routes::in_process(first);
    let (_gateway, address) = start_gateway(routes).await;
    let mut ada = Client::join(address, "red", "Ada").await;
    let mut ben = Client::join(address, "red", "Ben").await;
    ada.vote("2").await.unwrap();
    ben.vote("xyzzy").await.unwrap();
    shards[0].kill();
    let killed = Instant::now();
    let sent = ada
        .send(Command::Vote {
            round: 1,
            card: "1".into(),
        })
        .await;
    ada.answer(&sent).await.unwrap();
    println!("answered {} ms after the kill", killed.elapsed().as_millis());
    assert!(killed.elapsed() < Duration::from_secs(15), "it is stuck");
    ada.reveal().await;
    let late = Client::join(address, "red", "late").await;
    assert_eq!(card(&late.room, &ada.you), Some("1"));
    assert_eq!(card(&late.room, &ben.you), Some("xyzzy"));
    ben.until_room(|room| room.round.votes.is_some()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_return_to_a_restarted_shard_without_a_new_table() {
    let folder = tempfile::tempdir().unwrap();
    let (_redis, url) = Process::redis(folder.path()).await;
    let ports = [free_port(), free_port()];
    let addresses = ports.map(|port| local(port).to_string());
    let path = folder.path().join("routes.json");
    let routes = table(1, &addresses, 0);
    std::fs::write(&path, routes.to_json()).unwrap();
    let file = path.to_str().unwrap();
    let [mut home, mut away] = [0, 1].map(|id| spawn_shard(id, ports[id as usize], file, &url));
    for port in ports {
        until("the shard listens", async || is_listening(port).await).await;
    }
    let (_sender, routes) = routes::in_process(routes);
    let (_gateway, address) = start_gateway(routes).await;
    let mut clients = Vec::new();
    for team in TEAMS {
        let mut client = Client::join(address, team, "Ada").await;
        client.vote("2").await.unwrap();
        clients.push(client);
    }
    home.kill();
    for client in &mut clients {
        client.until_snapshot_after(1).await;
    }
    home = spawn_shard(0, ports[0], file, &url);
    for client in &mut clients {
        client.until_snapshot_after(2).await;
        assert_eq!(client.your_vote.as_deref(), Some("2"));
    }
    // The other shard has none of them left.
    away.kill();
    for client in &mut clients {
        client.vote("1").await.unwrap();
        assert_eq!(client.snapshots, 3, "nothing moved again");
    }
    drop(home);
}

fn card<'a>(room: &'a RoomView, participant: &str) -> Option<&'a str> {
    let votes = room.round.votes.as_ref()?;
    let vote = votes.iter().find(|vote| vote.participant == participant)?;
    Some(&vote.card)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_shard_sockets_stay_open_and_are_notified() {
    let folder = tempfile::tempdir().unwrap();
    let (_redis, url) = Process::redis(folder.path()).await;
    let mut two = Two::start(&url).await;
    let mut ada = Client::join(two.gateway, "red", "Ada").await;
    for shard in two.shards.drain(..) {
        shard.drain().await;
    }
    ada.until(|message| match message {
        ServerMessage::Notice { code, .. } => Some(code),
        _ => None,
    })
    .await;
    // A team that cannot be reached may exist.
    for team in ["red", "blue"] {
        assert_eq!(preview(two.gateway, team).await, 503, "{team}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_works_wherever_the_room_is() {
    let folder = tempfile::tempdir().unwrap();
    let (_redis, url) = Process::redis(folder.path()).await;
    let two = Two::start(&url).await;
    let _ada = Client::join(two.gateway, "red", "Ada").await;
    for (version, owner) in [(2, 0), (3, 1), (4, 0)] {
        two.route_all_to(version, owner);
        assert_eq!(preview(two.gateway, "red").await, 200);
        assert_eq!(preview(two.gateway, "missing").await, 404);
    }
}

/// The status of a preview, as the page requests it before the user joins.
async fn preview(gateway: SocketAddr, team: &str) -> u16 {
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    let request = format!("GET /api/teams/{team} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer[9..12].parse().unwrap()
}
