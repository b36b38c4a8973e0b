//! Redis dies and comes back, with and without its data.

use poker_app::{
    link::{ToGateway, ToShard},
    store::{RedisStore, Store},
};

use crate::support::{Front, Server, TestShard, answer_to, keys, table, until, your_vote};

const A: &str = "a:7000";
const B: &str = "b:7000";

fn notice(frame: &ToGateway) -> Option<&'static str> {
    let ToGateway::ToSession { text, .. } = frame else {
        return None;
    };
    ["store_unavailable", "store_available"]
        .into_iter()
        .find(|code| text.contains(&format!("\"{code}\"")))
}

#[tokio::test]
async fn redis_killed_and_back_loses_no_acknowledged_vote() {
    let mut server = Server::redis().await;
    let shard = TestShard::start(0, A, server.store(), None, table(1, &[(0, A)]));
    let mut link = shard.link();
    link.enter(1, "team", 1).await;
    link.vote(1, "v1", "3").await;
    assert!(link.answer("v1").await);
    server.kill();
    link.vote(1, "v2", "5").await;
    let told = link
        .next(|frame| {
            assert_eq!(
                answer_to(&frame, "v2"),
                None,
                "nothing is acknowledged without the store"
            );
            notice(&frame)
        })
        .await;
    assert_eq!(told, "store_unavailable");
    server.restart();
    let (mut acknowledged, mut told) = (false, false);
    while !(acknowledged && told) {
        let frame = link.try_next().await.unwrap();
        acknowledged |= answer_to(&frame, "v2") == Some(true);
        told |= notice(&frame) == Some("store_available");
    }
    let other = TestShard::start(1, B, server.store(), None, table(2, &[(1, B)]));
    let (_, texts) = other.link().enter(1, "team", 2).await;
    assert_eq!(your_vote(&texts).as_deref(), Some("5"));
}

#[tokio::test]
async fn who_comes_while_the_store_is_away_is_greeted_with_the_room_as_it_is_then() {
    let mut server = Server::redis().await;
    let shard = TestShard::start(0, A, server.store(), None, table(1, &[(0, A)]));
    let mut ada = shard.link();
    ada.enter(1, "team", 1).await;
    ada.enter(2, "team", 1).await;
    server.kill();
    ada.vote(1, "v1", "5").await;
    let mut ben = shard.link();
    // Comes and goes as a client does that gives up, and comes again.
    for _ in 0..3 {
        ben.open(3, "team", 1).await;
        ben.send(ToShard::Close { session: 3 }).await;
    }
    ben.open(3, "team", 1).await;
    ada.vote(2, "v2", "8").await;
    let told = ada.next(|frame| notice(&frame)).await;
    assert_eq!(told, "store_unavailable");
    server.restart();
    let attached = |frame| match frame {
        ToGateway::Attached { texts, .. } => Some(texts),
        _ => None,
    };
    let texts = ben.next(attached).await;
    let snapshot: serde_json::Value = serde_json::from_str(&texts[1]).unwrap();
    let voted = snapshot["room"]["round"]["voted"].as_array().unwrap();
    assert_eq!(voted.len(), 2, "the vote after its arrival as well: {snapshot}");
    ben.vote(3, "v3", "5").await;
    let answered = ben
        .next(|frame| match &frame {
            ToGateway::Attached { .. } => panic!("greeted twice: {frame:?}"),
            frame => answer_to(frame, "v3"),
        })
        .await;
    assert!(answered);
}

#[tokio::test]
async fn redis_back_empty_gets_back_what_owners_hold() {
    let server = Server::redis().await;
    let shard = TestShard::start(0, A, server.store(), None, table(1, &[(0, A)]));
    let mut link = shard.link();
    for team in 0..50 {
        let team_name = format!("team-{team}");
        link.enter(team, &team_name, 1).await;
        let id = format!("v{team}");
        link.vote(team, &id, "21").await;
        assert!(link.answer(&id).await);
    }
    let mut connection = server.redis_connection().await;
    let () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
    let store = server.store();
    let teams: Vec<_> = (0..50).map(|team| format!("team-{team}").into()).collect();
    until("the owner restores every room", async || {
        store.check(&teams).await.unwrap().iter().all(Option::is_some)
    })
    .await;
    let other = TestShard::start(1, B, server.store(), None, table(2, &[(1, B)]));
    let mut link = other.link();
    for (team, name) in teams.iter().enumerate() {
        let (_, texts) = link.enter(team as u64, name, 2).await;
        assert_eq!(your_vote(&texts).as_deref(), Some("21"));
    }
}

#[tokio::test]
async fn a_shard_starts_before_its_redis() {
    let mut server = Server::redis().await;
    server.kill();
    let shard = TestShard::start(0, A, server.store(), None, table(1, &[(0, A)]));
    let mut link = shard.link();
    link.open(1, "team", 1).await;
    let retry_ms = link
        .next(|frame| match frame {
            ToGateway::Refused { retry_ms, .. } => Some(retry_ms),
            _ => None,
        })
        .await;
    assert!(retry_ms > 0);
    server.restart();
    link.enter(1, "team", 1).await;
}

#[tokio::test]
async fn redis_back_with_an_older_copy_gets_back_a_vote_that_was_changed() {
    let server = Server::redis().await;
    let shard = TestShard::start(0, A, server.store(), None, table(1, &[(0, A)]));
    let mut link = shard.link();
    link.enter(1, "team", 1).await;
    link.vote(1, "v1", "5").await;
    assert!(link.answer("v1").await);
    let mut connection = server.redis_connection().await;
    let room = keys(&mut connection, "*:room").await.remove(0);
    let copy: Vec<u8> = redis::cmd("DUMP")
        .arg(&room)
        .query_async(&mut connection)
        .await
        .unwrap();
    let older = state(&mut connection, &room).await;
    link.vote(1, "v2", "8").await;
    assert!(link.answer("v2").await);

    // As a replica that had not heard of the last change.
    let () = redis::cmd("RESTORE")
        .arg(&room)
        .arg(0)
        .arg(&copy)
        .arg("REPLACE")
        .query_async(&mut connection)
        .await
        .unwrap();
    until("the owner restores the room", async || {
        state(&mut connection, &room).await != older
    })
    .await;
    let other = TestShard::start(1, B, server.store(), None, table(2, &[(1, B)]));
    let (_, texts) = other.link().enter(1, "team", 2).await;
    assert_eq!(your_vote(&texts).as_deref(), Some("8"));
}

/// What Redis holds of a room.
async fn state(connection: &mut redis::aio::MultiplexedConnection, key: &str) -> Vec<u8> {
    redis::cmd("HGET")
        .arg(key)
        .arg("state")
        .query_async(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_connection_on_which_no_answer_comes_is_given_up() {
    let server = Server::redis().await;
    let front = Front::of(&server).await;
    let url = format!("redis://127.0.0.1:{}", front.port);
    let store = Store::Redis(RedisStore::connect(&url, "test").unwrap());
    store.ping().await.unwrap();
    front.fall_silent();
    assert!(
        store.ping().await.is_err(),
        "nobody answers on the old connection"
    );
    until("the store answers over another connection", async || {
        store.ping().await.is_ok()
    })
    .await;
}
