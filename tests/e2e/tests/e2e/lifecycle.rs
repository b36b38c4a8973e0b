//! Apply, look, scale, delete: what a platform engineer does on the first day.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use e2e::world::{PATIENCE, condition, restarts};
use e2e::{World, images, plan, shell};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};
use kube::runtime::conditions::is_deleted;
use poker_operator_api::PokerCluster;
use serde_json::{Value, json};

/// The version of each object, by its kind and name. Kubernetes writes the status of workloads and budgets: they
/// have a generation for the rest.
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
async fn a_cluster_is_applied_looked_at_scaled_and_deleted() -> Result<()> {
    let world = World::applied("lifecycle", json!({"shards": {"replicas": 2}})).await?;
    let seconds = world.wait_ready().await?;
    println!("apply to Ready: {seconds:.1} s");
    world.wait_shards(2).await?;

    looks_right_to_kubectl(&world).await?;
    every_child_is_as_planned(&world).await?;
    every_pod_waited_and_logs_json(&world).await?;
    prometheus_scrapes_every_role(&world).await?;
    pods_have_the_least_rights(&world).await?;
    another_reconcile_writes_nothing(&world).await?;
    kubectl_scale_is_followed(&world).await?;
    deletion_leaves_nothing(&world).await?;
    world.tear_down().await
}

async fn looks_right_to_kubectl(world: &World) -> Result<()> {
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

/// By the plan of the command line, which sees no cluster: so it knows neither passwords nor routes.
async fn every_child_is_as_planned(world: &World) -> Result<()> {
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

/// All start at once: who needs a server that is not there yet waits for it.
async fn every_pod_waited_and_logs_json(world: &World) -> Result<()> {
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
        assert!(!log.is_empty(), "{of:?} logs nothing");
        for line in log.lines() {
            let line: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
            for key in ["timestamp", "level", "message"] {
                assert!(line[key].is_string(), "no {key}: {line}");
            }
        }
    }
    Ok(())
}

/// The pods of the app, and the operator itself.
async fn prometheus_scrapes_every_role(world: &World) -> Result<()> {
    let query = "/api/v1/namespaces/poker-monitoring/services/prometheus:9090/proxy/api/v1/query?query=up==1";
    let end = Instant::now() + PATIENCE;
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
            "Prometheus sees only {pods:?} and {operators:?}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What the API server grants to the pods' account beyond what everybody has.
async fn pods_have_the_least_rights(world: &World) -> Result<()> {
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
        // Both follow the routing table.
        let follows = ["demo-gateway-", "demo-shard-"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        assert_eq!(token == Some(true), follows, "{name} has a token: {token:?}");
    }
    Ok(())
}

/// A deadline for draining stands in no child: the pass that it causes finds all as it should be.
async fn another_reconcile_writes_nothing(world: &World) -> Result<()> {
    let before = versions(world).await?;
    world
        .apply(json!({"shards": {"replicas": 2, "drainDeadlineSeconds": 77}}))
        .await?;
    world.wait_ready().await?;
    assert_eq!(before, versions(world).await?);
    Ok(())
}

async fn kubectl_scale_is_followed(world: &World) -> Result<()> {
    world
        .kubectl(&["scale", "pokercluster/demo", "--replicas=1"])
        .await?;
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
    let end = Instant::now() + PATIENCE;
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
async fn what_only_the_operator_can_know_is_said_and_harms_nothing_that_runs() -> Result<()> {
    let world = World::ready("mistakes", json!({"shards": {"replicas": 1}})).await?;
    let pods_before: Vec<_> = world.pods("shard").await?.iter().map(|pod| pod.uid()).collect();
    a_smaller_topic_is_refused(&world).await?;
    a_missing_secret_is_named(&world).await?;
    let pods_after: Vec<_> = world.pods("shard").await?.iter().map(|pod| pod.uid()).collect();
    assert_eq!(pods_before, pods_after, "a mistake replaced what ran");
    a_pod_without_a_node_is_told(&world).await?;
    world.apply(json!({})).await?;
    world.wait_ready().await?;
    world.tear_down().await
}

async fn a_smaller_topic_is_refused(world: &World) -> Result<()> {
    let Err(refusal) = world.apply(json!({"kafka": {"topic": {"partitions": 1}}})).await else {
        bail!("a topic that loses partitions was admitted")
    };
    let refusal = refusal.to_string();
    assert!(
        refusal.contains("keep topic.partitions"),
        "the refusal does not say what to do: {refusal}"
    );
    Ok(())
}

async fn a_missing_secret_is_named(world: &World) -> Result<()> {
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
    let conditions = cluster.status.unwrap_or_default().conditions;
    let degraded = conditions.iter().find(|condition| condition.type_ == "Degraded");
    let message = degraded.context("not Degraded")?.message.as_str();
    assert!(
        message.contains("nowhere"),
        "the message does not say what to do: {message}"
    );
    let told = world.events("SecretMissing").await?;
    assert!(told[0].contains("nowhere"), "{told:?}");
    Ok(())
}

/// Nobody has a node that large; what runs goes on until its successor does.
async fn a_pod_without_a_node_is_told(world: &World) -> Result<()> {
    let huge = json!({"shards": {"resources": {"requests": {"cpu": "1000"}}}});
    world.apply(huge).await?;
    let is_told = |cluster: &PokerCluster| {
        let conditions = cluster.status.iter().flat_map(|status| &status.conditions);
        let mut of = conditions.filter(|condition| condition.type_ == "Degraded");
        of.any(|condition| {
            condition.reason == "Unschedulable" && condition.message.contains("resources.requests")
        })
    };
    world.wait_until("Degraded with Unschedulable", is_told).await
}
