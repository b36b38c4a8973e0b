//! The charts: install, upgrade, rollback, uninstall.

use anyhow::Result;
use e2e::{Load, World, shell};
use kube::ResourceExt;
use serde_json::json;

const CHART: &str = "../../charts/poker-operator";
const CRDS_CHART: &str = "../../charts/poker-operator-crds";

/// Runs helm on the operator's release, with the images under test and `more` arguments.
async fn helm(verb: &[&str], more: &[&str]) -> Result<()> {
    let values = std::env::var("E2E_HELM_VALUES").unwrap_or_default();
    let values: Vec<&str> = values.split_whitespace().collect();
    let place = ["poker-operator", CHART, "-n", "poker-operator", "--wait"];
    shell::run("helm", &[verb, &place, &values, more].concat()).await?;
    Ok(())
}

/// Runs a helm command that takes neither chart nor values.
async fn helm_on(verb: &str, release: &str) -> Result<()> {
    shell::run("helm", &[verb, release, "-n", "poker-operator", "--wait"]).await?;
    Ok(())
}

/// The log level of the running operator.
async fn log_level() -> Result<String> {
    let of = r#"jsonpath={.spec.template.spec.containers[0].env[?(@.name=="POKER_OPERATOR_LOG")].value}"#;
    let running = [
        "get",
        "deployment",
        "poker-operator",
        "-n",
        "poker-operator",
        "-o",
        of,
    ];
    shell::run("kubectl", &running).await
}

/// Uninstalls both charts: cluster, pods and data stay.
async fn uninstall_keeps_cluster_and_data(world: &World, votes: u64) -> Result<()> {
    let uid = world.get().await?.uid();
    let pods = async || -> Result<Vec<_>> {
        let mut all = world.pods("shard").await?;
        all.extend(world.pods("database").await?);
        Ok(all.iter().map(|pod| pod.uid()).collect())
    };
    let pods_before = pods().await?;
    helm_on("uninstall", "poker-operator").await?;
    helm_on("uninstall", "poker-operator-crds").await?;
    assert_eq!(
        world.get().await?.uid(),
        uid,
        "the uninstall deleted the PokerCluster"
    );
    assert_eq!(pods_before, pods().await?, "the uninstall replaced pods");
    assert_eq!(
        world.votes_stored(votes).await?,
        votes,
        "the uninstall deleted votes"
    );
    Ok(())
}

/// With `watchNamespace` the operator writes in no other namespace.
async fn only_the_watched_namespace_is_reconciled(world: &World, elsewhere: &World) -> Result<()> {
    let watch = format!("watchNamespace={}", world.namespace);
    helm(&["upgrade", "--install"], &["--set", &watch]).await?;
    world.apply(json!({"shards": {"replicas": 2}})).await?;
    world.wait_shards(2).await?;
    assert!(
        elsewhere.get().await?.status.is_none(),
        "the operator wrote in a namespace that it does not watch"
    );
    Ok(())
}

#[tokio::test]
#[ignore = "stops the operator that the other tests need"]
async fn clusters_and_data_survive_an_uninstall_of_both_charts() -> Result<()> {
    let world = World::ready("helm", json!({"shards": {"replicas": 1}})).await?;
    let load = Load::start(&world, 2, 5, 20, 5).await?.finish().await?;
    let votes = load.votes_acked;
    world.assert_votes_stored(&[&load]).await?;
    assert_eq!(log_level().await?, "info");
    helm(&["upgrade"], &["--set", "log.level=debug"]).await?;
    assert_eq!(log_level().await?, "debug");
    helm_on("rollback", "poker-operator").await?;
    assert_eq!(log_level().await?, "info");

    let survived = uninstall_keeps_cluster_and_data(&world, votes).await;
    // Whatever the outcome, other tests need both charts.
    let crds = ["upgrade", "--install", "poker-operator-crds", CRDS_CHART];
    shell::run("helm", &[&crds[..], &["-n", "poker-operator"]].concat()).await?;
    let one = json!({"shards": {"replicas": 1}, "gateway": {"replicas": 1}});
    let elsewhere = World::applied("elsewhere", one).await?;
    let watched = match survived {
        Ok(()) => only_the_watched_namespace_is_reconciled(&world, &elsewhere).await,
        failed => failed,
    };
    helm(&["upgrade", "--install"], &["--reset-values"]).await?;
    watched?;
    elsewhere.wait_ready().await?;
    assert_eq!(world.votes_stored(votes).await?, votes);
    elsewhere.tear_down().await?;
    world.tear_down().await
}
