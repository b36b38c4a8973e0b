//! Autoscaling of shards and gateways by metrics of Prometheus.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result};
use e2e::{Load, World, images};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use poker_operator_api::PokerCluster;
use serde_json::{Value, json};

/// The desired count of shards.
fn desired(cluster: &PokerCluster) -> Option<i32> {
    Some(cluster.status.as_ref()?.shards.as_ref()?.desired)
}

/// The memory of the operator and of the first pod of each role, as the kubelets report it.
async fn memory(world: &World) -> Result<String> {
    let mut found = BTreeMap::new();
    for node in Api::<Node>::all(world.client.clone())
        .list(&ListParams::default())
        .await?
    {
        let path = format!("/api/v1/nodes/{}/proxy/stats/summary", node.name_any());
        let summary: Value = serde_json::from_str(&world.kubectl(&["get", "--raw", &path]).await?)?;
        for pod in summary["pods"].as_array().into_iter().flatten() {
            let place = pod["podRef"]["namespace"].as_str();
            if place != Some(&world.namespace) && place != Some("poker-operator") {
                continue;
            }
            let container = &pod["containers"][0];
            let megabytes = |what: &str| container["memory"][what].as_f64().map(|bytes| bytes / 1e6);
            if let (Some(name), Some(all), Some(own)) = (
                container["name"].as_str(),
                megabytes("workingSetBytes"),
                megabytes("rssBytes"),
            ) {
                found.entry(name.to_owned()).or_insert((all, own));
            }
        }
    }
    let of = |name: &str| {
        let memory = found.get(name);
        memory.map_or_else(String::new, |(all, own)| format!("{name} {all:.0} ({own:.0}) "))
    };
    Ok(["operator", "gateway", "shard", "worker"].map(of).concat())
}

#[tokio::test]
async fn load_scales_shards_out_and_its_end_scales_them_in() -> Result<()> {
    let autoscaling = json!({
        "minReplicas": 1, "maxReplicas": 3,
        "metrics": [{"builtin": "Participants", "target": {"averageValue": "50"}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 10}},
    });
    let prometheus = json!({"url": images::prometheus_url(), "intervalSeconds": 1});
    let spec = json!({"shards": {"autoscaling": autoscaling}, "prometheus": prometheus});
    let world = World::ready("scaling", spec).await?;
    world.wait_shards(1).await?;

    // A few teams vote from before the load until after it.
    let few = Load::start(&world, 4, 5, 20, 110).await?;
    let many = Load::start(&world, 26, 5, 50, 35).await?;
    let started = Instant::now();
    world
        .wait_until("a decision for more shards", |cluster| desired(cluster) > Some(1))
        .await?;
    println!("load to scale patch: {:.1} s", started.elapsed().as_secs_f64());
    world.wait_shards(3).await?;
    println!("load to three shards: {:.1} s", started.elapsed().as_secs_f64());
    // Participants of a room that moves between two scrapes are counted in neither.
    world
        .wait_until("the participants in the status", |cluster| {
            let participants = cluster.status.as_ref().and_then(|s| s.participants.as_ref());
            participants.is_some_and(|participants| participants.count > 100)
        })
        .await?;
    let columns = world.columns().await?;
    let participants: u32 = columns["PARTICIPANTS"].parse()?;
    assert!(columns["SHARDS"] == "3" && participants > 0, "{columns:?}");
    many.assert_running().await?;
    let notes = world.events("MetricAboveTarget").await?;
    assert!(notes.iter().any(|note| note.contains("shard")), "{notes:?}");
    let many = many.finish().await?;
    many.assert_undisturbed();
    let ended = Instant::now();
    println!(
        "memory in MB, with the page cache (without): {}",
        memory(&world).await?
    );
    world.wait_shards(1).await?;
    println!("end of load to one shard: {:.1} s", ended.elapsed().as_secs_f64());
    few.assert_running().await?;
    let few = few.finish().await?;
    few.assert_undisturbed();
    world.assert_votes_stored(&[&many, &few]).await?;

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

/// The reason of the latest decision for gateways.
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
    let servers: Api<Deployment> = Api::namespaced(world.client.clone(), "poker-monitoring");
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    servers
        .patch("prometheus", &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

/// Without Prometheus no gateway is removed, neither during the load nor after it.
async fn gateways_are_kept_without_prometheus(world: &World, load: Load) -> Result<()> {
    let is_unavailable = |cluster: &PokerCluster| reason(cluster) == Some("MetricsUnavailable");
    world.wait_until("MetricsUnavailable", is_unavailable).await?;
    load.assert_running().await?;
    load.finish().await?.assert_undisturbed();
    let gateways = world.get().await?.status.and_then(|status| status.gateway);
    let counts = gateways.map(|gateways| (gateways.desired, gateways.ready));
    assert_eq!(counts, Some((3, 3)), "without a metric no gateway is removed");
    Ok(())
}

#[tokio::test]
#[ignore = "stops the Prometheus that the other tests need"]
async fn gateways_follow_connections_and_are_kept_while_prometheus_is_down() -> Result<()> {
    let autoscaling = json!({
        "minReplicas": 1, "maxReplicas": 3,
        "metrics": [{"builtin": "Connections", "target": {"averageValue": "20"}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}},
    });
    let prometheus = json!({"url": images::prometheus_url(), "intervalSeconds": 1});
    let spec = json!({"gateway": {"autoscaling": autoscaling}, "prometheus": prometheus});
    let world = World::ready("gateways", spec).await?;
    wait_gateways(&world, 1).await?;
    let load = Load::start(&world, 10, 5, 20, 45).await?;
    wait_gateways(&world, 3).await?;
    let notes = world.events("MetricAboveTarget").await?;
    assert!(notes.iter().any(|note| note.contains("gateway")), "{notes:?}");

    scale_prometheus(&world, 0).await?;
    let held = gateways_are_kept_without_prometheus(&world, load).await;
    // Whatever the outcome, other tests need Prometheus.
    scale_prometheus(&world, 1).await?;
    held?;
    wait_gateways(&world, 1).await?;
    world.tear_down().await
}

/// The history comes from Prometheus, here as a function of time: two minutes of 140, two of 40. Within three minutes
/// the forecast always expects 140, which needs three shards that serve 50 each.
#[tokio::test]
async fn a_forecast_from_history_scales_shards_out_before_the_load() -> Result<()> {
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
        .wait_until("a decision by the forecast at low load", |cluster| {
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
