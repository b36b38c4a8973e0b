//! A broker that is fenced for a moment: it sends its heartbeats too late, as without CPU. It answers, but its metadata lists
//! no broker, and librdkafka 2.12 clients that ask at that moment may never deliver again.

use std::time::Duration;

use poker_app::events::Sink;
use poker_service::logs::{self, LogFormat};
use tokio::{task::JoinSet, time::Instant};

use crate::events::{World, revealed};

const SINKS: u64 = 20;
/// Long enough for most clients to ask at a moment without a broker.
const FENCED_TIME: Duration = Duration::from_secs(40);
/// Replacement of a stuck client, the reconnect, and a machine under load.
const RECOVERY_MAX: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes two minutes: make soak"]
async fn sinks_and_a_worker_recover_from_a_fenced_broker() {
    // Shows which clients are replaced.
    let _ = logs::install(LogFormat::Text, "poker_app=warn");
    let mut world = World::start().await;
    let (worker, _metrics) = world.worker();
    let sinks: Vec<Sink> = (0..SINKS).map(|_| world.sink()).collect();
    deliver_each(&sinks, 1, Instant::now() + RECOVERY_MAX).await;
    world.kafka.kill();
    world.kafka.restart_fenced();
    keep_delivering(&sinks, Instant::now() + FENCED_TIME).await;
    world.kafka.kill();
    world.kafka.restart();
    let begin = Instant::now();
    let delivered = deliver_each(&sinks, 3, begin + RECOVERY_MAX).await;
    println!(
        "{delivered} of {SINKS} sinks delivered, the last after {:?}",
        begin.elapsed()
    );
    assert_eq!(delivered, SINKS);
    for sink in 0..SINKS {
        world.await_round(&format!("team-{sink}"), 3).await;
    }
    worker.abort();
}

/// Delivers events with each sink until `end`.
async fn keep_delivering(sinks: &[Sink], end: Instant) {
    let mut tasks = JoinSet::new();
    for (number, sink) in sinks.iter().cloned().enumerate() {
        tasks.spawn(async move {
            let team = format!("team-{number}");
            let event = [revealed(&team, 1, 2).into_bytes()];
            while Instant::now() < end {
                sink.deliver(&team, &event).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }
    tasks.join_all().await;
}

/// Delivers one event with each sink, again and again until `end`. Returns how many succeeded.
async fn deliver_each(sinks: &[Sink], round: u64, end: Instant) -> u64 {
    let mut tasks = JoinSet::new();
    for (number, sink) in sinks.iter().cloned().enumerate() {
        tasks.spawn(async move {
            let team = format!("team-{number}");
            let event = [revealed(&team, 1, round).into_bytes()];
            while Instant::now() < end {
                if sink.deliver(&team, &event).await.0 == 1 {
                    return 1;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            0
        });
    }
    tasks.join_all().await.into_iter().sum()
}
