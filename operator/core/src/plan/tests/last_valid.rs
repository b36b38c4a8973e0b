//! An invalid spec: the operator refuses it and operates the last valid one.

use k8s_openapi::api::core::v1::Secret;

use super::*;

const AUTOSCALED: &str = "
version: v1
shards: {autoscaling: {minReplicas: 2, maxReplicas: 6, metrics: [{builtin: Participants, target: {averageValue: '50'}}]}}
database: {external: {urlSecretRef: {name: postgres, key: dsn}}}
prometheus: {url: 'http://prometheus.monitoring.svc:9090'}
";

fn settled() -> TestCluster {
    let mut state = observed("demo", AUTOSCALED);
    state.secrets.insert("postgres".into(), keys(["dsn"]));
    let mut cluster = TestCluster::new(state);
    cluster.settle();
    cluster
}

fn participants(cluster: &mut TestCluster, count: f64) {
    let now = cluster.observed.now;
    let samples = cluster.observed.metrics.entry(Component::Shard).or_default();
    samples.insert("participants".into(), Sample::fresh(count, now));
}

fn message(cluster: &TestCluster, type_: &str) -> String {
    let status = cluster.observed.cluster.status.as_ref().unwrap();
    let condition = status.conditions.iter().find(|c| c.type_ == type_);
    condition.unwrap().message.clone()
}

#[test]
fn a_cluster_whose_secret_is_missing_is_scaled_and_repaired() {
    let mut cluster = settled();
    cluster.observed.secrets.clear();
    let (shard, worker) = ("demo-shard-0-", "demo-worker");
    let live = &mut cluster.observed.live.deployments;
    live.retain(|d| !d.name_any().starts_with(shard) && d.name_any() != worker);
    cluster.reconcile();
    let deployments = cluster.deployments();
    assert!(
        deployments.iter().any(|name| name.starts_with(shard)),
        "{deployments:?}"
    );
    assert!(deployments.iter().any(|name| name == worker), "{deployments:?}");

    participants(&mut cluster, 200.0);
    cluster.settle();
    participants(&mut cluster, 200.0);
    let plan = cluster.reconcile();
    assert_eq!(plan.summary.shards.active.len(), 4);
    let status = cluster.observed.cluster.status.as_ref().unwrap();
    assert_eq!(status.scaling[0].desired, 4);
    let degraded = ("True".to_owned(), "SecretMissing".to_owned());
    assert_eq!(cluster.condition("Degraded"), degraded);
    let message = message(&cluster, "Degraded");
    assert!(message.contains("Secret postgres does not exist"), "{message}");
    assert!(
        message.contains("the operator keeps operating the last valid spec"),
        "{message}"
    );
}

#[test]
fn the_last_valid_spec_is_operated_until_the_current_one_is_valid() {
    let mut cluster = settled();
    let before = cluster.deployments();
    let mut invalid = cluster.observed.cluster.spec.clone();
    invalid.version = "v2".to_owned();
    invalid.worker =
        serde_saphyr::from_str("{resources: {requests: {memory: 2Gi}, limits: {memory: 1Gi}}}").unwrap();
    cluster.observed.cluster.spec = invalid;
    cluster.settle();
    assert_eq!(
        cluster.deployments(),
        before,
        "nothing of the invalid spec is applied"
    );
    assert_eq!(cluster.condition("Stalled").0, "True");
    assert_eq!(cluster.condition("Progressing").0, "False");

    cluster.observed.cluster.spec.paused = true;
    let plan = cluster.reconcile();
    assert!(plan.summary.paused && documents(&plan.children).is_empty());

    cluster.observed.cluster.spec.paused = false;
    cluster.observed.cluster.spec.worker = serde_saphyr::from_str("{}").unwrap();
    cluster.settle();
    assert_ne!(cluster.deployments(), before);
    assert_eq!(cluster.condition("Stalled").0, "False");
    let status = cluster.observed.cluster.status.as_ref().unwrap();
    assert_eq!(status.version.as_deref(), Some("v2"));
}

#[test]
fn a_deleted_password_is_not_replaced_while_the_last_valid_spec_is_operated() {
    let mut cluster = TestCluster::new(observed("demo", MINIMAL));
    cluster.settle();
    cluster.observed.secrets.clear();
    cluster.observed.live.secrets.clear();
    let plan = cluster.reconcile();
    assert_eq!(plan.children.secrets, Vec::<Secret>::new());
    assert!(!plan.children.deployments.is_empty());
    assert_eq!(cluster.condition("Stalled").1, "SecretMissing");
}
