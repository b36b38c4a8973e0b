//! The chart: installed, upgraded, rolled back, uninstalled; and several clusters side by side.

use anyhow::Result;
use e2e::World;
use e2e::shell;
use kube::ResourceExt;
use serde_json::json;

#[tokio::test]
async fn clusters_and_data_survive_an_uninstall_of_the_operator() -> Result<()> {
    let world = World::ready("helm", json!({"shards": {"replicas": 1}})).await?;
    let values = std::env::var("E2E_HELM_VALUES").unwrap_or_default();
    let values: Vec<&str> = values.split_whitespace().collect();
    let release = [
        "poker-operator",
        "../../charts/poker-operator",
        "-n",
        "poker-operator",
        "--wait",
    ];
    let pods_before: Vec<_> = world.pods("shard").await?.iter().map(|pod| pod.uid()).collect();

    let upgrade = [
        &["upgrade"],
        &release[..],
        &values[..],
        &["--set", "log.level=debug"],
    ]
    .concat();
    shell::run("helm", &upgrade).await?;
    shell::run(
        "helm",
        &["rollback", "poker-operator", "-n", "poker-operator", "--wait"],
    )
    .await?;
    shell::run(
        "helm",
        &["uninstall", "poker-operator", "-n", "poker-operator", "--wait"],
    )
    .await?;
    let pods_after: Vec<_> = world.pods("shard").await?.iter().map(|pod| pod.uid()).collect();
    assert_eq!(
        pods_before, pods_after,
        "an uninstall of the operator touched what ran"
    );

    let install = [&["install"], &release[..], &values[..]].concat();
    shell::run("helm", &install).await?;
    world.apply(json!({"shards": {"replicas": 2}})).await?;
    world.wait_shards(2).await?;
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
