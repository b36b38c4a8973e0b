//! A platform engineer's first day: apply a cluster, inspect, scale and delete it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use e2e::world::{WAIT_TIMEOUT, condition, restarts};
use e2e::{World, images, plan, shell};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};
use kube::runtime::conditions::is_deleted;
use poker_operator_api::PokerCluster;
use serde_json::{Value, json};

/// The version of each object by kind and name: the generation where there is one, as Kubernetes writes the status of
/// workloads and budgets; else the resource version.
async fn versions(world: &World) -> Result<BTreeMap<String, String>> {
    let version = |object: &Value| {
        let meta = &object["metadata"];
        meta.get("generation")
            .unwrap_or(&meta["resourceVersion"])
            .to_string()
    };
    let all = plan::live(world).await?;
    Ok(all
        .iter()
        .map(|object| (plan::identity(object), version(object)))
        .collect())
}

#[tokio::test]
async fn a_cluster_is_applied_inspected_scaled_and_deleted() -> Result<()> {
    let world = World::applied("lifecycle", json!({"shards": {"replicas": 2}})).await?;
    let seconds = world.wait_ready().await?;
    println!("apply to Ready: {seconds:.1} s");
    world.wait_shards(2).await?;

    kubectl_shows_the_cluster(&world).await?;
    children_match_the_plan(&world).await?;
    no_pod_crashed_and_logs_are_json(&world).await?;
    prometheus_scrapes_every_role(&world).await?;
    pods_have_minimal_rights(&world).await?;
    another_reconcile_writes_nothing(&world).await?;
    kubectl_scale_changes_the_shards(&world).await?;
    deletion_removes_all_children(&world).await?;
    world.tear_down().await
}

async fn kubectl_shows_the_cluster(world: &World) -> Result<()> {
    let wait = [
        "wait",
        "--for=condition=Ready",
        "pokercluster/demo",
        "--timeout=10s",
    ];
    world.kubectl(&wait).await?;
    let columns = world.columns().await?;
    let shown: Vec<_> = ["READY", "VERSION", "SHARDS", "GATEWAYS", "ROLLOUT"]
        .iter()
        .map(|&name| columns.get(name).map_or("no such column", String::as_str))
        .collect();
    assert_eq!(shown, ["True", &images::version(), "2", "2", "2/2"]);
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

/// Compares with `poker-operator plan`, which reads no cluster and so knows neither passwords nor routes.
async fn children_match_the_plan(world: &World) -> Result<()> {
    let (planned, live) = (plan::planned(world).await?, plan::live(world).await?);
    let names = |objects: &[Value]| objects.iter().map(plan::identity).collect::<BTreeSet<_>>();
    assert_eq!(names(&planned), names(&live));
    for mut object in planned {
        let name = plan::identity(&object);
        if name.starts_with("Secret/") || name.starts_with("ConfigMap/") {
            object["data"] = json!({});
        }
        let difference = plan::difference(&object, plan::find(&live, &name)?);
        assert_eq!(difference, None, "{name}");
    }
    Ok(())
}

/// All pods start at once; a pod that needs a server waits for it and does not crash.
async fn no_pod_crashed_and_logs_are_json(world: &World) -> Result<()> {
    for component in ["gateway", "shard", "worker", "redis", "kafka", "database"] {
        for pod in world.pods(component).await? {
            assert_eq!(restarts(&pod), 0, "{} crashed", pod.name_any());
        }
    }
    let operator = ["-n", "poker-operator", "deployment/poker-operator"].as_slice();
    let [gateway, worker] =
        ["gateway", "worker"].map(|role| format!("--selector=app.kubernetes.io/component={role}"));
    let shard = "--selector=app.kubernetes.io/component=shard";
    for of in [operator, &[&gateway], &[shard], &[&worker]] {
        let log = world.kubectl(&[&["logs", "--tail=200"], of].concat()).await?;
        assert!(!log.is_empty(), "{of:?} has no log");
        for line in log.lines() {
            let line: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
            for key in ["timestamp", "level", "message"] {
                assert!(line[key].is_string(), "no {key}: {line}");
            }
        }
    }
    Ok(())
}

/// Prometheus scrapes every role of the app, and the operator.
async fn prometheus_scrapes_every_role(world: &World) -> Result<()> {
    let query = "/api/v1/namespaces/poker-monitoring/services/prometheus:9090/proxy/api/v1/query?query=up==1";
    let end = Instant::now() + WAIT_TIMEOUT;
    loop {
        let answer: Value = serde_json::from_str(&world.kubectl(&["get", "--raw", query]).await?)?;
        let targets = answer["data"]["result"].as_array().context("no result")?;
        let names = |namespace: &str| -> BTreeSet<&str> {
            let of = targets.iter().map(|target| &target["metric"]);
            of.filter(|metric| metric["namespace"] == namespace)
                .filter_map(|metric| metric["pod"].as_str())
                .collect()
        };
        let (pods, operators) = (names(&world.namespace), names("poker-operator"));
        let is_up = |role: &str| pods.iter().any(|pod| pod.starts_with(&format!("demo-{role}-")));
        if !operators.is_empty() && ["gateway", "shard", "worker"].into_iter().all(is_up) {
            return Ok(());
        }
        assert!(
            Instant::now() < end,
            "Prometheus scrapes only {pods:?} and {operators:?}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Checks the rights of the pods' ServiceAccount beyond those of every account.
async fn pods_have_minimal_rights(world: &World) -> Result<()> {
    let account = format!("--as=system:serviceaccount:{}:demo-app", world.namespace);
    let table = world.kubectl(&["auth", "can-i", "--list", &account]).await?;
    let granted: Vec<_> = table
        .lines()
        .skip(1)
        .filter(|line| !line.starts_with("selfsubject") && !line.starts_with(' '))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        granted,
        ["configmaps [] [demo-routes] [get list watch]"],
        "{table}"
    );
    let all = ListParams::default().labels("app.kubernetes.io/instance=demo");
    let pods = world.api::<Pod>().list(&all).await?.items;
    assert!(!pods.is_empty());
    for pod in pods {
        let name = pod.name_any();
        let token = pod.spec.and_then(|spec| spec.automount_service_account_token);
        // Gateways and shards watch the routing table.
        let watches_routes = ["demo-gateway-", "demo-shard-"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        assert_eq!(
            token == Some(true),
            watches_routes,
            "{name} has a token: {token:?}"
        );
    }
    Ok(())
}

/// The drain deadline is a field of no child: changing it causes a reconcile that finds no drift.
async fn another_reconcile_writes_nothing(world: &World) -> Result<()> {
    let before = versions(world).await?;
    world
        .apply(json!({"shards": {"replicas": 2, "drainDeadlineSeconds": 77}}))
        .await?;
    world.wait_ready().await?;
    assert_eq!(before, versions(world).await?);
    Ok(())
}

async fn kubectl_scale_changes_the_shards(world: &World) -> Result<()> {
    world
        .kubectl(&["scale", "pokercluster/demo", "--replicas=1"])
        .await?;
    world.wait_shards(1).await?;
    assert_eq!(world.deployments("shard").await?.len(), 1);
    let cluster = world.get().await?;
    assert_eq!(condition(&cluster, "Ready").as_deref(), Some("True"));
    Ok(())
}

async fn deletion_removes_all_children(world: &World) -> Result<()> {
    let uid = world.get().await?.uid().unwrap_or_default();
    world
        .clusters()
        .delete(&world.name, &DeleteParams::default())
        .await?;
    world
        .wait_for(world.clusters(), &world.name, is_deleted(&uid))
        .await?;
    // The garbage collector deletes one kind after the other.
    let end = Instant::now() + WAIT_TIMEOUT;
    let kinds = format!(
        "{},ingresses,pods,replicasets,endpointslices,persistentvolumeclaims",
        plan::KINDS
    );
    let get = [
        "get",
        &kinds,
        "-l",
        "app.kubernetes.io/instance=demo",
        "-o",
        "name",
    ];
    let mut left = world.kubectl(&get).await?;
    while !left.is_empty() && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(200)).await;
        left = world.kubectl(&get).await?;
    }
    assert!(left.is_empty(), "left behind: {left}");
    Ok(())
}

#[tokio::test]
async fn mistakes_that_only_the_operator_can_find_are_reported_and_replace_no_pod() -> Result<()> {
    let world = World::ready("mistakes", json!({"shards": {"replicas": 1}})).await?;
    let pods_before: Vec<_> = world.pods("shard").await?.iter().map(|pod| pod.uid()).collect();
    fewer_partitions_are_rejected(&world).await?;
    a_missing_secret_is_reported(&world).await?;
    let pods_after: Vec<_> = world.pods("shard").await?.iter().map(|pod| pod.uid()).collect();
    assert_eq!(pods_before, pods_after, "a mistake replaced pods");
    an_unschedulable_pod_is_reported(&world).await?;
    world.apply(json!({})).await?;
    world.wait_ready().await?;
    world.tear_down().await
}

async fn fewer_partitions_are_rejected(world: &World) -> Result<()> {
    let Err(rejection) = world.apply(json!({"kafka": {"topic": {"partitions": 1}}})).await else {
        bail!("the API server accepted a topic with fewer partitions")
    };
    let rejection = rejection.to_string();
    assert!(
        rejection.contains("keep topic.partitions"),
        "the rejection names no remedy: {rejection}"
    );
    Ok(())
}

async fn a_missing_secret_is_reported(world: &World) -> Result<()> {
    let missing = json!({"database": {"managed": null, "external": {"urlSecretRef": {"name": "nowhere", "key": "url"}}}});
    world.apply(missing).await?;
    let stalls = |cluster: &PokerCluster| condition(cluster, "Stalled").as_deref() == Some("True");
    world.wait_until("Stalled=True", stalls).await?;
    let cluster = world.get().await?;
    assert_eq!(
        condition(&cluster, "Ready").as_deref(),
        Some("False"),
        "the current spec is not applied"
    );
    let conditions = cluster.status.unwrap_or_default().conditions;
    let degraded = conditions.iter().find(|condition| condition.type_ == "Degraded");
    let message = degraded.context("not Degraded")?.message.as_str();
    assert!(
        message.contains("nowhere"),
        "the message does not name the Secret: {message}"
    );
    let notes = world.events("SecretMissing").await?;
    assert!(notes[0].contains("nowhere"), "{notes:?}");
    Ok(())
}

/// No node is that large; the running pods stay until their replacements are ready.
async fn an_unschedulable_pod_is_reported(world: &World) -> Result<()> {
    let huge = json!({"shards": {"resources": {"requests": {"cpu": "1000"}}}});
    world.apply(huge).await?;
    let is_reported = |cluster: &PokerCluster| {
        let conditions = cluster.status.iter().flat_map(|status| &status.conditions);
        let mut of = conditions.filter(|condition| condition.type_ == "Degraded");
        of.any(|condition| {
            condition.reason == "Unschedulable" && condition.message.contains("resources.requests")
        })
    };
    world.wait_until("Degraded with Unschedulable", is_reported).await
}
