use std::collections::BTreeSet;
use std::path::PathBuf;

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use serde_json::Value;

use super::*;
use crate::children::Planned;
use crate::limits::REQUEUE_STARTING;
use crate::scale::Sample;
use crate::testing::{TestCluster, keys, observed};
use crate::validate::validate;

mod rejected_writes;

const MINIMAL: &str = "{version: '1.0.0'}";
const SCALED: &str = "
version: '1.4.0'
image: {repository: localhost/poker-app, pullPolicy: Never, pullSecrets: [{name: registry}]}
gateway:
  replicas: 2
  expose: {service: {type: NodePort, nodePort: 30080}}
  autoscaling: {minReplicas: 2, maxReplicas: 9, metrics: [{builtin: Connections, target: {averageValue: 500}}]}
shards:
  replicas: 2
  resources: {requests: {cpu: 250m, memory: 128Mi}, limits: {memory: 256Mi}}
  placement: {pins: [{team: night-owls, shard: 1}]}
  autoscaling: {minReplicas: 2, maxReplicas: 6, metrics: [{builtin: Participants, target: {averageValue: '50'}}]}
redis: {managed: {image: 'localhost/redis:7.0.15', memory: 128Mi, appendFsync: Always}}
prometheus: {url: 'http://prometheus.monitoring.svc:9090', intervalSeconds: 1}
";
const EXTERNAL: &str = "
version: '2.0.0-rc.1'
gateway:
  expose:
    service: {type: LoadBalancer, annotations: {example.com/scheme: internal}}
    ingress: {className: nginx, host: poker.example.com, tlsSecretName: poker-tls, annotations: {example.com/timeout: '3600'}}
worker: {replicas: 0}
redis: {external: {urlSecretRef: {name: redis, key: url}}}
kafka: {external: {bootstrapServers: ['k1.example.com:9092', 'k2.example.com:9092']}, topic: {name: poker, replicationFactor: 3, deletionPolicy: Delete}}
database: {external: {urlSecretRef: {name: postgres, key: dsn}}}
";

fn external() -> Observed {
    let mut state = observed("big-estimates", EXTERNAL);
    state.secrets.insert("redis".into(), keys(["url"]));
    state.secrets.insert("postgres".into(), keys(["dsn"]));
    state
}

fn planned(state: &Observed) -> Plan {
    plan(&validate(state).unwrap(), state)
}

fn documents(children: &Children<Planned>) -> Vec<Value> {
    let Children {
        controller_revisions,
        service_accounts,
        roles,
        role_bindings,
        secrets,
        config_maps,
        services,
        network_policies,
        pod_disruption_budgets,
        ingresses,
        stateful_sets,
        deployments,
        state: _,
    } = children;
    let mut all = Vec::new();
    fn add<K: serde::Serialize>(all: &mut Vec<Value>, objects: &[K]) {
        all.extend(objects.iter().map(|o| serde_json::to_value(o).unwrap()));
    }
    add(&mut all, controller_revisions);
    add(&mut all, service_accounts);
    add(&mut all, roles);
    add(&mut all, role_bindings);
    add(&mut all, secrets);
    add(&mut all, config_maps);
    add(&mut all, services);
    add(&mut all, network_policies);
    add(&mut all, pod_disruption_budgets);
    add(&mut all, ingresses);
    add(&mut all, stateful_sets);
    add(&mut all, deployments);
    all
}

#[test]
#[allow(clippy::disallowed_methods)] // reads and writes the golden files
fn children_match_the_golden_files() {
    let clusters = [
        ("minimal", observed("demo", MINIMAL)),
        ("scaled", observed("demo", SCALED)),
        ("external", external()),
    ];
    for (name, state) in clusters {
        let plan = planned(&state);
        let texts = documents(&plan.children)
            .iter()
            .map(|d| serde_saphyr::to_string(d).unwrap())
            .collect::<Vec<_>>();
        let yaml = texts.join("---\n");
        let path = PathBuf::from("testdata").join(format!("{name}.yaml"));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &yaml).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == yaml,
            "testdata/{name}.yaml is out of date: run make gen and review the diff"
        );
    }
}

/// The objects are applied as they are.
#[test]
fn children_contain_no_nulls_and_no_meaningless_empty_values() {
    fn check(path: &str, value: &Value) {
        match value {
            Value::Null => panic!("{path} is null"),
            Value::Array(items) => {
                assert!(!items.is_empty(), "{path} is empty");
                items
                    .iter()
                    .enumerate()
                    .for_each(|(i, item)| check(&format!("{path}[{i}]"), item));
            }
            Value::Object(fields) => {
                // An empty selector selects everything, and an empty `emptyDir` is a volume source.
                let may_be_empty = path.ends_with("namespaceSelector") || path.ends_with("emptyDir");
                assert!(!fields.is_empty() || may_be_empty, "{path} is empty");
                fields
                    .iter()
                    .for_each(|(key, item)| check(&format!("{path}.{key}"), item));
            }
            _ => {}
        }
    }
    for state in [observed("demo", MINIMAL), observed("demo", SCALED), external()] {
        for document in documents(&planned(&state).children) {
            assert!(document.get("status").is_none());
            check(document["kind"].as_str().unwrap(), &document);
        }
    }
}

#[test]
fn pods_meet_the_restricted_pod_security_standard() {
    for state in [observed("demo", SCALED), external()] {
        for document in documents(&planned(&state).children) {
            let pod = &document["spec"]["template"]["spec"];
            if pod.is_null() {
                continue;
            }
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            assert!(pod["securityContext"]["runAsUser"].as_i64().unwrap() > 0);
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
            for container in pod["containers"].as_array().unwrap() {
                let security = &container["securityContext"];
                assert_eq!(security["allowPrivilegeEscalation"], false);
                assert_eq!(security["readOnlyRootFilesystem"], true);
                assert_eq!(security["capabilities"]["drop"][0], "ALL");
                assert!(!container["resources"]["requests"].is_null());
            }
        }
    }
}

#[test]
fn the_longest_names_are_valid() {
    let name = "a".repeat(poker_operator_api::limits::CLUSTER_NAME_CHARS_MAX);
    let mut state = observed(&name, MINIMAL);
    state.cluster.spec.shards.replicas = poker_operator_api::limits::SHARDS_MAX;
    let plan = planned(&state);
    let shards = usize::try_from(poker_operator_api::limits::SHARDS_MAX).unwrap();
    assert_eq!(plan.summary.shards.active.len(), shards);
    let mut names = BTreeSet::new();
    for document in documents(&plan.children) {
        let name = document["metadata"]["name"].as_str().unwrap();
        assert!(name.len() <= 63, "{name} is not a DNS label");
        assert!(
            names.insert((document["kind"].to_string(), name.to_owned())),
            "{name} twice"
        );
        let labels = document["metadata"]["labels"].as_object().unwrap();
        assert!(labels.values().all(|v| v.as_str().unwrap().len() <= 63));
    }
}

#[test]
fn plans_are_deterministic_and_a_settled_cluster_does_not_change() {
    for state in [observed("demo", MINIMAL), observed("demo", SCALED), external()] {
        let (first, second) = (planned(&state), planned(&state));
        assert_eq!(documents(&first.children), documents(&second.children));
        let mut cluster = TestCluster::new(state);
        cluster.settle();
        let before = planned(&cluster.observed);
        assert!(
            before.orphans.is_empty() && before.topic.is_none(),
            "{:?} {:?}",
            before.orphans,
            before.topic
        );
        assert!(before.children.secrets.is_empty(), "the password is created once");
        cluster.reconcile();
        assert_eq!(
            documents(&before.children),
            documents(&planned(&cluster.observed).children)
        );
    }
}

#[test]
fn a_pod_that_is_not_ready_shortens_the_requeue_interval() {
    let mut cluster = TestCluster::new(observed("demo", MINIMAL));
    cluster.settle();
    assert!(planned(&cluster.observed).requeue_after > REQUEUE_STARTING);
    for of in ["worker", "redis", "kafka", "database"] {
        cluster.set_ready(of, false);
        assert_eq!(planned(&cluster.observed).requeue_after, REQUEUE_STARTING, "{of}");
        cluster.set_ready(of, true);
    }
}

#[test]
fn any_sequence_of_specs_ends_with_the_objects_of_the_last() {
    let reference = |spec: &str| {
        let mut cluster = TestCluster::new(observed("demo", spec));
        cluster.settle();
        cluster.deployments()
    };
    let specs = [
        "{version: v1, shards: {replicas: 3}}",
        "{version: v1, shards: {replicas: 1}}",
        "{version: v2, shards: {replicas: 5}}",
        "{version: v1, shards: {replicas: 3}}",
    ];
    let mut cluster = TestCluster::new(observed("demo", specs[0]));
    cluster.settle();
    for spec in specs {
        cluster.observed.cluster.spec = serde_saphyr::from_str(spec).unwrap();
        for _ in 0..3 {
            cluster.reconcile(); // too few to settle
        }
    }
    cluster.settle();
    assert_eq!(cluster.deployments(), reference(specs[3]));
}

#[test]
fn a_rollout_keeps_old_gateways_until_they_are_empty() {
    let mut cluster = TestCluster::new(observed("demo", MINIMAL));
    cluster.settle();
    let old = serving(&cluster.observed.live, &cluster.observed.names())
        .unwrap()
        .to_owned();
    cluster.observed.cluster.spec.version = "2.0.0".to_owned();
    cluster.reconcile();
    cluster.set_ready("gateway", true);
    cluster.reconcile();
    let new = serving(&cluster.observed.live, &cluster.observed.names())
        .unwrap()
        .to_owned();
    assert_ne!(old, new);
    let gateway = cluster.observed.names().gateway(&old);
    cluster.observed.drains.insert(
        gateway.clone(),
        crate::observed::DrainStatus {
            gateway_links: 0,
            active: 1,
            routes_version: 9,
        },
    );
    cluster.wait(300);
    cluster.reconcile();
    assert!(cluster.deployments().contains(&gateway), "it still has a socket");
    cluster.observed.drains.get_mut(&gateway).unwrap().active = 0;
    cluster.reconcile();
    assert!(!cluster.deployments().contains(&gateway));
}

#[test]
fn participants_scale_the_shards_and_not_the_spec() {
    let mut cluster = TestCluster::new(observed("demo", SCALED));
    cluster.settle();
    let at = cluster.observed.now;
    cluster
        .observed
        .metrics
        .entry(Component::Shard)
        .or_default()
        .insert("participants".into(), Sample::fresh(200.0, at));
    cluster.reconcile();
    assert_eq!(cluster.observed.cluster.spec.shards.replicas, 2);
    let status = cluster.observed.cluster.status.clone().unwrap();
    assert_eq!(
        (
            status.shards.unwrap().desired,
            status
                .scaling
                .iter()
                .find(|s| s.component == "shard")
                .unwrap()
                .desired
        ),
        (4, 4)
    );
    cluster.observed.metrics.clear();
    cluster.settle();
    let names = cluster.deployments();
    assert_eq!(
        names.iter().filter(|n| n.contains("-shard-")).count(),
        4,
        "missing samples never scale in"
    );
}

#[test]
fn the_status_shows_the_recommendation_that_was_held() {
    let mut cluster = TestCluster::new(observed("demo", SCALED));
    for load in [200.0, 100.0] {
        cluster.settle();
        let at = cluster.observed.now;
        let of = cluster.observed.metrics.entry(Component::Shard).or_default();
        of.insert("participants".into(), Sample::fresh(load, at));
        cluster.reconcile();
    }
    let status = cluster.observed.cluster.status.unwrap();
    let shards = status.scaling.iter().find(|s| s.component == "shard").unwrap();
    assert_eq!((shards.desired, shards.reason.as_str()), (4, "Stabilized"));
    let held = "keeping 4 shards; 2 recommended, held by higher recent recommendations";
    assert!(shards.message.ends_with(held), "{}", shards.message);
    assert_eq!(shards.proposals[0].replicas, Some(2));
}

#[test]
fn replicas_of_autoscaled_gateways_move_to_their_own_field_manager() {
    let mut cluster = TestCluster::new(observed("demo", SCALED));
    let replicas = |plan: &Plan| {
        plan.children
            .deployments
            .iter()
            .find(|d| d.name_any().contains("gateway"))
            .unwrap()
            .spec
            .as_ref()
            .unwrap()
            .replicas
    };
    let first = cluster.reconcile();
    assert_eq!((replicas(&first), first.replicas.len()), (Some(2), 0));
    let second = cluster.reconcile();
    assert_eq!((replicas(&second), second.replicas[0].replicas), (None, 2));
}

#[test]
fn gateways_scaled_to_zero_return_to_the_minimum_without_metrics() {
    let mut cluster = TestCluster::new(observed("demo", SCALED));
    cluster.settle();
    let gateway = cluster
        .observed
        .names()
        .gateway(&validate(&cluster.observed).unwrap().revisions.current);
    let find = |d: &&mut Deployment| d.name_any() == gateway;
    let live = cluster.observed.live.deployments.iter_mut().find(find).unwrap();
    live.spec.as_mut().unwrap().replicas = Some(0);
    cluster.set_ready("gateway", true);
    cluster.observed.metrics.clear();
    let plan = cluster.reconcile();
    assert_eq!(plan.replicas[0].replicas, 2);
    assert_eq!(
        plan.scale[0].message,
        "fewer than minReplicas 2: from 0 to 2 gateways"
    );
}

#[test]
fn a_missing_prometheus_token_stops_only_scaling_by_metrics() {
    let mut cluster = TestCluster::new(observed("demo", SCALED));
    cluster.settle();
    let why = "prometheus.bearerTokenSecretRef: Secret t does not exist";
    cluster.observed.metrics_error = Some(why.to_owned());
    let missing = || Sample::missing(why);
    let of = cluster.observed.metrics.entry(Component::Gateway).or_default();
    of.insert("connections".into(), missing());
    cluster.observed.cluster.spec.worker.replicas = 3;
    let plan = cluster.reconcile();
    assert!(!plan.children.deployments.is_empty());
    let gateway = plan
        .scale
        .iter()
        .find(|d| d.component == Component::Gateway)
        .unwrap();
    assert_eq!((gateway.current, gateway.replicas), (2, 2));
    assert!(gateway.message.contains(why), "{}", gateway.message);
    cluster.set_ready("", true);
    cluster.reconcile();
    assert_eq!(cluster.condition("Ready").0, "True");
    let degraded = ("True".to_owned(), "MetricsUnavailable".to_owned());
    assert_eq!(cluster.condition("Degraded"), degraded);
    cluster.observed.metrics_error = None;
    cluster.reconcile();
    assert_eq!(cluster.condition("Degraded").0, "False");
}

#[test]
fn a_paused_cluster_is_not_changed() {
    let mut cluster = TestCluster::new(observed("demo", MINIMAL));
    cluster.settle();
    cluster.observed.cluster.spec.paused = true;
    cluster.observed.cluster.spec.version = "2.0.0".to_owned();
    cluster.observed.cluster.spec.shards.replicas = 1;
    let plan = cluster.reconcile();
    assert!(
        documents(&plan.children).is_empty()
            && plan.orphans.is_empty()
            && plan.replicas.is_empty()
            && plan.topic.is_none()
    );
    assert_eq!(
        cluster.condition("Progressing"),
        ("False".to_owned(), "Paused".to_owned())
    );
    assert_eq!(cluster.condition("Ready").0, "True");
}

#[test]
fn removing_a_managed_server_deletes_only_its_objects() {
    let mut cluster = TestCluster::new(observed("demo", MINIMAL));
    cluster.settle();
    let mut foreign = cluster.observed.live.services[0].clone();
    foreign.metadata.name = Some("somebody-elses".to_owned());
    foreign.metadata.owner_references = None;
    cluster.observed.live.services.push(foreign);
    cluster.observed.cluster.spec.database = serde_saphyr::from_str("{none: {}}").unwrap();
    let plan = cluster.reconcile();
    let mut orphans: Vec<String> = plan
        .orphans
        .iter()
        .map(|o| format!("{} {}", o.kind, o.name))
        .collect();
    orphans.sort();
    let expected = [
        "Deployment demo-worker",
        "NetworkPolicy demo-database",
        "NetworkPolicy demo-worker",
        "Secret demo-database",
        "Service demo-database",
        "StatefulSet demo-database",
    ];
    assert_eq!(orphans, expected);
}

mod last_valid;
mod revisions;
