//! The load generator against the standalone app, also through a proxy that cuts connections.

use std::{collections::BTreeSet, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use clap::Parser;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::broadcast,
};
use tokio_util::sync::CancellationToken;

use super::{LoadArgs, measure, prepare, shared::Shared, stats::Totals};
use crate::{cli::StandaloneArgs, standalone::Standalone};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: LoadArgs,
}

async fn app(data: &Path) -> Standalone {
    let args = StandaloneArgs {
        listen: "127.0.0.1:0".parse().unwrap(),
        data: data.join("poker-data"),
        admin_listen: None,
        log: poker_service::logs::LogFormat::Text,
    };
    Standalone::start(&args).await.unwrap()
}

/// A prepared run and its counters.
async fn prepared(address: SocketAddr, line: &str) -> (LoadArgs, Arc<Shared>) {
    let line = format!("load --url ws://{address} --ramp-seconds 0 {line}");
    let args = Line::try_parse_from(line.split_whitespace()).unwrap().args;
    let shared = Arc::new(prepare(&args).await.unwrap());
    (args, shared)
}

async fn until(shared: &Shared, holds: impl Fn(&Totals) -> bool) {
    while !holds(&shared.stats.totals()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A proxy that cuts every connection whenever `cuts` fires.
async fn proxy(target: SocketAddr, cuts: broadcast::Sender<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut inner, _)) = listener.accept().await {
            let mut cut = cuts.subscribe();
            tokio::spawn(async move {
                let mut outer = TcpStream::connect(target).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut inner, &mut outer) => {}
                    _ = cut.recv() => {}
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_run_loses_no_vote_and_records_each() {
    let folder = tempfile::tempdir().unwrap();
    let standalone = app(folder.path()).await;
    let record = folder.path().join("votes.jsonl");
    let line = format!(
        "--teams 3 --participants 4 --rate 120 --seconds 2 --record {}",
        record.display()
    );
    let (args, shared) = prepared(standalone.address, &line).await;
    let report = measure(&args, shared, &CancellationToken::new()).await.unwrap();
    assert!(report.is_good(), "{}", report.table());
    assert_eq!((report.teams_ready, report.sockets_joined), (3, 12));
    assert_eq!(
        (report.votes_acked, report.votes_unseen, report.rounds_unrevealed),
        (report.votes_sent, 0, 0)
    );
    assert_eq!(
        (report.seq_gaps, report.sockets_closed_by_server),
        (0, 0),
        "{}",
        report.table()
    );
    assert_eq!(report.latency_ms.vote_to_seen.count, report.votes_acked);
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    let lines = std::fs::read_to_string(record).unwrap();
    let votes: BTreeSet<String> = lines
        .lines()
        .map(|line| {
            let vote: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(vote["team"].as_str().unwrap().starts_with(&report.team_prefix));
            format!("{} {} {}", vote["team"], vote["round"], vote["participant"])
        })
        .collect();
    assert_eq!(votes.len() as u64, report.votes_acked);
}

#[tokio::test]
async fn cut_connections_are_resumed_without_loss() {
    let folder = tempfile::tempdir().unwrap();
    let standalone = app(folder.path()).await;
    let (cuts, _) = broadcast::channel(1);
    let address = proxy(standalone.address, cuts.clone()).await;
    let (args, shared) = prepared(address, "--teams 2 --participants 3 --rate 60 --seconds 4").await;
    let counts = shared.clone();
    tokio::spawn(async move {
        for votes in (10..=100).step_by(30) {
            until(&counts, |totals| totals.counts.votes_acked >= votes).await;
            let _ = cuts.send(());
        }
    });
    let report = measure(&args, shared, &CancellationToken::new()).await.unwrap();
    assert!(report.is_good(), "{}", report.table());
    assert!(
        report.reconnects > 0 && report.sockets_closed_by_server > 0,
        "{}",
        report.table()
    );
    assert_eq!(report.votes_acked, report.votes_sent, "{}", report.table());
}

#[tokio::test]
async fn an_interrupted_run_reveals_its_rounds() {
    let folder = tempfile::tempdir().unwrap();
    let standalone = app(folder.path()).await;
    let line = "--teams 1 --participants 3 --rate 30 --seconds 3600 --keep-open";
    let (args, shared) = prepared(standalone.address, line).await;
    let stop = CancellationToken::new();
    let interrupt = async {
        until(&shared, |totals| totals.counts.votes_acked > 0).await;
        stop.cancel();
    };
    let (report, ()) = tokio::join!(measure(&args, shared.clone(), &stop), interrupt);
    let report = report.unwrap();
    assert!(report.is_good(), "{}", report.table());
    assert_eq!(report.rounds_unrevealed, 0);
}

#[tokio::test]
async fn a_stopped_server_is_reported_and_a_missing_one_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (args, shared) = prepared(address, "--teams 1 --participants 1 --seconds 1").await;
    drop(listener);
    let stop = CancellationToken::new();
    let interrupt = async {
        until(&shared, |totals| totals.errors.contains_key("connect")).await;
        stop.cancel();
    };
    let (report, ()) = tokio::join!(measure(&args, shared.clone(), &stop), interrupt);
    assert!(!report.unwrap().is_good());
    let error = prepare(&args).await.err().unwrap().to_string();
    assert!(error.contains(&address.to_string()), "{error}");
}
