//! Stored revisions: which pods a change replaces, and what happens to the revision that serves.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::*;
use crate::hash::fingerprint;
use crate::observed::DrainStatus;

const APP: [Component; 3] = [Component::Gateway, Component::Shard, Component::Worker];

fn settled(state: Observed) -> TestCluster {
    let mut cluster = TestCluster::new(state);
    cluster.settle();
    cluster
}

fn revisions(state: &Observed) -> [String; 3] {
    let valid = validate(state).unwrap();
    APP.map(|component| valid.revisions.of(component).to_owned())
}

/// The components whose pods a change replaces.
fn replaced(change: impl Fn(&mut Observed), from: Observed) -> Vec<Component> {
    let mut cluster = settled(from);
    let before = revisions(&cluster.observed);
    change(&mut cluster.observed);
    let after = revisions(&cluster.observed);
    let changed = APP.into_iter().zip(before.iter().zip(&after));
    changed.filter(|(_, (b, a))| b != a).map(|(c, _)| c).collect()
}

#[test]
fn a_change_of_the_spec_replaces_only_the_pods_that_read_it() {
    use Component::{Gateway, Shard, Worker};
    let table = [
        ("{version: v1, shards: {replicas: 9}}", vec![]),
        (
            "{version: v1, gateway: {replicas: 9, drainDeadlineSeconds: 9, expose: {service: {type: NodePort}}}}",
            vec![],
        ),
        (
            "{version: v1, worker: {replicas: 0}, redis: {managed: {memory: 1Gi}}}",
            vec![],
        ),
        (
            "{version: v1, gateway: {resources: {limits: {memory: 1Gi}}}}",
            vec![Gateway],
        ),
        (
            "{version: v1, shards: {resources: {limits: {memory: 1Gi}}}}",
            vec![Shard],
        ),
        (
            "{version: v1, worker: {resources: {limits: {memory: 1Gi}}}}",
            vec![Worker],
        ),
        (
            "{version: v1, kafka: {topic: {name: other}}}",
            vec![Shard, Worker],
        ),
        ("{version: v2}", vec![Gateway, Shard, Worker]),
        (
            "{version: v1, image: {repository: x}}",
            vec![Gateway, Shard, Worker],
        ),
        (
            "{version: v1, image: {pullSecrets: [{name: x}]}}",
            vec![Gateway, Shard, Worker],
        ),
    ];
    for (spec, expected) in table {
        let change = |state: &mut Observed| state.cluster.spec = serde_saphyr::from_str(spec).unwrap();
        let found = replaced(change, observed("demo", "{version: v1}"));
        assert_eq!(found, expected, "{spec}");
    }
}

#[test]
fn changed_credentials_replace_only_the_pods_that_read_them() {
    use Component::{Gateway, Shard, Worker};
    let table = [
        ("redis", "url", vec![Shard]),
        ("postgres", "dsn", vec![Gateway, Worker]),
        ("redis", "unread", vec![]),
    ];
    for (secret, key, expected) in table {
        let change = |state: &mut Observed| {
            let keys = state.secrets.get_mut(secret).unwrap();
            keys.insert(key.to_owned(), fingerprint(b"another"));
        };
        assert_eq!(replaced(change, external()), expected, "{secret} {key}");
    }
    let credentials = |state: &Observed| validate(state).unwrap().credentials;
    let mut other = external();
    other.cluster.metadata.uid = Some("of a successor".to_owned());
    assert_eq!(credentials(&other), credentials(&external()));
    other.cluster.metadata.namespace = Some("another".to_owned());
    assert_ne!(
        credentials(&other),
        credentials(&external()),
        "equal credentials of two clusters have different hashes"
    );
}

fn templates(cluster: &TestCluster) -> BTreeMap<String, PodTemplateSpec> {
    let deployments = cluster.observed.live.deployments.iter();
    deployments
        .map(|d| (d.name_any(), d.spec.clone().unwrap().template))
        .collect()
}

fn rewrite<T: Serialize + DeserializeOwned>(value: &mut T, from: &str, to: &str) {
    let text = serde_json::to_string(value).unwrap().replace(from, to);
    *value = serde_json::from_str(&text).unwrap();
}

/// A cluster as an operator left it that stored no revisions and named them after the rendered pods.
fn without_revisions(mut cluster: TestCluster, id: &str) -> TestCluster {
    let former = validate(&cluster.observed).unwrap().revisions.current;
    let live = &mut cluster.observed.live;
    live.controller_revisions.clear();
    rewrite(&mut live.deployments, &former, id);
    rewrite(&mut live.services, &former, id);
    rewrite(&mut live.config_maps, &former, id);
    rewrite(&mut cluster.observed.cluster.status, &former, id);
    cluster
}

#[test]
fn the_pods_of_an_operator_that_stored_no_revisions_stay() {
    let mut cluster = without_revisions(settled(observed("demo", MINIMAL)), "01d01d0f");
    // Whatever this operator would render is not what runs.
    rewrite(
        &mut cluster.observed.live.deployments,
        "\"/ready\"",
        "\"/readyz\"",
    );
    let before = templates(&cluster);
    cluster.settle();
    assert_eq!(templates(&cluster), before);
    let stored = &cluster.observed.live.controller_revisions;
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].name_any(), "demo-01d01d0f");
    assert_eq!(cluster.condition("Progressing").0, "False");

    cluster.observed.cluster.spec.shards.replicas = 4;
    cluster.settle();
    let new = templates(&cluster)["demo-shard-3-01d01d0f"].clone();
    let text = serde_json::to_string(&new).unwrap();
    assert!(
        text.contains("/readyz") && text.contains("demo-shard-3-01d01d0f"),
        "{text}"
    );
    assert_eq!(
        new.metadata.unwrap().labels.unwrap()["planningpoker.dev/shard"],
        "3"
    );
}

#[test]
fn credentials_that_changed_between_two_operators_replace_the_adopted_pods() {
    let mut cluster = without_revisions(settled(external()), "01d01d0f");
    let annotation = |state: &Observed| crate::credentials::combined(state).unwrap();
    let now = annotation(&cluster.observed);
    for deployment in &mut cluster.observed.live.deployments {
        let template = &mut deployment.spec.as_mut().unwrap().template;
        let annotations = template.metadata.as_mut().unwrap().annotations.as_mut().unwrap();
        annotations.insert("planningpoker.dev/credentials".to_owned(), now.clone());
    }
    assert_eq!(revisions(&cluster.observed)[0], "01d01d0f");
    let keys = cluster.observed.secrets.get_mut("redis").unwrap();
    keys.insert("url".to_owned(), fingerprint(b"another"));
    assert_ne!(revisions(&cluster.observed)[0], "01d01d0f");
}

#[test]
fn a_stored_revision_is_used_as_stored() {
    let mut cluster = settled(observed("demo", MINIMAL));
    rewrite(
        &mut cluster.observed.live.controller_revisions,
        "\"/ready\"",
        "\"/readyz\"",
    );
    let stored = cluster.observed.live.controller_revisions.clone();
    let plan = cluster.reconcile();
    assert!(plan.children.controller_revisions.is_empty());
    for template in templates(&cluster).values() {
        assert!(serde_json::to_string(template).unwrap().contains("/readyz"));
    }
    assert_eq!(cluster.observed.live.controller_revisions, stored);
}

#[test]
fn a_revision_that_only_a_newer_operator_can_decode_is_neither_overwritten_nor_deleted() {
    let mut cluster = settled(observed("demo", MINIMAL));
    let newer = json!({"format": 2});
    let stored = &mut cluster.observed.live.controller_revisions[0];
    stored.data = Some(RawExtension(newer.clone()));
    let name = stored.name_any();
    cluster.settle();
    let live = &cluster.observed.live.controller_revisions;
    let stored = live.iter().find(|revision| revision.name_any() == name);
    assert_eq!(stored.unwrap().data, Some(RawExtension(newer)));
}

#[test]
fn a_rollback_to_a_partly_adopted_revision_creates_all_components() {
    let mut cluster = settled(observed("demo", "{version: v1}"));
    cluster.observed.cluster.spec.version = "v2".to_owned();
    cluster.reconcile();
    let names = cluster.observed.names();
    let former = cluster.observed.live.controller_revisions[0].name_any();
    let live = &mut cluster.observed.live;
    live.controller_revisions.retain(|r| r.name_any() != former);
    live.deployments.retain(|d| d.name_any() != "demo-worker");
    cluster.reconcile();
    cluster.observed.cluster.spec.version = "v1".to_owned();
    cluster.settle();
    let [gateway, shard, _] = revisions(&cluster.observed);
    let mut expected: Vec<_> = (0..3).map(|id| names.shard(id, &shard)).collect();
    expected.extend([names.gateway(&gateway), "demo-worker".to_owned()]);
    expected.sort();
    assert_eq!(cluster.deployments(), expected);
}

#[test]
fn the_history_is_limited_and_contains_all_revisions_that_run() {
    let mut cluster = settled(observed("demo", "{version: v0, revisionHistoryLimit: 2}"));
    for version in 1..6 {
        cluster.observed.cluster.spec.version = format!("v{version}");
        cluster.settle();
    }
    let versions = |cluster: &TestCluster| {
        let stored = cluster.observed.live.controller_revisions.iter();
        let version = |data: &Value| data["release"]["version"].as_str().unwrap().to_owned();
        stored
            .map(|revision| (revision.revision, version(&revision.data.as_ref().unwrap().0)))
            .collect::<BTreeMap<_, _>>()
    };
    let expected = [(4, "v3"), (5, "v4"), (6, "v5")].map(|(n, v)| (n, v.to_owned()));
    assert_eq!(versions(&cluster), BTreeMap::from(expected));
    cluster.observed.cluster.spec.version = "v4".to_owned();
    cluster.settle();
    let [gateway, ..] = revisions(&cluster.observed);
    let reused = cluster.observed.names().revision(&gateway);
    let stored = cluster.observed.live.controller_revisions.iter();
    let number = stored.filter(|r| r.name_any() == reused).map(|r| r.revision);
    assert_eq!(number.collect::<Vec<_>>(), [5], "a known revision is used again");
}

/// A cluster that runs v1, with a version that cannot run in its spec.
struct Stuck {
    cluster: TestCluster,
    good: String,
    bad: String,
}

impl Stuck {
    fn new(spec: &str) -> Self {
        let mut cluster = settled(observed("demo", spec));
        let [good, ..] = revisions(&cluster.observed);
        cluster.observed.cluster.spec.version = "bad".to_owned();
        let mut stuck = Self {
            bad: revisions(&cluster.observed)[0].clone(),
            cluster,
            good,
        };
        stuck.settle();
        stuck
    }

    /// Makes all pods ready but those of the bad version.
    fn settle(&mut self) {
        for _ in 0..30 {
            self.cluster.reconcile();
            self.cluster.set_ready("", true);
            for deployment in &mut self.cluster.observed.live.deployments {
                if deployment.name_any().contains(&self.bad) {
                    deployment.status = None;
                }
            }
            let names = drains(&self.cluster.observed.live, &self.cluster.observed.names());
            let empty = DrainStatus {
                active: 0,
                gateway_links: u64::MAX,
                routes_version: u64::MAX,
            };
            let running = names.into_iter().filter(|name| !name.contains(&self.bad));
            self.cluster.observed.drains = running.map(|name| (name, empty)).collect();
            self.cluster.wait(1);
        }
    }

    fn good_shard(&self, id: u32) -> String {
        self.cluster.observed.names().shard(id, &self.good)
    }

    fn good_gateway(&self) -> String {
        self.cluster.observed.names().gateway(&self.good)
    }
}

#[test]
fn the_worker_keeps_its_revision_until_all_shards_run_the_new_version() {
    let mut stuck = Stuck::new("{version: v1, shards: {replicas: 2}}");
    let image = |cluster: &TestCluster| {
        let template = templates(cluster).remove("demo-worker").unwrap();
        template.spec.unwrap().containers[0].image.clone().unwrap()
    };
    assert!(image(&stuck.cluster).ends_with(":v1"));
    stuck.cluster.settle();
    assert!(image(&stuck.cluster).ends_with(":bad"), "it runs by now");
}

#[test]
fn scale_out_creates_shards_of_the_revision_that_serves_while_the_new_one_cannot_run() {
    let mut stuck = Stuck::new("{version: v1, shards: {replicas: 2}}");
    stuck.cluster.observed.cluster.spec.shards.replicas = 4;
    stuck.settle();
    let expected: Vec<String> = (0..4).map(|id| stuck.good_shard(id)).collect();
    let plan = stuck.cluster.reconcile();
    assert_eq!(plan.summary.shards.active, expected);
    let bad = stuck.cluster.deployments();
    let bad = bad
        .iter()
        .filter(|n| n.contains("shard") && n.contains(&stuck.bad));
    assert_eq!(bad.count(), 1, "one shard tries the new version");

    stuck.cluster.settle();
    let [_, shards, _] = revisions(&stuck.cluster.observed);
    let names = stuck.cluster.deployments();
    let shards = names
        .iter()
        .filter(|n| n.contains("shard") && n.ends_with(&shards));
    assert_eq!(shards.count(), 4, "all are replaced once the version runs");
    assert_eq!(names.len(), 6);
}

#[test]
fn gateways_of_the_revision_that_serves_are_scaled_while_the_new_one_cannot_run() {
    for spec in ["{version: v1, gateway: {replicas: 1}}", SCALED] {
        let mut stuck = Stuck::new(spec);
        let gateway = &mut stuck.cluster.observed.cluster.spec.gateway;
        gateway.replicas = 3;
        if let Some(block) = &mut gateway.autoscaling {
            block.min_replicas = 3;
        }
        stuck.settle();
        let good = stuck.good_gateway();
        let live = stuck.cluster.observed.live.deployment(&good).unwrap();
        assert_eq!(live.spec.as_ref().unwrap().replicas, Some(3), "{spec}");
    }
}

#[test]
fn deleted_objects_of_the_revision_that_serves_are_created_again() {
    let mut stuck = Stuck::new("{version: v1, shards: {replicas: 2}}");
    let (gateway, shards) = (stuck.good_gateway(), [stuck.good_shard(0), stuck.good_shard(1)]);
    let live = &mut stuck.cluster.observed.live;
    live.deployments
        .retain(|d| d.name_any() != gateway && !shards.contains(&d.name_any()));
    live.services.retain(|s| !shards.contains(&s.name_any()));
    let plan = stuck.cluster.reconcile();
    assert_eq!(plan.summary.gateway.serving, stuck.good, "the Service stays");
    let live = &stuck.cluster.observed.live;
    for name in shards.iter().chain([&gateway]) {
        assert!(live.deployment(name).is_some(), "{name}");
    }
    let services: Vec<String> = live.services.iter().map(ResourceExt::name_any).collect();
    assert!(shards.iter().all(|name| services.contains(name)), "{services:?}");
    stuck.settle();
    let active = stuck.cluster.reconcile().summary.shards.active;
    assert_eq!(active, shards);

    let live = &mut stuck.cluster.observed.live;
    live.services.retain(|service| service.name_any() != "demo");
    let plan = stuck.cluster.reconcile();
    assert_eq!(plan.summary.gateway.serving, stuck.good, "without the Service");
}

#[test]
fn each_revision_has_its_own_disruption_budgets() {
    let stuck = Stuck::new("{version: v1}");
    let budgets = &stuck.cluster.observed.live.pod_disruption_budgets;
    let mut names: Vec<String> = budgets.iter().map(ResourceExt::name_any).collect();
    names.sort();
    let names_of = stuck.cluster.observed.names();
    let mut expected: Vec<String> = [&stuck.good, &stuck.bad]
        .into_iter()
        .flat_map(|id| [names_of.gateway(id), names_of.shards(id)])
        .collect();
    expected.sort();
    assert_eq!(names, expected);
    for budget in budgets {
        let selector = budget
            .spec
            .clone()
            .unwrap()
            .selector
            .unwrap()
            .match_labels
            .unwrap();
        let revision = &selector["planningpoker.dev/revision"];
        assert!(budget.name_any().ends_with(revision));
    }
}

#[test]
fn a_restart_replaces_all_pods_one_shard_after_another() {
    let mut cluster = settled(observed("demo", MINIMAL));
    let before = revisions(&cluster.observed);
    let annotations = cluster
        .observed
        .cluster
        .metadata
        .annotations
        .get_or_insert_default();
    annotations.insert(
        "planningpoker.dev/restartedAt".to_owned(),
        "2026-12-01T05:00:00Z".to_owned(),
    );
    let after = revisions(&cluster.observed);
    assert!(before.iter().zip(&after).all(|(before, after)| before != after));
    let shards = |cluster: &TestCluster, revision: &str| {
        let names = cluster.deployments();
        let shards = names
            .iter()
            .filter(|n| n.contains("-shard-") && n.ends_with(revision));
        shards.count()
    };
    cluster.reconcile();
    assert_eq!(
        (shards(&cluster, &before[1]), shards(&cluster, &after[1])),
        (3, 1)
    );
    cluster.settle();
    assert_eq!(
        (shards(&cluster, &before[1]), shards(&cluster, &after[1])),
        (0, 3)
    );
    assert_eq!(revisions(&cluster.observed), after, "it happens once");
}
