//! Persistence: rounds in the history, and rooms across a restart.

use poker_app::{history::RedbHistory, standalone::HISTORY_FILE};
use poker_core::{
    history::{HistoryEvent, TeamHistory},
    protocol::Command,
};

use crate::{
    client::Client,
    process::{free_port, local, until},
    standalone::{http, http_whole, spawn, start},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revealed_round_is_in_the_history_of_its_team() {
    let data = tempfile::tempdir().unwrap();
    let (standalone, address) = start(data.path()).await;
    let request = "POST /api/teams HTTP/1.1\ncontent-type: application/json\n\n{\"name\":\"Blue Team\"}";
    let (status, body) = http(address, request).await;
    assert_eq!(status, 201);
    let team = serde_json::from_str::<serde_json::Value>(&body).unwrap()["slug"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(team.starts_with("blue-team-"), "{team}");
    let mut ada = Client::join(address, &team, "Ada").await;
    let mut ben = Client::join(address, &team, "Ben").await;
    assert!(ben.room.participants[0].facilitator);
    let titles = vec!["=Login".to_owned()];
    ada.command(Command::AddStories { titles }).await.unwrap();
    for client in [&mut ada, &mut ben] {
        client.until_room(|room| room.round.story.is_some()).await;
    }
    ada.vote("2").await.unwrap();
    ben.vote("xyzzy").await.unwrap();
    ada.reveal().await;
    ben.until_room(|room| room.round.votes.as_ref().is_some_and(|votes| votes.len() == 2))
        .await;
    let (round, card) = (ada.room.round.number, "2".to_owned());
    ada.command(Command::SaveEstimate { round, card }).await.unwrap();
    let path = format!("GET /api/teams/{team}/history");
    until("the round is in the history", async || {
        let (_, body) = http(address, &format!("{path} HTTP/1.1")).await;
        body.contains("\"estimate\":\"2\"")
    })
    .await;
    let (status, csv) = http(address, &format!("{path}?format=csv HTTP/1.1")).await;
    assert_eq!(status, 200);
    assert!(csv.contains("'=Login"), "{csv}");
    assert_eq!(csv.lines().count(), 3);
    standalone.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_reports_that_older_rounds_are_left_out() {
    let revealed = |round: usize| -> HistoryEvent {
        let event = serde_json::json!({
            "team": "old", "epoch": 1, "seq": round, "atMs": round, "kind": "round_revealed", "round": round,
            "story": null, "votes": [], "stats": {"histogram": [], "median": null, "mean": null, "agreement": 0},
        });
        serde_json::from_value(event).unwrap()
    };
    for rounds in [1_000, 1_001] {
        let data = tempfile::tempdir().unwrap();
        let history = RedbHistory::open(&data.path().join(HISTORY_FILE)).unwrap();
        let events: Vec<_> = (1..=rounds).map(revealed).collect();
        history.write(&events).await.unwrap();
        drop(history);
        let (standalone, address) = start(data.path()).await;
        let (status, head, body) = http_whole(address, "GET /api/teams/old/history HTTP/1.1").await;
        assert_eq!(status, 200);
        assert!(head.contains("cache-control: no-store"), "{head}");
        let history: TeamHistory = serde_json::from_str(&body).unwrap();
        assert_eq!(history.rounds.len(), rounds.min(1_000));
        assert_eq!(history.older_left_out, rounds > 1_000);
        standalone.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_loses_no_data_even_after_a_kill() {
    let data = tempfile::tempdir().unwrap();
    let port = free_port();
    let address = local(port);
    let mut process = spawn(data.path(), port).await;
    let mut ada = Client::join(address, "again", "Ada").await;
    let mut ben = Client::join(address, "again", "Ben").await;
    let titles = vec!["Login".to_owned()];
    ada.command(Command::AddStories { titles }).await.unwrap();
    ben.until_room(|room| room.round.story.is_some()).await;
    ada.vote("2").await.unwrap();
    ada.reveal().await;
    let path = "GET /api/teams/again/history HTTP/1.1";
    until("the round is in the history", async || {
        http(address, path).await.1.contains(r#""card":"2""#)
    })
    .await;
    let history = http(address, path).await;
    let round = ada.room.round.number;
    ada.command(Command::VoteAgain { round }).await.unwrap();
    ben.until_room(|room| room.round.number > round).await;
    ben.vote("xyzzy").await.unwrap();
    for is_kill in [true, false] {
        if is_kill {
            process.kill();
        } else {
            process.terminate();
            assert!(process.ended().await.success());
        }
        process = spawn(data.path(), port).await;
        let again = Client::join(address, "again", "Ben").await;
        assert_eq!(again.you, ben.you);
        assert_eq!(again.your_vote.as_deref(), Some("xyzzy"));
        assert_eq!(again.room.stories[0].title, "Login");
        assert_eq!(again.room.participants.len(), 2);
        assert!(again.seen.epoch > ben.seen.epoch);
        assert_eq!(http(address, path).await, history);
        let resumed = ada.return_to(address, "again").await;
        assert!(!resumed, "another epoch gives a snapshot");
        ada.until_snapshot_after(ada.snapshots).await;
        assert_eq!(ada.room.round.voted, [ben.you.clone()]);
        ben.seen = again.seen;
    }
}
