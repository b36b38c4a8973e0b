//! The ownership rules of both stores.

use std::sync::Arc;

use poker_app::store::{Claim, ClaimRequest, Committed, RedbStore, ReleaseRequest, RoomWrite, Store};
use redis::aio::MultiplexedConnection;

use crate::support::{Server, keys, until};

fn claim(team: &str, table: u64, owner: &str) -> ClaimRequest {
    ClaimRequest {
        team: team.into(),
        table,
        owner: owner.into(),
        create: true,
    }
}

fn write(team: &str, epoch: u64, owner: &str, state: &str) -> RoomWrite {
    RoomWrite {
        team: team.into(),
        epoch,
        change: 1,
        table: 1,
        owner: owner.into(),
        state: state.into(),
        history: Vec::new(),
    }
}

async fn own(store: &Store, request: &ClaimRequest) -> (u64, Option<String>) {
    match store.claim(request).await.unwrap() {
        Claim::Owned { epoch, state, .. } => (epoch, state.map(|state| String::from_utf8(state).unwrap())),
        other => panic!("{other:?}"),
    }
}

async fn commit(store: &Store, write: RoomWrite) -> Committed {
    let mut results = store.commit(vec![write]).await.unwrap();
    results.remove(0).unwrap()
}

/// Both stores, with the guard of the Redis server.
async fn stores() -> (Server, tempfile::TempDir, Vec<Store>) {
    let server = Server::redis().await;
    let dir = tempfile::tempdir().unwrap();
    let redb = Store::Redb(RedbStore::open(&dir.path().join("rooms")).unwrap());
    let stores = vec![server.store(), redb];
    (server, dir, stores)
}

#[tokio::test]
async fn only_the_newest_claimant_writes() {
    let (_server, _dir, stores) = stores().await;
    for store in stores {
        let (older, state) = own(&store, &claim("team", 1, "a")).await;
        assert_eq!(state, None);
        assert_eq!(
            commit(&store, write("team", older, "a", "first")).await,
            Committed::Stored
        );
        let (newer, state) = own(&store, &claim("team", 2, "b")).await;
        assert!(newer > older);
        assert_eq!(state.as_deref(), Some("first"));
        let lost = Committed::Lost {
            owner: "b".into(),
            table: 2,
        };
        assert_eq!(commit(&store, write("team", older, "a", "late")).await, lost);
        // Even with the same epoch, as after a restore of older data.
        assert_eq!(commit(&store, write("team", newer, "c", "late")).await, lost);
        assert_eq!(
            commit(&store, write("team", newer, "b", "second")).await,
            Committed::Stored
        );
        let (_, state) = own(&store, &claim("team", 2, "b")).await;
        assert_eq!(state.as_deref(), Some("second"));
    }
}

#[tokio::test]
async fn a_claim_on_an_older_table_is_refused_with_the_owner() {
    let (_server, _dir, stores) = stores().await;
    for store in stores {
        own(&store, &claim("team", 5, "a")).await;
        let refused = Claim::Refused {
            owner: "a".into(),
            table: 5,
        };
        assert_eq!(store.claim(&claim("team", 4, "b")).await.unwrap(), refused);
    }
}

#[tokio::test]
async fn a_room_is_created_only_on_request() {
    let (_server, _dir, stores) = stores().await;
    for store in stores {
        let mut request = claim("team", 1, "a");
        request.create = false;
        assert_eq!(store.claim(&request).await.unwrap(), Claim::Missing);
        own(&store, &claim("team", 1, "a")).await;
        own(&store, &request).await;
    }
}

#[tokio::test]
async fn a_recent_claim_holds_on_the_same_table_until_released_or_expired() {
    let server = Server::redis().await;
    let store = server.store();
    let (epoch, _) = own(&store, &claim("team", 1, "a")).await;
    let answer = store.claim(&claim("team", 1, "b")).await.unwrap();
    assert!(
        matches!(&answer, Claim::Refused { owner, .. } if owner == "a"),
        "{answer:?}"
    );
    let team: Arc<str> = "team".into();
    let room = |change| ReleaseRequest {
        team: team.clone(),
        epoch,
        change,
    };
    assert_eq!(store.release("b", &[room(0)]).await.unwrap(), [true]);
    assert!(matches!(
        store.claim(&claim("team", 1, "b")).await.unwrap(),
        Claim::Refused { .. }
    ));
    // The store does not have this change.
    assert_eq!(store.release("a", &[room(1)]).await.unwrap(), [false]);
    assert_eq!(store.release("a", &[room(0)]).await.unwrap(), [true]);
    own(&store, &claim("team", 1, "b")).await;
    until("the hold-down ends", async || {
        matches!(
            store.claim(&claim("team", 1, "c")).await.unwrap(),
            Claim::Owned { .. }
        )
    })
    .await;
}

#[tokio::test]
async fn a_claim_in_the_future_does_not_hold_the_room_down() {
    let server = Server::redis().await;
    let store = server.store();
    own(&store, &claim("team", 1, "a")).await;
    let mut connection = server.redis_connection().await;
    let key = keys(&mut connection, "*team*").await.remove(0);
    // As if the room had been claimed an hour in the future.
    let hour_ms = 3_600_000u64;
    let claimed: u64 = redis::cmd("HGET")
        .arg(&key)
        .arg("claimed")
        .query_async(&mut connection)
        .await
        .unwrap();
    let () = redis::cmd("HSET")
        .arg(&key)
        .arg("claimed")
        .arg(claimed + hour_ms)
        .query_async(&mut connection)
        .await
        .unwrap();
    own(&store, &claim("team", 1, "b")).await;
}

#[tokio::test]
async fn the_newest_owner_restores_a_room_that_the_store_lost() {
    let (_server, _dir, stores) = stores().await;
    for store in stores {
        assert_eq!(
            commit(&store, write("team", 7, "b", "held")).await,
            Committed::Stored
        );
        let stamp = store.check(&["team".into(), "none".into()]).await.unwrap();
        assert_eq!(
            stamp[0].as_ref().map(|stamp| (stamp.epoch, stamp.change)),
            Some((7, 1))
        );
        assert_eq!(stamp[1], None);
        let lost = Committed::Lost {
            owner: "b".into(),
            table: 1,
        };
        assert_eq!(commit(&store, write("team", 6, "a", "older")).await, lost);
        assert_eq!(
            commit(&store, write("team", 8, "c", "newer")).await,
            Committed::Stored
        );
    }
}

#[tokio::test]
async fn the_outbox_keeps_events_in_order_until_delivered() {
    let (_server, _dir, stores) = stores().await;
    for store in stores {
        let events = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        let bytes = |names: &[&str]| {
            names
                .iter()
                .map(|name| name.as_bytes().to_vec())
                .collect::<Vec<_>>()
        };
        let (epoch, _) = own(&store, &claim("team", 1, "a")).await;
        for names in [&["e1", "e2"][..], &["e3"]] {
            let history = events(names);
            let write = RoomWrite {
                history,
                ..write("team", epoch, "a", "s")
            };
            assert_eq!(commit(&store, write).await, Committed::Stored);
        }
        assert_eq!(store.outbox("team", 2).await.unwrap(), bytes(&["e1", "e2"]));
        assert_eq!(store.outboxes().await.unwrap(), [(Arc::from("team"), 3)]);
        // Trimming a missing event removes no other event.
        assert_eq!(store.trim("team", &bytes(&["e0", "e2"])).await.unwrap(), 2);
        assert_eq!(store.outbox("team", 9).await.unwrap(), bytes(&["e1", "e3"]));
        assert_eq!(store.trim("team", &[]).await.unwrap(), 2);
        assert_eq!(store.trim("team", &bytes(&["e1", "e3"])).await.unwrap(), 0);
        assert!(store.outboxes().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_late_write_does_not_replace_newer_state() {
    let server = Server::redis().await;
    let store = server.store();
    let (epoch, _) = own(&store, &claim("team", 1, "a")).await;
    for (change, state) in [(2, "newer"), (1, "late")] {
        let write = RoomWrite {
            change,
            ..write("team", epoch, "a", state)
        };
        assert_eq!(commit(&store, write).await, Committed::Stored);
    }
    let (_, state) = own(&store, &claim("team", 2, "a")).await;
    assert_eq!(state.as_deref(), Some("newer"));
}

#[tokio::test]
async fn an_epoch_is_never_repeated_even_after_a_restore_of_older_data() {
    let server = Server::redis().await;
    let store = server.store();
    let (epoch, _) = own(&store, &claim("team", 1, "a")).await;
    let mut connection = server.redis_connection().await;
    let key = keys(&mut connection, "*:room").await.remove(0);
    // Older data, from before many claims.
    let older = epoch - 1_000;
    let () = redis::cmd("HSET")
        .arg(&key)
        .arg("epoch")
        .arg(older)
        .query_async(&mut connection)
        .await
        .unwrap();
    let (again, _) = own(&store, &claim("team", 2, "b")).await;
    assert!(again >= epoch, "{again} after {epoch}");
}

#[tokio::test]
async fn unused_rooms_and_outboxes_expire() {
    let server = Server::redis().await;
    let store = server.store();
    let (epoch, _) = own(&store, &claim("team", 1, "a")).await;
    let mut connection = server.redis_connection().await;
    for key in keys(&mut connection, "*").await {
        let () = redis::cmd("PERSIST")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .unwrap();
    }
    let write = RoomWrite {
        history: vec!["e".to_owned()],
        ..write("team", epoch, "a", "s")
    };
    commit(&store, write).await;
    let written = keys(&mut connection, "*").await;
    assert_eq!(written.len(), 2);
    own(&store, &claim("other", 1, "a")).await;
    for key in keys(&mut connection, "*").await {
        let seconds: i64 = redis::cmd("TTL")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .unwrap();
        assert!(seconds > 80 * 24 * 3_600, "{key}: {seconds}");
    }
}

#[tokio::test]
async fn a_full_store_refuses_new_rooms_and_keeps_serving_existing_ones() {
    let server = Server::redis().await;
    let store = server.store();
    let (epoch, _) = own(&store, &claim("team", 1, "a")).await;
    let mut connection = server.redis_connection().await;
    let info: String = redis::cmd("INFO")
        .arg("memory")
        .query_async(&mut connection)
        .await
        .unwrap();
    let used = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"))
        .unwrap();
    let nearly_full = used.trim().parse::<u64>().unwrap() * 105 / 100;
    limit_memory(&mut connection, nearly_full).await;
    assert_eq!(store.claim(&claim("new", 1, "a")).await.unwrap(), Claim::Full);
    assert_eq!(
        commit(&store, write("team", epoch, "a", "s")).await,
        Committed::Stored
    );
    own(&store, &claim("team", 2, "b")).await;
    limit_memory(&mut connection, 0).await;
    own(&store, &claim("new", 1, "a")).await;
}

/// 0: no limit.
async fn limit_memory(connection: &mut MultiplexedConnection, bytes: u64) {
    let mut command = redis::cmd("CONFIG");
    command.arg("SET").arg("maxmemory").arg(bytes);
    command.query_async::<()>(connection).await.unwrap();
}
