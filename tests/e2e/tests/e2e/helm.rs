//! The chart: installed, upgraded, rolled back, uninstalled; and several clusters side by side.

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

#[tokio::test]
#[ignore = "takes the operator away from the other tests"]
async fn clusters_and_data_survive_an_uninstall_of_both_charts() -> Result<()> {
    let world = World::ready("helm", json!({"shards": {"replicas": 1}})).await?;
    let votes = Load::start(&world, 2, 5, 20, 5)
        .await?
        .finish()
        .await?
        .votes_acked;
    assert_eq!(world.votes_stored(votes).await?, votes);
    let uid = world.get().await?.uid();
    let pods = async || -> Result<Vec<_>> {
        let mut all = world.pods("shard").await?;
        all.extend(world.pods("database").await?);
        Ok(all.iter().map(|pod| pod.uid()).collect())
    };
    let pods_before = pods().await?;

    helm(&["upgrade"], &["--set", "log.level=debug"]).await?;
    helm_on("rollback", "poker-operator").await?;
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

    let crds = [
        "install",
        "poker-operator-crds",
        CRDS_CHART,
        "-n",
        "poker-operator",
    ];
    shell::run("helm", &crds).await?;
    let one = json!({"shards": {"replicas": 1}, "gateway": {"replicas": 1}});
    let elsewhere = World::applied("elsewhere", one).await?;
    helm(
        &["install"],
        &["--set", &format!("watchNamespace={}", world.namespace)],
    )
    .await?;
    world.apply(json!({"shards": {"replicas": 2}})).await?;
    world.wait_shards(2).await?;
    assert!(
        elsewhere.get().await?.status.is_none(),
        "an operator of one namespace wrote in another"
    );

    helm(&["upgrade"], &[]).await?;
    elsewhere.wait_ready().await?;
    assert_eq!(world.votes_stored(votes).await?, votes);
    elsewhere.tear_down().await?;
    world.tear_down().await
}

#[tokio::test]
async fn two_clusters_live_in_one_namespace_and_in_two() -> Result<()> {
    let small = json!({"shards": {"replicas": 1}, "gateway": {"replicas": 1}});
    let first = World::ready("several", small.clone()).await?;
    let second = first.beside("other");
    second.apply(small.clone()).await?;
    let third = World::applied("several", small).await?;
    second.wait_ready().await?;
    third.wait_ready().await?;
    for world in [&first, &second, &third] {
        assert_eq!(
            world.deployments("shard").await?.len(),
            1,
            "{} in {}",
            world.name,
            world.namespace
        );
    }
    first.tear_down().await?;
    third.tear_down().await
}
