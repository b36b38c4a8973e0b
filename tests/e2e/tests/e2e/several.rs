//! Several clusters in parallel: with managed servers, with external servers, and without a database.

use anyhow::{Context, Result};
use e2e::world::{condition, restarts};
use e2e::{Load, World};
use k8s_openapi::api::core::v1::Secret;
use poker_operator_api::PokerCluster;
use serde_json::{Value, json};

/// A spec with one shard, one gateway and `servers`.
fn small(servers: &Value) -> Value {
    let mut spec = json!({"shards": {"replicas": 1}, "gateway": {"replicas": 1}});
    e2e::images::merge(&mut spec, servers);
    spec
}

/// Writes the user's Secret with the addresses of servers.
async fn write_servers(world: &World, redis: &str, database: &str) -> Result<()> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "servers"},
        "stringData": {"redis": redis, "database": database},
    });
    world
        .feed_kubectl(&["apply", "-f", "-"], &secret.to_string())
        .await?;
    Ok(())
}

/// Creates a second database on the managed server and returns its URL.
async fn another_database(world: &World, name: &str) -> Result<String> {
    world.psql(&format!("CREATE DATABASE {name}")).await?;
    let secret = world.api::<Secret>().get("demo-database").await?;
    let url = secret.data.and_then(|mut data| data.remove("url"));
    let url = String::from_utf8(url.context("the Secret has no url")?.0)?;
    let (server, _) = url.rsplit_once('/').context("the URL names no database")?;
    Ok(format!("{server}/{name}"))
}

/// No Redis answers at the given address: the status names its Secret, and the shard waits.
async fn an_unreachable_redis_is_reported_and_the_shard_waits(world: &World) -> Result<()> {
    let is_reported = |cluster: &PokerCluster| {
        let conditions = cluster.status.iter().flat_map(|status| &status.conditions);
        let of = |kind: &'static str| {
            let mut conditions = conditions.clone();
            conditions.find(move |c| c.type_ == kind && c.reason == "ContainerNotReady")
        };
        of("Ready").is_some_and(|c| c.status == "False" && c.message.contains("Secret servers"))
            && of("Degraded").is_some()
    };
    world
        .wait_until("Ready=False that names the Secret", is_reported)
        .await?;
    let notes = world.events("ContainerNotReady").await?;
    assert!(notes[0].contains("Secret servers"), "{notes:?}");
    let shards = world.pods("shard").await?;
    let restarts: i32 = shards.iter().map(restarts).sum();
    assert_eq!(restarts, 0, "the shard must wait, not crash");
    Ok(())
}

#[tokio::test]
async fn clusters_run_on_managed_servers_on_external_servers_and_without_a_database() -> Result<()> {
    let managed = World::ready("several", small(&json!({}))).await?;
    let without = json!({"database": {"managed": null, "none": {}}});
    let elsewhere = World::applied("several", small(&without)).await?;

    // A second cluster on the first one's servers, with its own Redis database and PostgreSQL database.
    let url = another_database(&managed, "other").await?;
    write_servers(&managed, "redis://nowhere:6379", &url).await?;
    let in_secret =
        |key: &str| json!({"managed": null, "external": {"urlSecretRef": {"name": "servers", "key": key}}});
    let brokers = format!("demo-kafka.{}.svc:9092", managed.namespace);
    let external = json!({
        "redis": in_secret("redis"), "database": in_secret("database"),
        "kafka": {"managed": null, "external": {"bootstrapServers": [brokers]}},
    });
    let beside = managed.beside("other");
    beside.apply(small(&external)).await?;
    an_unreachable_redis_is_reported_and_the_shard_waits(&beside).await?;
    write_servers(&managed, "redis://demo-redis:6379/1", &url).await?;
    let waiting = "--selector=app.kubernetes.io/instance=other,app.kubernetes.io/component=shard";
    beside
        .kubectl(&["delete", "pods", waiting, "--wait=false"])
        .await?;
    // The corrected address is a new revision.
    let is_settled = |cluster: &PokerCluster| {
        let is = |kind, status| condition(cluster, kind).as_deref() == Some(status);
        is("Ready", "True") && is("Progressing", "False")
    };
    beside.wait_until("Ready and settled", is_settled).await?;
    elsewhere.wait_ready().await?;
    for component in ["redis", "kafka", "database"] {
        assert!(
            beside.pods(component).await?.is_empty(),
            "it runs its own {component}"
        );
    }
    assert!(
        elsewhere.pods("worker").await?.is_empty(),
        "a worker runs without a database"
    );

    let mut loads = Vec::new();
    for (world, teams) in [(&managed, 3), (&beside, 4), (&elsewhere, 2)] {
        assert_eq!(world.deployments("shard").await?.len(), 1);
        loads.push(Load::start(world, teams, 5, 20, 10).await?);
    }
    let mut reports = Vec::new();
    for load in loads {
        let report = load.finish().await?;
        report.assert_undisturbed();
        reports.push(report);
    }
    managed.assert_votes_stored(&[&reports[0]]).await?;
    managed.assert_votes_stored_in("other", &[&reports[1]]).await?;
    managed.tear_down().await?;
    elsewhere.tear_down().await
}
