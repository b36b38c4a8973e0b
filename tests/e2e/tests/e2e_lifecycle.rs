//! Apply, look, scale, delete: what a platform engineer does on the first day.

use std::time::{Duration, Instant};

use anyhow::Result;
use e2e::world::{World, condition};
use e2e::{images, shell};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::runtime::conditions::is_deleted;
use kube::{Resource, ResourceExt};
use poker_operator_api::PokerCluster;
use serde::de::DeserializeOwned;
use serde_json::json;

/// How long the garbage collector may take.
const COLLECTED_WITHIN: Duration = Duration::from_secs(60);

/// `kind/name@resourceVersion` of every object of one kind that belongs to the cluster.
async fn versions<K>(world: &World) -> Result<Vec<String>>
where
    K: Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    let selector = ListParams::default().labels(&format!("app.kubernetes.io/instance={}", world.name));
    let list = world.api::<K>().list(&selector).await?;
    let label = |object: &K| {
        format!(
            "{}/{}@{}",
            K::kind(&()),
            object.name_any(),
            object.resource_version().unwrap_or_default()
        )
    };
    Ok(list.items.iter().map(label).collect())
}

/// Everything the operator made, except what Kubernetes itself keeps writing to.
async fn children(world: &World) -> Result<Vec<String>> {
    let mut all = vec![];
    all.extend(versions::<Deployment>(world).await?);
    all.extend(versions::<StatefulSet>(world).await?);
    all.extend(versions::<Service>(world).await?);
    all.extend(versions::<ConfigMap>(world).await?);
    all.extend(versions::<Secret>(world).await?);
    all.extend(versions::<ServiceAccount>(world).await?);
    all.extend(versions::<NetworkPolicy>(world).await?);
    all.extend(versions::<PodDisruptionBudget>(world).await?);
    all.extend(versions::<Role>(world).await?);
    all.extend(versions::<RoleBinding>(world).await?);
    all.sort();
    Ok(all)
}

#[tokio::test]
async fn a_cluster_is_applied_looked_at_scaled_and_deleted() -> Result<()> {
    let world = World::applied("lifecycle", json!({"shards": {"replicas": 2}})).await?;
    let seconds = world.wait_ready().await?;
    println!("apply to Ready: {seconds:.1} s");
    world.wait_shards(2).await?;

    looks_right_to_kubectl(&world).await?;
    further_reconciles_write_nothing_else(&world).await?;
    kubectl_scale_is_followed(&world).await?;
    deletion_leaves_nothing(&world).await?;
    world.tear_down().await
}

async fn looks_right_to_kubectl(world: &World) -> Result<()> {
    let namespace = ["-n", &world.namespace];
    let wait = [
        "wait",
        "--for=condition=Ready",
        "pokercluster/demo",
        "--timeout=10s",
    ];
    shell::run("kubectl", &[&namespace[..], &wait[..]].concat()).await?;
    let table = shell::run("kubectl", &[&namespace[..], &["get", "pokerclusters"]].concat()).await?;
    println!("{table}");
    for column in ["READY", "VERSION", "SHARDS", "GATEWAYS", "AGE"] {
        assert!(table.contains(column), "no column {column} in\n{table}");
    }
    let row = table.lines().nth(1).unwrap_or_default();
    assert!(
        row.contains("True") && row.contains(&images::version()),
        "the row does not tell: {row}"
    );
    let explained = shell::run(
        "kubectl",
        &["explain", "pokercluster.spec.shards.drainDeadlineSeconds"],
    )
    .await?;
    assert!(
        explained.contains("DESCRIPTION") && !explained.contains("<empty>"),
        "{explained}"
    );
    Ok(())
}

async fn further_reconciles_write_nothing_else(world: &World) -> Result<()> {
    // What a third shard does not concern is not written again by all the passes that it takes.
    let untouched = |all: &[String]| -> Vec<String> {
        let kinds = [
            "Secret/",
            "ServiceAccount/",
            "Role/",
            "RoleBinding/",
            "NetworkPolicy/",
        ];
        all.iter()
            .filter(|object| kinds.iter().any(|kind| object.starts_with(kind)))
            .cloned()
            .collect()
    };
    let before = children(world).await?;
    world.apply(json!({"shards": {"replicas": 3}})).await?;
    world.wait_shards(3).await?;
    world.apply(json!({"shards": {"replicas": 2}})).await?;
    world.wait_shards(2).await?;
    assert_eq!(untouched(&before), untouched(&children(world).await?));
    Ok(())
}

async fn kubectl_scale_is_followed(world: &World) -> Result<()> {
    let namespace = ["-n", &world.namespace];
    let scale = ["scale", "pokercluster/demo", "--replicas=1"];
    shell::run("kubectl", &[&namespace[..], &scale[..]].concat()).await?;
    world.wait_shards(1).await?;
    assert_eq!(world.deployments("shard").await?.len(), 1);
    let cluster = world.get().await?;
    assert_eq!(condition(&cluster, "Ready").as_deref(), Some("True"));
    Ok(())
}

async fn deletion_leaves_nothing(world: &World) -> Result<()> {
    let uid = world.get().await?.uid().unwrap_or_default();
    world
        .clusters()
        .delete(&world.name, &DeleteParams::default())
        .await?;
    world
        .wait_for(world.clusters(), &world.name, is_deleted(&uid))
        .await?;
    // The garbage collector takes one kind after the other.
    let end = Instant::now() + COLLECTED_WITHIN;
    let mut left = children(world).await?;
    while !left.is_empty() && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(200)).await;
        left = children(world).await?;
    }
    assert!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}

#[tokio::test]
async fn what_only_the_operator_can_know_is_said_and_harms_nothing_that_runs() -> Result<()> {
    let world = World::ready("mistakes", json!({"shards": {"replicas": 1}})).await?;
    let pods_before: Vec<_> = world.pods("shard").await?.iter().map(|pod| pod.uid()).collect();

    let shrunk = world.apply(json!({"kafka": {"topic": {"partitions": 1}}})).await;
    let refusal = shrunk
        .expect_err("a topic that loses partitions was admitted")
        .to_string();
    assert!(
        refusal.contains("keep topic.partitions"),
        "the refusal does not say what to do: {refusal}"
    );

    let missing = json!({"database": {"managed": null, "external": {"urlSecretRef": {"name": "nowhere", "key": "url"}}}});
    world.apply(missing).await?;
    let stalls = |cluster: &PokerCluster| condition(cluster, "Stalled").as_deref() == Some("True");
    world.wait_until("Stalled=True", stalls).await?;
    let cluster = world.get().await?;
    assert_eq!(
        condition(&cluster, "Ready").as_deref(),
        Some("False"),
        "the spec as it stands is not carried out"
    );
    let status = cluster.status.unwrap_or_default();
    let degraded = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Degraded");
    let message = degraded
        .map(|condition| condition.message.clone())
        .unwrap_or_default();
    println!("{message}");
    assert!(
        message.contains("nowhere"),
        "the message does not say what to do: {message}"
    );
    let pods_after: Vec<_> = world.pods("shard").await?.iter().map(|pod| pod.uid()).collect();
    assert_eq!(pods_before, pods_after, "a mistake replaced what ran");
    let warnings = || ListParams::default().fields("type=Warning,reason=SecretMissing");
    assert!(
        !world.api::<Event>().list(&warnings()).await?.items.is_empty(),
        "no event tells of it"
    );

    world.apply(json!({})).await?;
    world.wait_ready().await?;
    world.tear_down().await
}

#[tokio::test]
async fn an_address_where_no_server_is_is_named_and_waited_for() -> Result<()> {
    let redis = json!({"managed": null, "external": {"urlSecretRef": {"name": "my-redis", "key": "url"}}});
    let world = World::applied("address", json!({"redis": redis})).await?;
    let secret = serde_json::from_value(json!({
        "metadata": {"name": "my-redis"}, "stringData": {"url": "redis://nowhere:6379"},
    }))?;
    world
        .api::<Secret>()
        .create(&PostParams::default(), &secret)
        .await?;
    let told = |cluster: &PokerCluster| {
        let conditions = cluster.status.iter().flat_map(|status| &status.conditions);
        let of = |kind: &'static str| {
            conditions
                .clone()
                .find(move |c| c.type_ == kind && c.reason == "ContainerNotReady")
        };
        of("Ready").is_some_and(|c| c.status == "False" && c.message.contains("Secret my-redis"))
            && of("Degraded").is_some()
    };
    world
        .wait_until("Ready=False that names the Secret", told)
        .await?;
    let warnings = ListParams::default().fields("type=Warning,reason=ContainerNotReady");
    assert_eq!(
        world.api::<Event>().list(&warnings).await?.items.len(),
        1,
        "one event tells of it"
    );
    let restarts = |pod: &Pod| {
        pod.status
            .iter()
            .flat_map(|s| s.container_statuses.iter().flatten())
            .map(|c| c.restart_count)
            .sum::<i32>()
    };
    assert_eq!(
        world.pods("shard").await?.iter().map(restarts).sum::<i32>(),
        0,
        "a shard waits, it does not crash"
    );
    world.tear_down().await
}
