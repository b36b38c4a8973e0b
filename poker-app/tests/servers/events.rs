//! From a revealed round to the database: exactly once, whatever crashes.

use std::net::SocketAddr;

use poker_app::{
    cli::{Common, WorkerArgs},
    events::{KafkaSink, Sink},
    history::{History, PostgresHistory, RedbHistory},
    metrics::WorkerMetrics,
    store::{Claim, ClaimRequest, RedbStore, RoomWrite, Store},
    worker,
};
use poker_core::history::HistoryEvent;
use prometheus_client::registry::Registry;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    producer::{FutureProducer, FutureRecord},
};
use tokio::task::JoinHandle;

use crate::support::{Link, STUCK, Server, SilentProxy, TestShard, postgres_url, table, until};

pub const TOPIC: &str = "history";
const A: &str = "a:7000";

pub struct World {
    pub redis: Server,
    pub kafka: Server,
    pub postgres: Server,
}

impl World {
    pub async fn start() -> World {
        let (kafka, postgres) = (Server::start("kafka"), Server::start("postgres"));
        let world = World {
            redis: Server::redis().await,
            kafka,
            postgres,
        };
        world.make_topic().await;
        world
    }

    async fn make_topic(&self) {
        let topic = NewTopic::new(TOPIC, 3, TopicReplication::Fixed(1));
        let options = AdminOptions::new().request_timeout(Some(STUCK / 6));
        until("kafka makes the topic", async || {
            // A client may get stuck while the machine has no CPU for the broker: see `fenced_broker`.
            let admin: AdminClient<DefaultClientContext> = self.kafka_client().create().unwrap();
            let made = admin.create_topics([&topic], &options).await;
            made.is_ok_and(|results| {
                results.iter().all(|result| match result {
                    Ok(_) => true,
                    Err((_, code)) => *code == rdkafka::error::RDKafkaErrorCode::TopicAlreadyExists,
                })
            })
        })
        .await;
    }

    async fn delete_topic(&self) {
        let admin: AdminClient<DefaultClientContext> = self.kafka_client().create().unwrap();
        let deleted = admin.delete_topics(&[TOPIC], &AdminOptions::new()).await;
        deleted.unwrap().remove(0).unwrap();
    }

    fn kafka_client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.kafka.brokers());
        config
    }

    pub fn sink(&self) -> Sink {
        Sink::Kafka(KafkaSink::new(&self.kafka.brokers(), TOPIC).unwrap())
    }

    fn shard(&self) -> TestShard {
        TestShard::start(0, A, self.redis.store(), Some(self.sink()), table(1, &[(0, A)]))
    }

    /// A worker in this process; abort it to crash it.
    pub fn worker(&self) -> (JoinHandle<()>, WorkerMetrics) {
        let args = WorkerArgs {
            common: Common {
                namespace: String::new(),
                cluster: String::new(),
                revision: String::new(),
                pod: String::new(),
                log: poker_service::logs::LogFormat::Text,
                admin_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            },
            kafka_brokers: self.kafka.brokers(),
            kafka_topic: TOPIC.into(),
            kafka_group: "worker".into(),
            database_url: self.postgres.postgres_url(),
        };
        let metrics = WorkerMetrics::register(&mut Registry::default());
        let seen = metrics.clone();
        let task = tokio::spawn(async move {
            worker::copy(&args, metrics, poker_service::readiness::Readiness::default())
                .await
                .unwrap();
        });
        (task, seen)
    }

    fn history(&self) -> History {
        History::Postgres(PostgresHistory::new(&self.postgres.postgres_url()).unwrap())
    }

    /// Waits until the team's history has exactly this many rounds, each with one vote.
    async fn await_rounds(&self, team: &str, rounds: usize) {
        let history = self.history();
        let mut found = Vec::new();
        until("the history arrives", async || {
            found = history.rounds(team).await.unwrap_or_default();
            found.len() >= rounds
        })
        .await;
        let numbers: Vec<u64> = found.iter().rev().map(|round| round.round).collect();
        assert_eq!(numbers, (1..=rounds as u64).collect::<Vec<_>>());
        assert!(found.iter().all(|round| round.votes.len() == 1));
    }

    /// Waits until the team's history has this round.
    pub async fn await_round(&self, team: &str, round: u64) {
        let history = self.history();
        until("the history arrives", async || {
            let rounds = history.rounds(team).await.unwrap_or_default();
            rounds.iter().any(|found| found.round == round)
        })
        .await;
    }

    pub async fn count(&self, table: &str) -> i64 {
        self.query(&format!("SELECT count(*) FROM {table}")).await
    }

    async fn query(&self, query: &str) -> i64 {
        let connected = tokio_postgres::connect(&self.postgres.postgres_url(), tokio_postgres::NoTls).await;
        let (client, connection) = connected.unwrap();
        tokio::spawn(connection);
        client.query_one(query, &[]).await.unwrap().get(0)
    }
}

/// Plays rounds `from..=to`, every command acknowledged.
async fn play(link: &mut Link, session: u64, from: u64, to: u64) {
    for round in from..=to {
        let vote = format!(r#"{{"type":"vote","round":{round},"card":"5"}}"#);
        let reveal = format!(r#"{{"type":"reveal","round":{round}}}"#);
        let again = format!(r#"{{"type":"vote_again","round":{round}}}"#);
        for (name, command) in [("v", vote), ("r", reveal), ("a", again)] {
            link.done(session, &format!("{session}-{name}{round}"), &command)
                .await;
        }
    }
}

pub fn revealed(team: &str, epoch: u64, round: u64) -> String {
    let votes = r#"[{"participant":"0123456789abcdef","name":"Ada","card":"5"}]"#;
    let stats = r#"{"histogram":[],"median":"5","mean":5.0,"agreement":100}"#;
    format!(
        r#"{{"team":"{team}","epoch":{epoch},"seq":{round},"atMs":{round}000,"kind":"round_revealed","round":{round},"story":null,"votes":{votes},"stats":{stats}}}"#
    )
}

#[tokio::test]
async fn a_recreated_room_keeps_the_history_of_the_former_room() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = Server::start("postgres");
    let database = PostgresHistory::new(&postgres.postgres_url()).unwrap();
    until("postgres answers", async || database.migrate().await.is_ok()).await;
    let file = RedbHistory::open(&dir.path().join("history")).unwrap();
    for history in [History::Postgres(database), History::Embedded(file)] {
        let event = |epoch, round, created_at_ms| HistoryEvent {
            created_at_ms,
            ..serde_json::from_str(&revealed("team", epoch, round)).unwrap()
        };
        let events = [event(1, 1, 0), event(1, 2, 0), event(9, 1, 5)];
        assert_eq!(history.write(&events).await.unwrap().stored, 3);
        let rounds = history.rounds("team").await.unwrap();
        let mut numbers: Vec<u64> = rounds.iter().map(|round| round.round).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 1, 2]);
        assert!(rounds.iter().all(|round| round.votes.len() == 1), "{rounds:?}");
    }
}

#[tokio::test]
async fn a_silent_database_connection_is_replaced() {
    let postgres = Server::start("postgres");
    let proxy = SilentProxy::of(&postgres).await;
    let history = PostgresHistory::new(&postgres_url(proxy.port)).unwrap();
    until("postgres answers", async || history.rounds("team").await.is_ok()).await;
    proxy.fall_silent();
    assert!(
        history.rounds("team").await.is_err(),
        "the old connection does not answer"
    );
    until("the history is read", async || {
        history.rounds("team").await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn the_embedded_history_is_stored_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::Redb(RedbStore::open(&dir.path().join("rooms")).unwrap());
    let history = History::Embedded(RedbHistory::open(&dir.path().join("history")).unwrap());
    let shard = TestShard::start(
        0,
        A,
        store.clone(),
        Some(Sink::History(history.clone())),
        table(1, &[(0, A)]),
    );
    let mut link = shard.link();
    link.enter(1, "team", 1).await;
    play(&mut link, 1, 1, 10).await;
    until("the outbox is empty", async || {
        store.outboxes().await.unwrap().is_empty()
    })
    .await;
    let rounds = history.rounds("team").await.unwrap();
    assert_eq!(rounds.len(), 10);
    assert!(rounds.iter().all(|round| round.votes.len() == 1));
    // Repeated events are deduplicated.
    let again = serde_json::from_str(&revealed("team", 1, 1)).unwrap();
    let events = [again];
    assert_eq!(history.write(&events).await.unwrap().stored, 1);
    assert_eq!(history.write(&events).await.unwrap().repeated, 1);
}

/// Kafka is unavailable: no process listens at its port.
#[tokio::test]
async fn a_restarted_shard_counts_the_events_that_wait_and_their_age() {
    const TEAMS: i64 = 3;
    let redis = Server::redis().await;
    let store = redis.store();
    for team in 0..TEAMS {
        let team = format!("team-{team}");
        write_events(&store, &team, 1..=20).await;
    }
    let sink = Sink::Kafka(KafkaSink::new("127.0.0.1:1", TOPIC).unwrap());
    let shard = TestShard::start(0, A, store.clone(), Some(sink), table(1, &[(0, A)]));
    let outbox = &shard.metrics.outbox;
    until("the events are found", async || {
        outbox.events.get() == TEAMS * 20 && outbox.oldest_age_seconds.get() > 0.0
    })
    .await;
    // The events were made in 1970; a failed batch has shown it.
    until("the age is known", async || outbox.oldest_age_seconds.get() > 1e9).await;
    // The name of a new team and a reveal are counted as well.
    let mut link = shard.link();
    link.enter(1, "team-new", 1).await;
    play(&mut link, 1, 1, 1).await;
    until("the new events are counted", async || {
        outbox.events.get() == TEAMS * 20 + 2
    })
    .await;
}

/// Writes a room whose outbox holds these rounds.
async fn write_events(store: &Store, team: &str, rounds: std::ops::RangeInclusive<u64>) {
    let claim = ClaimRequest {
        team: team.into(),
        table: 1,
        owner: A.into(),
        create: true,
    };
    let Claim::Owned { epoch, .. } = store.claim(&claim).await.unwrap() else {
        panic!("refused");
    };
    let write = RoomWrite {
        team: team.into(),
        epoch,
        change: 20,
        table: 1,
        owner: A.into(),
        state: b"{}".to_vec(),
        history: rounds.map(|round| revealed(team, epoch, round)).collect(),
    };
    store.commit(vec![write]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_between_the_store_and_kafka_repeats_events_and_loses_none() {
    let world = World::start().await;
    let store = world.redis.store();
    write_events(&store, "team", 1..=20).await;
    // Crashes twice after some events reached Kafka and before the store was trimmed.
    for sent in [5, 12] {
        let events = store.outbox("team", sent).await.unwrap();
        let (delivered, error) = world.sink().deliver("team", &events).await;
        assert_eq!(delivered, sent, "{error:?}");
    }
    let (worker, _) = world.worker();
    // The next process finds the outbox although the room is not opened.
    let shard = world.shard();
    world.await_rounds("team", 20).await;
    until("the outbox is empty", async || {
        store.outbox("team", 1).await.unwrap().is_empty()
    })
    .await;
    assert_eq!(
        (world.count("events").await, world.count("votes").await),
        (20, 20)
    );
    drop((worker, shard));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kafka_outage_blocks_no_vote_and_loses_no_event() {
    let mut world = World::start().await;
    let (worker, metrics) = world.worker();
    let shard = world.shard();
    let mut link = shard.link();
    link.enter(1, "team", 1).await;
    play(&mut link, 1, 1, 5).await;
    world.await_rounds("team", 5).await;
    world.kafka.kill();
    play(&mut link, 1, 6, 30).await;
    assert!(shard.metrics.outbox.events.get() >= 25);
    world.kafka.restart();
    world.await_rounds("team", 30).await;
    until("the outbox is empty", async || {
        shard.metrics.outbox.events.get() == 0
    })
    .await;
    until("nothing is behind", async || metrics.lag_events.get() == 0).await;
    // 30 rounds and the team's name.
    assert_eq!(world.count("events").await, 31);
    worker.abort();
}

/// As after the way back from a version with a new kind of event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_keeps_an_event_of_a_kind_that_it_does_not_know() {
    let world = World::start().await;
    let (worker, metrics) = world.worker();
    let event = r#"{"team":"team","epoch":1,"seq":1,"atMs":1,"kind":"cheered","by":"Ada"}"#;
    let (delivered, error) = world.sink().deliver("team", &[event.into()]).await;
    assert_eq!(delivered, 1, "{error:?}");
    until("the event is stored", async || {
        metrics.events("stored").get() == 1
    })
    .await;
    let kept = world
        .query("SELECT count(*) FROM events WHERE kind = 'cheered' AND body->>'by' = 'Ada'")
        .await;
    assert_eq!(kept, 1);
    worker.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_stops_without_kafka() {
    let mut world = World::start().await;
    let (worker, metrics) = world.worker();
    let shard = world.shard();
    let mut link = shard.link();
    link.enter(1, "team", 1).await;
    play(&mut link, 1, 1, 3).await;
    world.await_rounds("team", 3).await;
    assert!(metrics.events("stored").get() >= 3);
    world.kafka.kill();
    worker.abort();
    let ended = tokio::time::timeout(STUCK, worker).await.expect("stuck");
    assert!(ended.unwrap_err().is_cancelled());
}

/// The committed offsets belong to the deleted topic. The recreated topic has as many messages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recreated_topic_is_read_from_its_beginning() {
    let mut world = World::start().await;
    let (worker, _metrics) = world.worker();
    let shard = world.shard();
    let mut link = shard.link();
    link.enter(1, "team", 1).await;
    play(&mut link, 1, 1, 9).await;
    world.await_rounds("team", 9).await;
    world.kafka.kill();
    world.kafka.restart_empty();
    world.make_topic().await;
    play(&mut link, 1, 10, 20).await;
    world.await_rounds("team", 20).await;
    world.delete_topic().await;
    world.make_topic().await;
    play(&mut link, 1, 21, 40).await;
    world.await_rounds("team", 40).await;
    worker.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lag_is_reported_during_a_database_outage() {
    let mut world = World::start().await;
    let (worker, metrics) = world.worker();
    let shard = world.shard();
    let mut link = shard.link();
    link.enter(1, "team", 1).await;
    play(&mut link, 1, 1, 5).await;
    world.await_rounds("team", 5).await;
    until("nothing is behind", async || metrics.lag_events.get() == 0).await;
    world.postgres.kill();
    play(&mut link, 1, 6, 30).await;
    until("the lag is reported", async || metrics.lag_events.get() >= 25).await;
    world.postgres.restart();
    world.await_rounds("team", 30).await;
    until("nothing is behind", async || metrics.lag_events.get() == 0).await;
    worker.abort();
}

/// Messages of the former topic are not stored and committed yet when it is deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_recreated_during_a_database_outage_is_read_from_its_beginning() {
    let mut world = World::start().await;
    let (worker, _metrics) = world.worker();
    let shard = world.shard();
    let mut link = shard.link();
    link.enter(1, "team", 1).await;
    play(&mut link, 1, 1, 9).await;
    world.await_rounds("team", 9).await;
    world.postgres.kill();
    play(&mut link, 1, 10, 19).await;
    until("kafka has it", async || shard.metrics.outbox.events.get() == 0).await;
    world.delete_topic().await;
    world.make_topic().await;
    play(&mut link, 1, 20, 49).await;
    until("kafka has it", async || shard.metrics.outbox.events.get() == 0).await;
    world.postgres.restart();
    let history = world.history();
    until("all events of the recreated topic are stored", async || {
        let rounds = history.rounds("team").await.unwrap_or_default();
        (20..=49).all(|number| rounds.iter().any(|round| round.round == number))
    })
    .await;
    worker.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_of_worker_and_database_store_every_event_once() {
    const TEAMS: u64 = 4;
    const ROUNDS: u64 = 60;
    let mut world = World::start().await;
    let shard = world.shard();
    let producer: FutureProducer = world.kafka_client().create().unwrap();
    let poison = FutureRecord::to(TOPIC).key("team-0").payload("no event");
    producer
        .send(poison, std::time::Duration::from_secs(10))
        .await
        .unwrap();
    let mut link = shard.link();
    let mut worker = world.worker();
    let mut malformed = 0;
    for part in 0..6 {
        for team in 0..TEAMS {
            let name = format!("team-{team}");
            link.enter(team, &name, 1).await;
            play(&mut link, team, part * ROUNDS / 6 + 1, (part + 1) * ROUNDS / 6).await;
        }
        // A new member of the group gets the partitions.
        malformed += worker.1.events("malformed").get();
        worker.0.abort();
        if part == 3 {
            world.postgres.kill();
            world.postgres.restart();
        }
        worker = world.worker();
    }
    for team in 0..TEAMS {
        world.await_rounds(&format!("team-{team}"), ROUNDS as usize).await;
    }
    malformed += worker.1.events("malformed").get();
    assert!(malformed >= 1, "the invalid message is counted");
    let rounds = i64::try_from(TEAMS * ROUNDS).unwrap();
    assert_eq!(world.count("rounds").await, rounds);
    assert_eq!(world.count("votes").await, rounds);
    assert_eq!(
        world.count("events").await,
        rounds + i64::try_from(TEAMS).unwrap()
    );
    worker.0.abort();
}
