//! The roles as processes, as in pods: they wait for their servers, log JSON, and stop on SIGTERM.

use std::{
    fs::File,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    events::{TOPIC, World},
    support::{table, until},
};

/// One `poker-app`; dropping it kills it.
struct Role {
    child: Child,
    admin: SocketAddr,
    log: PathBuf,
}

impl Role {
    fn start(dir: &Path, role: &str, arguments: &[&str]) -> Role {
        let admin = free_address();
        let log = dir.join(role);
        let child = Command::new(env!("CARGO_BIN_EXE_poker-app"))
            .arg(role)
            .args(arguments)
            .args(["--admin-listen", &admin.to_string()])
            .stdout(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Role { child, admin, log }
    }

    fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap();
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    async fn until_logged(&self, message: &str) {
        until(&format!("the log says: {message}"), async || {
            self.log().iter().any(|line| line["message"] == message)
        })
        .await;
    }

    async fn is_ready(&self) -> bool {
        let ask = async {
            let mut stream = TcpStream::connect(self.admin).await?;
            stream
                .write_all(b"GET /ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                .await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            std::io::Result::Ok(answer)
        };
        ask.await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// Stops the process as the kubelet does.
    async fn terminate(&mut self) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        until("the process ends", async || {
            self.child.try_wait().unwrap().is_some()
        })
        .await;
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{:?}", self.log());
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("{}", std::fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Runs a load; returns its votes, all acknowledged.
fn play(gateway: SocketAddr) -> i64 {
    let load = Command::new(env!("CARGO_BIN_EXE_poker-app"))
        .args(["load", "--json", "--url", &format!("ws://{gateway}")])
        .args([
            "--teams",
            "2",
            "--participants",
            "3",
            "--rate",
            "30",
            "--seconds",
            "2",
        ])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&load.stdout).unwrap();
    assert!(load.status.success(), "{report}");
    assert_eq!(report["votesAcked"], report["votesSent"]);
    report["votesAcked"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_wait_for_their_servers_log_json_and_stop_on_sigterm() {
    let mut world = World::start().await;
    world.redis.kill();
    world.kafka.kill();
    world.postgres.kill();
    let dir = tempfile::tempdir().unwrap();
    let (link, web) = (free_address(), free_address());
    let routes = dir.path().join("routes.json");
    std::fs::write(&routes, table(1, &[(0, &link.to_string())]).to_json()).unwrap();
    let routes = format!("file:{}", routes.display());
    let (link, listen) = (link.to_string(), web.to_string());
    let (redis, brokers, database) = (
        world.redis.redis_url(),
        world.kafka.brokers(),
        world.postgres.postgres_url(),
    );
    let log = ["--kafka-brokers", &brokers, "--kafka-topic", TOPIC];
    let owns = [
        "--shard",
        "0",
        "--listen",
        &link,
        "--advertise",
        &link,
        "--redis-url",
        &redis,
    ];
    let serves = [
        "--listen",
        &listen,
        "--database-url",
        &database,
        "--drain-window-seconds",
        "1",
    ];
    let mut shard = Role::start(
        dir.path(),
        "shard",
        &[&owns[..], &["--routes", &routes], &log].concat(),
    );
    let mut gateway = Role::start(
        dir.path(),
        "gateway",
        &[&serves[..], &["--routes", &routes]].concat(),
    );
    let mut worker = Role::start(
        dir.path(),
        "worker",
        &[&log[..], &["--database-url", &database]].concat(),
    );

    shard.until_logged("waiting for the store").await;
    worker.until_logged("waiting for the history database").await;
    assert!(!shard.is_ready().await && !worker.is_ready().await);
    world.postgres.restart();
    worker.until_logged("waiting for Kafka").await;
    world.redis.restart();
    world.kafka.restart();
    for role in [&shard, &gateway, &worker] {
        until("it is ready", async || role.is_ready().await).await;
    }

    let votes = tokio::task::spawn_blocking(move || play(web)).await.unwrap();
    until("every vote is stored", async || {
        world.count("votes").await == votes
    })
    .await;
    for role in [&mut gateway, &mut worker, &mut shard] {
        role.terminate().await;
        assert!(role.log().len() > 1);
    }
}
