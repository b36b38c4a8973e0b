//! Rooms on shards: opening, losing and handing off.

use std::{collections::BTreeMap, time::Duration};

use poker_app::{
    link::{ToGateway, ToShard},
    store::{Claim, ClaimRequest, RedbStore, RoomWrite, Store},
};
use poker_core::{ErrorCode, protocol::Hello};

use crate::support::{Server, TestShard, answer_to, hello, keys, table, your_vote};

const A: &str = "a:7000";
const B: &str = "b:7000";

fn moved(frame: ToGateway) -> Option<Option<String>> {
    match frame {
        ToGateway::Moved { owner, .. } => Some(owner),
        _ => None,
    }
}

#[tokio::test]
async fn a_shard_that_lost_a_room_is_fenced_and_names_the_owner() {
    let server = Server::redis().await;
    let old = TestShard::start(0, A, server.store(), None, table(1, &[(0, A)]));
    let new = TestShard::start(1, B, server.store(), None, table(2, &[(1, B)]));
    let (mut old_link, mut new_link) = (old.link(), new.link());
    let (old_epoch, _) = old_link.enter(1, "team", 1).await;
    old_link.vote(1, "v1", "3").await;
    assert!(old_link.answer("v1").await);
    let (new_epoch, state) = new_link.enter(1, "team", 2).await;
    assert!(new_epoch > old_epoch);
    assert_eq!(your_vote(&state).as_deref(), Some("3"));
    // The old owner does not know yet, but acknowledges nothing.
    old_link.vote(1, "v2", "5").await;
    let owner = old_link
        .next(|frame| {
            assert_ne!(answer_to(&frame, "v2"), Some(true));
            moved(frame)
        })
        .await;
    assert_eq!(owner.as_deref(), Some(B));
    assert_eq!(old.metrics.rooms.get(), 0);
    new_link.vote(1, "v2", "5").await;
    assert!(new_link.answer("v2").await);
}

#[tokio::test]
async fn a_shard_that_lost_a_room_refuses_no_command() {
    let server = Server::redis().await;
    let old = TestShard::start(0, A, server.store(), None, table(1, &[(0, A)]));
    let new = TestShard::start(1, B, server.store(), None, table(2, &[(1, B)]));
    let (mut old_link, mut new_link) = (old.link(), new.link());
    old_link.enter(1, "team", 1).await;
    new_link.enter(1, "team", 2).await;
    new_link.vote(1, "v1", "3").await;
    assert!(new_link.answer("v1").await);
    new_link.done(1, "r1", r#"{"type":"reveal","round":1}"#).await;
    new_link.done(1, "a1", r#"{"type":"vote_again","round":1}"#).await;
    // The old owner does not know that the second round has started.
    old_link
        .command(1, "v2", r#"{"type":"vote","round":2,"card":"5"}"#)
        .await;
    let owner = old_link
        .next(|frame| {
            assert_eq!(answer_to(&frame, "v2"), None);
            moved(frame)
        })
        .await;
    assert_eq!(owner.as_deref(), Some(B));
}

#[tokio::test]
async fn an_owner_without_writes_learns_that_it_lost_a_room() {
    let server = Server::redis().await;
    let old = TestShard::start(0, A, server.store(), None, table(1, &[(0, A)]));
    let new = TestShard::start(1, B, server.store(), None, table(2, &[(1, B)]));
    let (mut old_link, mut new_link) = (old.link(), new.link());
    old_link.enter(1, "team", 1).await;
    new_link.enter(2, "team", 2).await;
    assert_eq!(old_link.next(moved).await.as_deref(), Some(B));
}

#[tokio::test]
async fn a_handoff_after_a_newer_table_keeps_every_acknowledged_vote() {
    let server = Server::redis().await;
    let old = TestShard::start(0, A, server.store(), None, table(1, &[(0, A)]));
    let mut link = old.link();
    link.enter(1, "team", 1).await;
    link.vote(1, "v1", "8").await;
    let newer = table(2, &[(1, B)]);
    old.routes.send_replace(newer.clone().into());
    let mut acknowledged = false;
    let owner = link
        .next(|frame| {
            acknowledged |= answer_to(&frame, "v1") == Some(true);
            moved(frame)
        })
        .await;
    assert_eq!(owner.as_deref(), Some(B));
    let new = TestShard::start(1, B, server.store(), None, newer);
    let mut link = new.link();
    let (_, state) = link.enter(1, "team", 2).await;
    if acknowledged {
        assert_eq!(your_vote(&state).as_deref(), Some("8"));
    }
    // A gateway resends unanswered commands; the vote is applied once either way.
    link.vote(1, "v1", "8").await;
    assert!(link.answer("v1").await);
}

#[tokio::test]
async fn a_shard_that_shuts_down_hands_its_rooms_off_at_once() {
    let server = Server::redis().await;
    let both = table(1, &[(0, A), (1, B)]);
    let old = TestShard::start(0, A, server.store(), None, both.clone());
    let new = TestShard::start(1, B, server.store(), None, both);
    let mut link = old.link();
    link.enter(1, "team", 1).await;
    let shard = old.shard.clone();
    let drained = tokio::spawn(async move { shard.drain().await });
    assert_eq!(link.next(moved).await, None);
    assert_eq!(old.metrics.rooms.get(), 0);
    // On the same table, the release ends the hold-down of the recent claim.
    let mut next = new.link();
    next.open(1, "team", 1).await;
    let frame = next.try_next().await;
    assert!(matches!(frame, Some(ToGateway::Attached { .. })), "{frame:?}");
    // The old shard opens no more rooms.
    link.open(2, "other", 1).await;
    let refused = link
        .next(|frame| match frame {
            ToGateway::OpenRefused { retry_after_ms, .. } => Some(retry_after_ms),
            _ => None,
        })
        .await;
    assert!(refused.is_some());
    drained.await.unwrap();
    assert!(link.try_next().await.is_none());
}

#[tokio::test]
async fn a_room_returns_home_once_all_its_gateways_reach_that_shard() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::Redb(RedbStore::open(&folder.path().join("rooms")).unwrap());
    let both = table(1, &[(0, A), (1, B)]);
    let team = (0..)
        .map(|number| format!("team-{number}"))
        .find(|team| both.first(team).unwrap().id == 0)
        .unwrap();
    let away = TestShard::start(1, B, store, None, both);
    let mut gateways = [away.link(), away.link()];
    for (session, gateway) in (1..).zip(&mut gateways) {
        gateway.enter(session, &team, 1).await;
    }
    let shards = |up: &[&str], down: &[&str]| ToShard::Shards {
        up: up.iter().map(|address| (*address).to_owned()).collect(),
        down: down.iter().map(|address| (*address).to_owned()).collect(),
    };
    gateways[0].send(shards(&["c:7000", A], &[])).await;
    gateways[1].send(shards(&[A], &[])).await;
    gateways[0].send(shards(&[], &[A])).await;
    let longer_than_needed = Duration::from_secs(5);
    let early = tokio::time::timeout(longer_than_needed, gateways[1].next(moved)).await;
    assert!(early.is_err(), "one of the gateways does not reach it: {early:?}");
    gateways[0].send(shards(&[A], &[])).await;
    for gateway in &mut gateways {
        assert_eq!(gateway.next(moved).await.as_deref(), Some(A));
    }
    assert_eq!(
        (away.metrics.rooms.get(), away.metrics.handoffs("home").get()),
        (0, 1)
    );
}

#[tokio::test]
async fn a_missing_team_is_refused_permanently() {
    let server = Server::redis().await;
    let shard = TestShard::start(0, A, server.store(), None, table(1, &[(0, A)]));
    let mut link = shard.link();
    link.send(ToShard::Open {
        session: 1,
        team: "missing".into(),
        table_version: 1,
        hello: Hello {
            create: None,
            ..hello(1)
        },
    })
    .await;
    let frame = link.try_next().await;
    let Some(ToGateway::OpenRefused {
        code, retry_after_ms, ..
    }) = frame
    else {
        panic!("{frame:?}");
    };
    assert_eq!((code, retry_after_ms), (ErrorCode::TeamNotFound, None));
}

/// After the way back from a newer version.
#[tokio::test]
async fn a_room_that_a_newer_version_wrote_is_kept_and_its_sessions_retry() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::Redb(RedbStore::open(&folder.path().join("rooms")).unwrap());
    let shard = TestShard::start(0, A, store.clone(), None, table(1, &[(0, A)]));
    let claim = ClaimRequest {
        team: "team".into(),
        table: 1,
        owner: A.into(),
        create: true,
    };
    let Claim::Owned { epoch, .. } = store.claim(&claim).await.unwrap() else {
        panic!("refused");
    };
    let state = br#"{"version":99,"shape":"another"}"#.to_vec();
    let write = RoomWrite {
        team: "team".into(),
        epoch,
        change: 1,
        table: 1,
        owner: A.into(),
        state: state.clone(),
        history: Vec::new(),
    };
    store.commit(vec![write]).await.unwrap();
    let mut link = shard.link();
    link.open(1, "team", 1).await;
    let frame = link.try_next().await;
    let Some(ToGateway::OpenRefused {
        code, retry_after_ms, ..
    }) = frame
    else {
        panic!("{frame:?}");
    };
    assert_eq!(code, ErrorCode::Unavailable);
    assert!(retry_after_ms.is_some());
    assert_eq!(store.state("team").await.unwrap(), Some(state));
}

#[tokio::test]
async fn a_vote_is_published_without_its_card() {
    let server = Server::redis().await;
    let shard = TestShard::start(0, A, server.store(), None, table(1, &[(0, A)]));
    let (mut ada, mut ben) = (shard.link(), shard.link());
    ada.enter(1, "team", 1).await;
    ben.enter(2, "team", 1).await;
    ada.vote(1, "v1", "13").await;
    let text = ben
        .next(|frame| match frame {
            ToGateway::Publish { text, .. } if text.contains("voted") => Some(text),
            _ => None,
        })
        .await;
    // The epoch contains digits as well.
    assert!(!text.contains(r#""13""#), "{text}");
    assert!(ada.answer("v1").await);
}

#[tokio::test]
async fn a_preview_claims_nothing_and_leaves_the_stored_room_unchanged() {
    let server = Server::redis().await;
    let owner = TestShard::start(0, A, server.store(), None, table(1, &[(0, A)]));
    owner.link().enter(1, "team", 1).await;
    let mut redis = server.redis_connection().await;
    let key = keys(&mut redis, "*:room").await.remove(0);
    let () = redis::cmd("EXPIRE")
        .arg(&key)
        .arg(1_000)
        .query_async(&mut redis)
        .await
        .unwrap();
    let before = stored(&mut redis, &key).await;
    // The new owner by a newer table, and a shard that no table names.
    for (id, address, version) in [(1, B, 2), (2, "c:7000", 1)] {
        let table = table(version, &[(1, B)]);
        let shard = TestShard::start(id, address, server.store(), None, table);
        let mut link = shard.link();
        assert_eq!(link.preview("team").await.as_deref(), Some("Blue"));
        assert_eq!(link.preview("missing").await, None);
        assert_eq!((shard.metrics.claims.get(), shard.metrics.rooms.get()), (0, 0));
    }
    assert_eq!(stored(&mut redis, &key).await, before);
    assert_eq!(keys(&mut redis, "*").await.len(), 1, "no other key is written");
    let ttl: i64 = redis::cmd("TTL").arg(&key).query_async(&mut redis).await.unwrap();
    assert!(ttl <= 1_000, "the expiry is not renewed: {ttl}");
}

/// A room's owner, epoch and other fields in Redis.
async fn stored(redis: &mut redis::aio::MultiplexedConnection, key: &str) -> BTreeMap<String, Vec<u8>> {
    redis::cmd("HGETALL").arg(key).query_async(redis).await.unwrap()
}

#[tokio::test]
async fn a_preview_reads_the_embedded_store_without_a_claim() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::Redb(RedbStore::open(&folder.path().join("rooms")).unwrap());
    let owner = TestShard::start(0, A, store.clone(), None, table(1, &[(0, A)]));
    owner.link().enter(1, "team", 1).await;
    let teams = ["team".into(), "missing".into()];
    let before = store.check(&teams).await.unwrap();
    let other = TestShard::start(1, B, store.clone(), None, table(2, &[(1, B)]));
    let mut link = other.link();
    assert_eq!(link.preview("team").await.as_deref(), Some("Blue"));
    assert_eq!(link.preview("missing").await, None);
    assert_eq!(other.metrics.claims.get(), 0);
    assert_eq!(store.check(&teams).await.unwrap(), before);
}
