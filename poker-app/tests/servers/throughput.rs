//! Latency of a vote at the link: from the gateway's frame to the acknowledgement, including the write to the store.

use std::{cell::OnceCell, time::Duration};

use futures::{SinkExt, StreamExt};
use poker_app::link::{ToGateway, ToShard, gateway_end};
use tokio::time::Instant;

use crate::support::{Server, TestShard, hello, table};

const A: &str = "a:7000";
const TEAMS: u64 = 500;
const VOTERS: u64 = 10;
const SECONDS: u64 = 5;

/// Prints latencies and asserts none: other processes share the machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn votes_at_several_rates() {
    for fsync in ["everysec", "always"] {
        measure(fsync).await;
    }
}

async fn measure(fsync: &'static str) {
    let server = Server::redis_with(fsync).await;
    let shard = TestShard::start(0, A, server.store(), None, table(1, &[(0, A)]));
    let (here, there) = tokio::io::duplex(1 << 20);
    let links = shard.shard.links().clone();
    tokio::spawn(async move { links.serve_link(there).await });
    let (mut sink, mut stream) = gateway_end(here).split();
    for session in 0..TEAMS * VOTERS {
        let team = format!("team-{}", session % TEAMS);
        let open = ToShard::Open {
            session,
            team,
            table_version: 1,
            hello: hello(session),
        };
        sink.send(open).await.unwrap();
    }
    let mut attached = 0;
    while attached < TEAMS * VOTERS {
        attached += u64::from(matches!(
            stream.next().await,
            Some(Ok(ToGateway::Attached { .. }))
        ));
    }
    for rate in [1_000u64, 5_000, 10_000] {
        let count = rate * SECONDS;
        let begin = Instant::now();
        let sent: Vec<OnceCell<Instant>> = vec![OnceCell::new(); count as usize];
        let sender = async {
            for vote in 0..count {
                let due = begin + Duration::from_micros(vote * 1_000_000 / rate);
                if due > Instant::now() {
                    tokio::time::sleep_until(due).await;
                }
                let session = vote % (TEAMS * VOTERS);
                let card = ["1", "2", "3", "5"][(vote / (TEAMS * VOTERS)) as usize % 4];
                let text = format!(
                    r#"{{"type":"command","id":"{rate}-{vote}","command":{{"type":"vote","round":1,"card":"{card}"}}}}"#
                );
                sent[vote as usize].set(Instant::now()).unwrap();
                sink.send(ToShard::Command { session, text }).await.unwrap();
            }
        };
        let receiver = async {
            let mut micros = Vec::new();
            while (micros.len() as u64) < count {
                let frame = stream.next().await.unwrap().unwrap();
                let ToGateway::Ack { command_id, .. } = frame else {
                    continue;
                };
                let vote: u64 = command_id.split_once('-').unwrap().1.parse().unwrap();
                micros.push(sent[vote as usize].get().unwrap().elapsed().as_micros());
            }
            micros
        };
        let (mut micros, ()) = tokio::join!(receiver, sender);
        micros.sort_unstable();
        let at = |share: usize| micros[(micros.len() - 1) * share / 1_000] as f64 / 1e3;
        println!(
            "appendfsync {fsync}, {rate} votes/s in {TEAMS} rooms of {VOTERS}: stored and acknowledged after p50 {:.2} ms, p99 {:.2} ms, \
             p99.9 {:.2} ms",
            at(500),
            at(990),
            at(999)
        );
    }
}
