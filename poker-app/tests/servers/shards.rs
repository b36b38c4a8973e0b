//! Rooms on shards: opening, losing, moving, handing over.

use poker_app::link::ToGateway;

use crate::support::{Server, TestShard, table, your_vote};

const A: &str = "a:7000";
const B: &str = "b:7000";

fn moved(frame: ToGateway) -> Option<Option<String>> {
    match frame {
        ToGateway::Moved { owner, .. } => Some(owner),
        _ => None,
    }
}

#[tokio::test]
async fn a_shard_that_lost_a_room_is_fenced_and_says_where_it_went() {
    let server = Server::redis().await;
    let old = TestShard::start(0, A, server.store(), None, table(1, &[(0, A)]));
    let new = TestShard::start(1, B, server.store(), None, table(2, &[(1, B)]));
    let (mut old_link, mut new_link) = (old.link(), new.link());
    let (old_epoch, _) = old_link.enter(1, "team", 1).await;
    old_link.vote(1, "v1", "3").await;
    assert!(old_link.answer("v1").await);
    let (new_epoch, texts) = new_link.enter(1, "team", 2).await;
    assert!(new_epoch > old_epoch);
    assert_eq!(your_vote(&texts).as_deref(), Some("3"));
    // The old owner does not know yet. What it is told now is never acknowledged.
    old_link.vote(1, "v2", "5").await;
    let owner = old_link
        .next(|frame| {
            assert_ne!(crate::support::answer_to(&frame, "v2"), Some(true));
            moved(frame)
        })
        .await;
    assert_eq!(owner.as_deref(), Some(B));
    assert_eq!(old.metrics.rooms.get(), 0);
    new_link.vote(1, "v2", "5").await;
    assert!(new_link.answer("v2").await);
}

#[tokio::test]
async fn a_shard_that_lost_a_room_refuses_nothing_in_the_name_of_its_owner() {
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
    // To the old owner, who does not know yet, the second round has not begun.
    old_link
        .command(1, "v2", r#"{"type":"vote","round":2,"card":"5"}"#)
        .await;
    let owner = old_link
        .next(|frame| {
            assert_eq!(crate::support::answer_to(&frame, "v2"), None);
            moved(frame)
        })
        .await;
    assert_eq!(owner.as_deref(), Some(B));
}

#[tokio::test]
async fn a_silent_owner_learns_that_it_lost_a_room() {
    let server = Server::redis().await;
    let old = TestShard::start(0, A, server.store(), None, table(1, &[(0, A)]));
    let new = TestShard::start(1, B, server.store(), None, table(2, &[(1, B)]));
    let (mut old_link, mut new_link) = (old.link(), new.link());
    old_link.enter(1, "team", 1).await;
    new_link.enter(2, "team", 2).await;
    assert_eq!(old_link.next(moved).await.as_deref(), Some(B));
}

#[tokio::test]
async fn a_newer_table_moves_rooms_with_everything_acknowledged() {
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
            acknowledged |= crate::support::answer_to(&frame, "v1") == Some(true);
            moved(frame)
        })
        .await;
    assert_eq!(owner.as_deref(), Some(B));
    let new = TestShard::start(1, B, server.store(), None, newer);
    let mut link = new.link();
    let (_, texts) = link.enter(1, "team", 2).await;
    if acknowledged {
        assert_eq!(your_vote(&texts).as_deref(), Some("8"));
    }
    // A gateway sends what was not answered again; applied once either way.
    link.vote(1, "v1", "8").await;
    assert!(link.answer("v1").await);
}

#[tokio::test]
async fn a_shard_that_ends_hands_everything_over_at_once() {
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
    // The same table and a claim of a moment ago: the release lets the next owner in.
    let mut next = new.link();
    next.open(1, "team", 1).await;
    let frame = next.try_next().await;
    assert!(matches!(frame, Some(ToGateway::Attached { .. })), "{frame:?}");
    // Whoever still asks the old one is sent away.
    link.open(2, "other", 1).await;
    let refused = link
        .next(|frame| match frame {
            ToGateway::Refused { retry_ms, .. } => Some(retry_ms),
            _ => None,
        })
        .await;
    assert!(refused > 0);
    drained.await.unwrap();
    assert!(link.try_next().await.is_none());
}

#[tokio::test]
async fn a_team_that_does_not_exist_is_refused_for_good() {
    let server = Server::redis().await;
    let shard = TestShard::start(0, A, server.store(), None, table(1, &[(0, A)]));
    let mut link = shard.link();
    let hello = r#"{"type":"hello","protocol":1,"key":"00000000000000000000000000000001","name":"Ada","role":"voter"}"#;
    link.send(poker_app::link::ToShard::Open {
        session: 1,
        team: "nobody".into(),
        table_version: 1,
        hello: hello.into(),
    })
    .await;
    let frame = link.try_next().await;
    let Some(ToGateway::Refused { code, retry_ms, .. }) = frame else {
        panic!("{frame:?}");
    };
    assert_eq!((code.as_str(), retry_ms), ("team_not_found", 0));
}

#[tokio::test]
async fn everyone_hears_of_a_vote_in_order_and_only_the_voter_sees_the_card() {
    let server = Server::redis().await;
    let shard = TestShard::start(0, A, server.store(), None, table(1, &[(0, A)]));
    let (mut ada, mut ben) = (shard.link(), shard.link());
    ada.enter(1, "team", 1).await;
    let (_, texts) = ben.enter(2, "team", 1).await;
    assert!(!texts.is_empty());
    ada.vote(1, "v1", "13").await;
    let text = ben
        .next(|frame| match frame {
            ToGateway::Publish { text, .. } if text.contains("voted") => Some(text),
            _ => None,
        })
        .await;
    // The epoch holds digits, too.
    assert!(!text.contains(r#""13""#), "{text}");
    assert!(ada.answer("v1").await);
}
