//! The topic on a real Kafka: created, grown and retained as the spec says, and deleted only if the spec says so.

use crate::{
    faults::Faults,
    world::{Kubelet, WAIT_TIMEOUT, World, condition},
};
use futures::executor::block_on;
use poker_operator_api::PokerCluster;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

const HOUR_MS: i64 = 3_600_000;
const ANSWER: Duration = Duration::from_secs(5);

/// A broker with its own folder and port. Its methods block: call them off the async runtime.
struct Kafka {
    server: Child,
    address: String,
    admin: AdminClient<DefaultClientContext>,
    _dir: TempDir,
}

impl Kafka {
    fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let mut server = Command::new("../tests/servers/start")
            .arg("kafka")
            .arg(dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        let address = format!("127.0.0.1:{}", port.trim());
        let mut config = ClientConfig::new();
        let admin: AdminClient<_> = config.set("bootstrap.servers", &address).create().unwrap();
        let started = Instant::now();
        while let Err(error) = admin.inner().fetch_metadata(None, ANSWER) {
            assert!(started.elapsed() < WAIT_TIMEOUT, "Kafka does not answer: {error}");
        }
        Self {
            server,
            address,
            admin,
            _dir: dir,
        }
    }

    fn create(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let new = settings.iter().fold(new, |new, (key, value)| new.set(key, value));
        let options = AdminOptions::new().operation_timeout(Some(ANSWER));
        block_on(self.admin.create_topics([&new], &options)).unwrap()[0]
            .as_ref()
            .unwrap();
    }

    /// The partition count of a topic; `None` if the topic does not exist.
    fn partitions(&self, topic: &str) -> Option<usize> {
        let all = self.admin.inner().fetch_metadata(None, ANSWER).unwrap();
        let found = all.topics().iter().find(|found| found.name() == topic);
        found.map(|found| found.partitions().len())
    }

    fn setting(&self, topic: &str, key: &str) -> Option<String> {
        let options = AdminOptions::new().request_timeout(Some(ANSWER));
        let resource = ResourceSpecifier::Topic(topic);
        let described = block_on(self.admin.describe_configs([&resource], &options)).unwrap();
        described[0].as_ref().unwrap().get(key)?.value.clone()
    }

    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !holds(self) {
            assert!(started.elapsed() < WAIT_TIMEOUT, "{what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn spec(kafka: &Kafka, topic: &Value) -> Value {
    let external = json!({"bootstrapServers": [kafka.address]});
    json!({"version": "1.0.0", "kafka": {"external": external, "topic": topic}})
}

// One broker for everything, as it takes seconds to start; several threads, as its client blocks.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_created_grown_retained_and_deleted_as_the_spec_says() {
    let kafka = tokio::task::spawn_blocking(Kafka::start).await.unwrap();
    let world = World::new("topic").await;
    let _kubelet = Kubelet::start(&world);
    let _operator = world.operator("a", &Faults::none()).await;
    let change = async |cluster: &str, topic: Value| {
        let patch = json!({"spec": {"kafka": {"topic": topic}}});
        world.patch(cluster, patch).await.unwrap()
    };

    let desired = json!({"partitions": 3, "retentionHours": 2, "deletionPolicy": "Delete"});
    world.create("demo", spec(&kafka, &desired)).await.unwrap();
    world.until_condition("demo", "Ready", "True", "Ready").await;
    let generated = format!("{}.demo.history", world.namespace);
    // The cluster is Ready before its topic exists: estimating does not need it.
    kafka.until("created", |kafka| kafka.partitions(&generated) == Some(3));
    let two_hours = Some((2 * HOUR_MS).to_string());
    kafka.until("retention is set", |kafka| {
        kafka.setting(&generated, "retention.ms") == two_hours
    });
    change("demo", json!({"partitions": 5, "retentionHours": 3})).await;
    kafka.until("grown", |kafka| kafka.partitions(&generated) == Some(5));
    let three_hours = Some((3 * HOUR_MS).to_string());
    kafka.until("retention is changed", |kafka| {
        kafka.setting(&generated, "retention.ms") == three_hours
    });

    // A topic that already exists, larger than the spec says and with a setting that the operator does not manage.
    kafka.create("own", 4, &[("max.message.bytes", "777777")]);
    let smaller = json!({"name": "own", "partitions": 2, "retentionHours": 3});
    world.create("second", spec(&kafka, &smaller)).await.unwrap();
    world
        .until_condition("second", "Stalled", "True", "TopicShrinkUnsupported")
        .await;
    world
        .until_condition("second", "Ready", "False", "TopicShrinkUnsupported")
        .await;
    let cluster: PokerCluster = world.api().get("second").await.unwrap();
    let message = &condition(&cluster, "Stalled").unwrap().message;
    assert!(message.starts_with("the topic has 4 partitions"), "{message}");
    let events = world.events("TopicShrinkUnsupported").await;
    assert!(events.len() == 1 && events[0].starts_with(message), "{events:?}");
    assert_eq!(kafka.partitions("own"), Some(4));
    assert_ne!(
        kafka.setting("own", "retention.ms"),
        three_hours,
        "a topic that cannot follow the spec is left as it is"
    );
    assert_eq!(
        kafka.setting("own", "max.message.bytes").as_deref(),
        Some("777777")
    );
    change("second", json!({"partitions": 4})).await;
    world.until_condition("second", "Ready", "True", "Ready").await;
    kafka.until("retention is changed once the spec fits", |kafka| {
        kafka.setting("own", "retention.ms") == three_hours
    });

    for (cluster, topic, kept) in [("second", "own", Some(4)), ("demo", &generated, None)] {
        let found: PokerCluster = world.api().get(cluster).await.unwrap();
        world.delete(cluster).await;
        world
            .until_gone::<PokerCluster>(cluster, found.metadata.uid.as_deref().unwrap())
            .await;
        kafka.until("deleted or retained", |kafka| kafka.partitions(topic) == kept);
    }
    world.remove().await;
}
