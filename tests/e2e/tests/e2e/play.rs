//! Teams vote while shards are added, removed, upgraded and killed: no socket closes and no vote is lost or doubled.

use std::time::Instant;

use anyhow::{Context, Result};
use e2e::{Load, LoadReport, World, images, shell};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::json;

#[tokio::test]
async fn every_vote_of_a_hundred_teams_is_stored_exactly_once() -> Result<()> {
    let world = World::ready("load", json!({"shards": {"replicas": 2}})).await?;
    let report = Load::start(&world, 100, 5, 200, 20).await?.finish().await?;
    report.assert_undisturbed();
    world.assert_votes_stored(&[&report]).await?;
    the_topic_of_a_replaced_kafka_is_recreated(&world, &report).await?;
    world.tear_down().await
}

/// A managed Kafka loses its data, and with it the topic, when its pod is replaced.
async fn the_topic_of_a_replaced_kafka_is_recreated(world: &World, before: &LoadReport) -> Result<()> {
    world.kubectl(&["delete", "pod", "demo-kafka-0"]).await?;
    let after = Load::start(world, 2, 5, 20, 5).await?.finish().await?;
    after.assert_undisturbed();
    let sent = Instant::now();
    world.assert_votes_stored(&[before, &after]).await?;
    println!(
        "votes stored {:.1} s after they were sent to the replaced Kafka",
        sent.elapsed().as_secs_f64()
    );
    Ok(())
}

#[tokio::test]
async fn scaling_and_a_version_rollout_under_load_lose_no_vote() -> Result<()> {
    let world = World::ready("moves", json!({"shards": {"replicas": 2}})).await?;
    let load = Load::start(&world, 40, 5, 100, 180).await?;
    let started = Instant::now();
    for shards in [4, 3] {
        world.apply(json!({"shards": {"replicas": shards}})).await?;
        world.wait_shards(shards).await?;
    }
    let next = json!({"version": images::next_version(), "shards": {"replicas": 3}});
    world.apply(next).await?;
    world
        .wait_until("the next version", |cluster| {
            cluster
                .status
                .as_ref()
                .and_then(|status| status.version.as_deref())
                == Some(&images::next_version())
        })
        .await?;
    world.wait_shards(3).await?;
    println!(
        "2 to 4 to 3 shards and a new version: {:.1} s",
        started.elapsed().as_secs_f64()
    );
    load.assert_running().await?;
    let report = load.finish().await?;
    report.assert_undisturbed();
    println!(
        "longest time from a vote to all its participants during the handoffs: {} ms",
        report.latency_ms.vote_to_seen.max
    );
    world.assert_votes_stored(&[&report]).await?;
    world.tear_down().await
}

/// Kills a pod's `poker-app` with SIGKILL from its node, as a crash does.
async fn kill_9(world: &World, pod: &Pod) -> Result<()> {
    let uid = pod.uid().context("the pod has no uid")?;
    let script = r#"
        for process in /proc/[0-9]*; do
          read -r comm < "$process/comm" 2>/dev/null || continue
          [ "$comm" = poker-app ] || continue
          while read -r line; do
            case $line in *"$UID_DASHED"*|*"$UID_UNDERSCORED"*) kill -9 "${process#/proc/}" && echo killed; exit;; esac
          done < "$process/cgroup"
        done
        echo "no such process" >&2; exit 1"#;
    let killer = serde_json::from_value(json!({
        "metadata": {"generateName": "killer-"},
        "spec": {
            "restartPolicy": "Never",
            "hostPID": true,
            "nodeName": pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            "tolerations": [{"operator": "Exists"}],
            "containers": [{
                "name": "killer",
                "image": std::env::var("E2E_POSTGRES_IMAGE").unwrap_or_else(|_| "postgres:15".to_owned()),
                "command": ["/bin/sh", "-c", script],
                "env": [{"name": "UID_DASHED", "value": uid}, {"name": "UID_UNDERSCORED", "value": uid.replace('-', "_")}],
                "securityContext": {"privileged": true, "runAsUser": 0},
            }],
        },
    }))?;
    // kube-system allows privileged pods.
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), "kube-system");
    let killer = pods.create(&PostParams::default(), &killer).await?.name_any();
    let ended = |pod: Option<&Pod>| {
        pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref())
            .is_some_and(|phase| phase == "Succeeded")
    };
    world
        .wait_for(pods.clone(), &killer, ended)
        .await
        .context("the shard could not be killed")?;
    pods.delete(&killer, &DeleteParams::default()).await?;
    Ok(())
}

#[tokio::test]
async fn a_killed_shard_loses_no_acknowledged_vote() -> Result<()> {
    let world = World::ready("kill", json!({"shards": {"replicas": 2}})).await?;
    let load = Load::start(&world, 20, 5, 100, 30).await?;
    // Stored votes prove that rounds are in progress.
    assert!(world.votes_stored(200).await? >= 200, "the load does not vote");
    let shards = world.pods("shard").await?;
    kill_9(&world, shards.first().context("no shard")?).await?;
    load.assert_running().await?;
    let report = load.finish().await?;
    report.assert_undisturbed();
    println!(
        "shard killed: the longest time to an acknowledgement was {} ms",
        report.latency_ms.vote_to_ack.max
    );
    world.assert_votes_stored(&[&report]).await?;
    world.tear_down().await
}

/// Nodes without taints.
async fn worker_nodes(world: &World) -> Result<Vec<String>> {
    let nodes: Api<Node> = Api::all(world.client.clone());
    let free = |node: &Node| node.spec.as_ref().is_none_or(|spec| spec.taints.is_none());
    let all = nodes.list(&ListParams::default()).await?;
    Ok(all
        .iter()
        .filter(|node| free(node))
        .map(ResourceExt::name_any)
        .collect())
}

/// Drains a node under load, as before its maintenance. The managed servers have no volumes, so none of them may run on
/// the node: it is cordoned while they start and uncordoned before shards and gateways are added.
async fn drain_under_load(world: &World, node: &str) -> Result<()> {
    world
        .apply(json!({"shards": {"replicas": 1}, "gateway": {"replicas": 1}}))
        .await?;
    world.wait_ready().await?;
    let load = Load::start(world, 20, 5, 100, 75).await?;
    assert!(world.votes_stored(200).await? >= 200, "the load does not vote");
    shell::run("kubectl", &["uncordon", node]).await?;
    world
        .apply(json!({"shards": {"replicas": 4}, "gateway": {"replicas": 3}}))
        .await?;
    world.wait_shards(4).await?;
    world.wait_ready().await?;
    for component in ["shard", "gateway"] {
        let pods = world.pods(component).await?;
        let is_on_node =
            |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(node);
        assert!(pods.iter().any(is_on_node), "no {component} on {node}");
    }

    let drain = [
        "drain",
        node,
        "--ignore-daemonsets",
        // An existing cluster may run other pods.
        "--pod-selector=app.kubernetes.io/name=planning-poker",
        "--delete-emptydir-data",
        "--timeout=120s",
    ];
    println!("{}", shell::run("kubectl", &drain).await?);
    load.assert_running().await?;
    world.wait_shards(4).await?;
    let report = load.finish().await?;
    report.assert_nothing_lost();
    world.assert_votes_stored(&[&report]).await?;
    Ok(())
}

#[tokio::test]
#[ignore = "drains a node that the other tests need"]
async fn a_drained_node_loses_no_vote() -> Result<()> {
    let world = World::empty("drain").await?;
    let node = worker_nodes(&world).await?.pop().context("no worker node")?;
    shell::run("kubectl", &["cordon", &node]).await?;
    let drained = drain_under_load(&world, &node).await;
    // Whatever the outcome, other tests need the node.
    shell::run("kubectl", &["uncordon", &node]).await?;
    drained?;
    world.tear_down().await
}
