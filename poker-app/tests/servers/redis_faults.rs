//! Redis crashes and restarts, with and without its data.

use poker_app::{
    link::{ToGateway, ToShard},
    store::{RedisStore, Store},
};

use crate::support::{Server, SilentProxy, TestShard, answer_to, keys, snapshot, table, until, your_vote};

const A: &str = "a:7000";
const B: &str = "b:7000";

fn notice(frame: &ToGateway) -> Option<&'static str> {
    let ToGateway::Private { text, .. } = frame else {
        return None;
    };
    ["store_unavailable", "store_available"]
        .into_iter()
        .find(|code| text.contains(&format!("\"{code}\"")))
}

#[tokio::test]
async fn a_redis_crash_loses_no_acknowledged_vote() {
    let mut server = Server::redis().await;
    let shard = TestShard::start(0, A, server.store(), None, table(1, &[(0, A)]));
    let mut link = shard.link();
    link.enter(1, "team", 1).await;
    link.vote(1, "v1", "3").await;
    assert!(link.answer("v1").await);
    server.kill();
    link.vote(1, "v2", "5").await;
    let code = link
        .next(|frame| {
            assert_eq!(
                answer_to(&frame, "v2"),
                None,
                "nothing is acknowledged without the store"
            );
            notice(&frame)
        })
        .await;
    assert_eq!(code, "store_unavailable");
    server.restart();
    let (mut acknowledged, mut notified) = (false, false);
    while !(acknowledged && notified) {
        let frame = link.try_next().await.unwrap();
        acknowledged |= answer_to(&frame, "v2") == Some(true);
        notified |= notice(&frame) == Some("store_available");
    }
    let other = TestShard::start(1, B, server.store(), None, table(2, &[(1, B)]));
    let (_, state) = other.link().enter(1, "team", 2).await;
    assert_eq!(your_vote(&state).as_deref(), Some("5"));
}

#[tokio::test]
async fn a_session_that_joins_during_a_store_outage_gets_one_current_snapshot() {
    let mut server = Server::redis().await;
    let shard = TestShard::start(0, A, server.store(), None, table(1, &[(0, A)]));
    let mut ada = shard.link();
    ada.enter(1, "team", 1).await;
    ada.enter(2, "team", 1).await;
    server.kill();
    ada.vote(1, "v1", "5").await;
    let mut ben = shard.link();
    // Joins and leaves like a client that retries.
    for _ in 0..3 {
        ben.open(3, "team", 1).await;
        ben.send(ToShard::Close { session: 3 }).await;
    }
    ben.open(3, "team", 1).await;
    ada.vote(2, "v2", "8").await;
    let code = ada.next(|frame| notice(&frame)).await;
    assert_eq!(code, "store_unavailable");
    server.restart();
    let attached = |frame| match frame {
        ToGateway::Attached { catch_up, .. } => Some(catch_up),
        _ => None,
    };
    let snapshot = snapshot(&ben.next(attached).await);
    let voted = snapshot["room"]["round"]["voted"].as_array().unwrap();
    assert_eq!(voted.len(), 2, "the vote after its arrival as well: {snapshot}");
    ben.vote(3, "v3", "5").await;
    let answered = ben
        .next(|frame| match &frame {
            ToGateway::Attached { .. } => panic!("attached twice: {frame:?}"),
            frame => answer_to(frame, "v3"),
        })
        .await;
    assert!(answered);
}

#[tokio::test]
async fn owners_restore_their_rooms_to_an_empty_redis() {
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
        let (_, state) = link.enter(team as u64, name, 2).await;
        assert_eq!(your_vote(&state).as_deref(), Some("21"));
    }
}

/// A drained node takes a shard and Redis, which comes back without data.
#[tokio::test]
async fn a_shard_that_shuts_down_with_its_redis_writes_its_rooms_back() {
    for redis_first in [true, false] {
        let mut server = Server::redis().await;
        let shard = TestShard::start(0, A, server.store(), None, table(1, &[(0, A), (1, B)]));
        let mut link = shard.link();
        link.enter(1, "team", 1).await;
        link.vote(1, "v1", "13").await;
        assert!(link.answer("v1").await);
        server.kill();
        if redis_first {
            server.restart_empty();
        }
        let drain = tokio::spawn({
            let shard = shard.shard.clone();
            async move { shard.drain().await }
        });
        if !redis_first {
            // The shard has noticed that the store does not answer.
            link.open(2, "other", 1).await;
            let store = server.store();
            until("the store is gone", async || store.ping().await.is_err()).await;
            server.restart_empty();
        }
        let owner = link
            .next(|frame| match frame {
                ToGateway::Moved { owner, .. } => Some(owner),
                _ => None,
            })
            .await;
        assert_eq!(owner, None);
        drain.await.unwrap();
        let other = TestShard::start(1, B, server.store(), None, table(1, &[(0, A), (1, B)]));
        let (_, state) = other.link().enter(1, "team", 1).await;
        assert_eq!(
            your_vote(&state).as_deref(),
            Some("13"),
            "Redis first: {redis_first}"
        );
    }
}

#[tokio::test]
async fn a_shard_can_start_before_its_redis() {
    let mut server = Server::redis().await;
    server.kill();
    let shard = TestShard::start(0, A, server.store(), None, table(1, &[(0, A)]));
    let mut link = shard.link();
    link.open(1, "team", 1).await;
    let retry_after_ms = link
        .next(|frame| match frame {
            ToGateway::OpenRefused { retry_after_ms, .. } => Some(retry_after_ms),
            _ => None,
        })
        .await;
    assert!(retry_after_ms.is_some());
    server.restart();
    link.enter(1, "team", 1).await;
}

#[tokio::test]
async fn owners_restore_a_changed_vote_to_a_redis_with_older_data() {
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

    // Like a replica that lags behind.
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
    let (_, state) = other.link().enter(1, "team", 2).await;
    assert_eq!(your_vote(&state).as_deref(), Some("8"));
}

/// A room's state in Redis.
async fn state(connection: &mut redis::aio::MultiplexedConnection, key: &str) -> Vec<u8> {
    redis::cmd("HGET")
        .arg(key)
        .arg("state")
        .query_async(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_connection_without_answers_is_dropped() {
    let server = Server::redis().await;
    let proxy = SilentProxy::of(&server).await;
    let url = format!("redis://127.0.0.1:{}", proxy.port);
    let store = Store::Redis(RedisStore::connect(&url, "test").unwrap());
    store.ping().await.unwrap();
    proxy.fall_silent();
    assert!(store.ping().await.is_err(), "the old connection does not answer");
    until("the store answers over another connection", async || {
        store.ping().await.is_ok()
    })
    .await;
}
