//! The chart: installed, upgraded, rolled back, uninstalled.

use anyhow::Result;
use e2e::{Load, World, shell};
use kube::ResourceExt;
use serde_json::json;

const CHART: &str = "../../charts/poker-operator";
const CRDS_CHART: &str = "../../charts/poker-operator-crds";

/// Helm on a release of the operator's chart: `verb`, its place, the images of the tests, `more`.
async fn helm(verb: &[&str], more: &[&str]) -> Result<()> {
    let values = std::env::var("E2E_HELM_VALUES").unwrap_or_default();
    let values: Vec<&str> = values.split_whitespace().collect();
    let place = ["poker-operator", CHART, "-n", "poker-operator", "--wait"];
    shell::run("helm", &[verb, &place, &values, more].concat()).await?;
    Ok(())
}

/// Helm where neither chart nor values are named.
async fn helm_on(verb: &str, release: &str) -> Result<()> {
    shell::run("helm", &[verb, release, "-n", "poker-operator", "--wait"]).await?;
    Ok(())
}

/// How much the operator that runs logs.
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

/// An uninstall leaves what ran as it was.
async fn data_survive_an_uninstall(world: &World, votes: u64) -> Result<()> {
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
        "the PokerCluster went with the charts"
    );
    assert_eq!(pods_before, pods().await?, "an uninstall touched what ran");
    assert_eq!(
        world.votes_stored(votes).await?,
        votes,
        "votes went with the charts"
    );
    Ok(())
}

/// An operator that is to look after one namespace writes in no other.
async fn one_namespace_is_watched(world: &World, elsewhere: &World) -> Result<()> {
    let watch = format!("watchNamespace={}", world.namespace);
    helm(&["upgrade", "--install"], &["--set", &watch]).await?;
    world.apply(json!({"shards": {"replicas": 2}})).await?;
    world.wait_shards(2).await?;
    assert!(
        elsewhere.get().await?.status.is_none(),
        "an operator of one namespace wrote in another"
    );
    Ok(())
}

#[tokio::test]
#[ignore = "takes the operator away from the other tests"]
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

    let survived = data_survive_an_uninstall(&world, votes).await;
    // Whatever came out: other tests need both charts.
    let crds = ["upgrade", "--install", "poker-operator-crds", CRDS_CHART];
    shell::run("helm", &[&crds[..], &["-n", "poker-operator"]].concat()).await?;
    let one = json!({"shards": {"replicas": 1}, "gateway": {"replicas": 1}});
    let elsewhere = World::applied("elsewhere", one).await?;
    let watched = match survived {
        Ok(()) => one_namespace_is_watched(&world, &elsewhere).await,
        failed => failed,
    };
    helm(&["upgrade", "--install"], &["--reset-values"]).await?;
    watched?;
    elsewhere.wait_ready().await?;
    assert_eq!(world.votes_stored(votes).await?, votes);
    elsewhere.tear_down().await?;
    world.tear_down().await
}
