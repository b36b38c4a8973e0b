//! People play while shards are added, removed, upgraded and killed: no socket is closed by it and
//! no vote is lost or doubled.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::world::{PATIENCE, create_namespace};
use e2e::{Load, World, images};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use poker_operator_api::PokerCluster;
use serde_json::json;
use tokio::time::sleep;

/// The votes in PostgreSQL, once they are all there: the worker follows the log.
async fn votes_in_database(world: &World, expected: u64) -> Result<u64> {
    let started = Instant::now();
    loop {
        // The worker makes the table when it starts.
        let votes = match world.psql("SELECT to_regclass('votes')").await?.as_str() {
            "" => 0,
            _ => world.psql("SELECT count(*) FROM votes").await?.parse()?,
        };
        if votes >= expected || started.elapsed() > PATIENCE {
            return Ok(votes);
        }
        sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_hundred_teams_of_five_have_every_vote_in_the_database_exactly_once() -> Result<()> {
    let world = World::ready("load", json!({"shards": {"replicas": 2}})).await?;
    let report = Load::start(&world, 100, 5, 200, 20).await?.finish().await?;
    report.assert_undisturbed();
    assert_eq!(
        votes_in_database(&world, report.votes_acked).await?,
        report.votes_acked
    );
    let distinct = world
        .psql("SELECT count(*) FROM (SELECT DISTINCT team, round, participant FROM votes) v")
        .await?;
    assert_eq!(distinct, report.votes_acked.to_string());
    world.tear_down().await
}

#[tokio::test]
async fn load_adds_shards_and_its_end_drains_them() -> Result<()> {
    let autoscaling = json!({
        "minReplicas": 1, "maxReplicas": 3,
        "metrics": [{"builtin": "Participants", "target": {"averageValue": "50"}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 10}},
    });
    let prometheus = json!({"url": images::prometheus_url(), "intervalSeconds": 1});
    let spec = json!({"shards": {"autoscaling": autoscaling}, "prometheus": prometheus});
    let world = World::ready("scaling", spec).await?;
    world.wait_shards(1).await?;

    // A few people play from before the load until after it.
    let few = Load::start(&world, 4, 5, 20, 150).await?;
    let many = Load::start(&world, 26, 5, 50, 45).await?;
    let started = Instant::now();
    world.wait_shards(3).await?;
    println!("load to three shards: {:.1} s", started.elapsed().as_secs_f64());
    let many = many.finish().await?;
    many.assert_undisturbed();
    let ended = Instant::now();
    world.wait_shards(1).await?;
    println!("end of load to one shard: {:.1} s", ended.elapsed().as_secs_f64());
    let few = few.finish().await?;
    few.assert_undisturbed();
    let acked = many.votes_acked + few.votes_acked;
    assert_eq!(votes_in_database(&world, acked).await?, acked);

    let status = world.get().await?.status.unwrap_or_default();
    let decision = status
        .scaling
        .iter()
        .find(|decision| decision.component == "shard")
        .context("no decision in status")?;
    println!("{decision:?}");
    assert!(!decision.message.is_empty() && !decision.proposals.is_empty());
    world.tear_down().await
}

/// The reason of the latest decision on gateways.
fn reason(cluster: &PokerCluster) -> Option<&str> {
    let mut decisions = cluster.status.iter().flat_map(|status| &status.scaling);
    let decision = decisions.find(|decision| decision.component == "gateway")?;
    Some(&decision.reason)
}

async fn wait_gateways(world: &World, count: i32) -> Result<()> {
    let met = |cluster: &PokerCluster| {
        let gateway = cluster.status.as_ref().and_then(|status| status.gateway.as_ref());
        gateway.is_some_and(|gateway| (gateway.desired, gateway.ready) == (count, count))
    };
    world.wait_until(&format!("{count} gateways"), met).await
}

async fn scale_prometheus(world: &World, replicas: i32) -> Result<()> {
    let servers: Api<Deployment> = Api::namespaced(world.client.clone(), "monitoring");
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    servers
        .patch("prometheus", &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

#[tokio::test]
async fn gateways_follow_connections_and_stay_while_prometheus_is_away() -> Result<()> {
    let autoscaling = json!({
        "minReplicas": 1, "maxReplicas": 3,
        "metrics": [{"builtin": "Connections", "target": {"averageValue": "20"}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}},
    });
    let prometheus = json!({"url": images::prometheus_url(), "intervalSeconds": 1});
    let spec = json!({"gateway": {"autoscaling": autoscaling}, "prometheus": prometheus});
    let world = World::ready("gateways", spec).await?;
    wait_gateways(&world, 1).await?;
    let load = Load::start(&world, 10, 5, 20, 30).await?;
    wait_gateways(&world, 3).await?;
    let events = world.api::<Event>().list(&ListParams::default()).await?;
    let told = |event: &Event| {
        let about = event.note.as_deref().unwrap_or_default();
        event.reason.as_deref() == Some("MetricAboveTarget") && about.contains("gateway")
    };
    assert!(events.items.iter().any(told), "{events:#?}");

    scale_prometheus(&world, 0).await?;
    let load = load.finish().await;
    let is_away = |cluster: &PokerCluster| reason(cluster) == Some("MetricsUnavailable");
    let away = world.wait_until("metrics that are missing", is_away).await;
    let held = wait_gateways(&world, 3).await;
    // Whatever came out: other tests need it.
    scale_prometheus(&world, 1).await?;
    away?;
    held?;
    load?.assert_undisturbed();
    wait_gateways(&world, 1).await?;
    world.tear_down().await
}

/// The past comes from Prometheus, here as a function of time: two minutes of 140, two of 40. So 140 are
/// always expected within three minutes, and three shards that serve 50 each.
#[tokio::test]
async fn a_forecast_from_the_past_adds_shards_before_the_load() -> Result<()> {
    let wave = json!({"name": "wave", "query": "40 + 100 * (minute() % 4 >= bool 2)"});
    let autoscaling = json!({
        "minReplicas": 1, "maxReplicas": 5,
        "metrics": [{"promql": wave, "target": {"averageValue": "50"}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
        "predictive": {"mode": "On", "leadSeconds": 180, "headroomPercent": 300},
    });
    let prometheus = json!({"url": images::prometheus_url(), "intervalSeconds": 1});
    let spec = json!({"shards": {"autoscaling": autoscaling}, "prometheus": prometheus});
    let world = World::ready("forecast", spec).await?;
    world
        .wait_until("a decision by the forecast in quiet minutes", |cluster| {
            let decisions = cluster.status.iter().flat_map(|status| &status.scaling);
            let proposals: Vec<_> = decisions
                .flat_map(|decision| &decision.proposals)
                .map(|p| (p.name.as_str(), p.replicas))
                .collect();
            proposals.contains(&("wave", Some(1))) && proposals.contains(&("forecast/wave", Some(3)))
        })
        .await?;
    world.wait_shards(3).await?;
    world.tear_down().await
}

#[tokio::test]
async fn shards_come_and_go_and_a_version_is_rolled_out_under_load() -> Result<()> {
    let world = World::ready("moves", json!({"shards": {"replicas": 2}})).await?;
    let load = Load::start(&world, 40, 5, 100, 120).await?;
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
    let report = load.finish().await?;
    report.assert_undisturbed();
    println!(
        "vote to everyone, worst while shards moved: {} ms",
        report.latency_ms.vote_to_seen.max
    );
    assert_eq!(
        votes_in_database(&world, report.votes_acked).await?,
        report.votes_acked
    );
    world.tear_down().await
}

/// Ends a pod's `poker-app` with SIGKILL from its node, as a crash would.
async fn kill_9(world: &World, pod: &Pod) -> Result<()> {
    let namespace = create_namespace(&world.client, "killer").await?;
    let label = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}});
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(world.client.clone());
    namespaces
        .patch(&namespace, &Default::default(), &Patch::Merge(&label))
        .await?;
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
        "metadata": {"name": "killer"},
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
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), &namespace);
    pods.create(&PostParams::default(), &killer).await?;
    let ended = |pod: Option<&Pod>| {
        pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref())
            .is_some_and(|phase| phase == "Succeeded")
    };
    world
        .wait_for(pods, "killer", ended)
        .await
        .context("the shard could not be killed")?;
    namespaces.delete(&namespace, &Default::default()).await?;
    Ok(())
}

#[tokio::test]
async fn a_killed_shard_costs_no_acknowledged_vote() -> Result<()> {
    let world = World::ready("kill", json!({"shards": {"replicas": 2}})).await?;
    let load = Load::start(&world, 20, 5, 100, 30).await?;
    // Rounds are under way once their votes arrive.
    assert!(
        votes_in_database(&world, 200).await? >= 200,
        "the load does not vote"
    );
    let shards = world.pods("shard").await?;
    kill_9(&world, shards.first().context("no shard")?).await?;
    let report = load.finish().await?;
    report.assert_undisturbed();
    println!(
        "shard killed: the longest wait for an acknowledgement was {} ms",
        report.latency_ms.vote_to_ack.max
    );
    assert_eq!(
        votes_in_database(&world, report.votes_acked).await?,
        report.votes_acked
    );
    world.tear_down().await
}
