use std::collections::BTreeSet;
use std::path::PathBuf;

use kube::ResourceExt;
use serde_json::Value;

use super::*;
use crate::observed::fingerprint;
use crate::scale::Sample;
use crate::testing::{World, keys, observed};
use crate::validate::validate;

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
    let mut seen = observed("big-estimates", EXTERNAL);
    seen.secrets.insert("redis".into(), keys(["url"]));
    seen.secrets.insert("postgres".into(), keys(["dsn"]));
    seen
}

fn planned(seen: &Observed) -> Plan {
    plan(&validate(seen).unwrap(), seen)
}

fn documents(children: &Children<Planned>) -> Vec<Value> {
    let Children {
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
fn children_are_as_committed() {
    let clusters = [
        ("minimal", observed("demo", MINIMAL)),
        ("scaled", observed("demo", SCALED)),
        ("external", external()),
    ];
    for (name, seen) in clusters {
        let plan = planned(&seen);
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
            "testdata/{name}.yaml is out of date: run UPDATE=1 cargo test -p poker-operator-core, and read the difference"
        );
    }
}

/// Applied as they are, objects must hold exactly what is meant.
#[test]
fn children_hold_no_nulls_and_nothing_empty_that_means_nothing() {
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
                // An empty selector means "all", an empty volume source "an empty folder".
                let may_be_empty = path.ends_with("namespaceSelector") || path.ends_with("emptyDir");
                assert!(!fields.is_empty() || may_be_empty, "{path} is empty");
                fields
                    .iter()
                    .for_each(|(key, item)| check(&format!("{path}.{key}"), item));
            }
            _ => {}
        }
    }
    for seen in [observed("demo", MINIMAL), observed("demo", SCALED), external()] {
        for document in documents(&planned(&seen).children) {
            assert!(document.get("status").is_none());
            check(document["kind"].as_str().unwrap(), &document);
        }
    }
}

#[test]
fn pods_keep_the_restricted_standard() {
    for seen in [observed("demo", SCALED), external()] {
        for document in documents(&planned(&seen).children) {
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
fn the_longest_names_fit() {
    let name = "a".repeat(poker_operator_api::limits::CLUSTER_NAME_CHARS_MAX);
    let mut seen = observed(&name, MINIMAL);
    seen.cluster.spec.shards.replicas = poker_operator_api::limits::SHARDS_MAX;
    let plan = planned(&seen);
    assert_eq!(plan.summary.shards.active.len(), 256);
    let mut names = BTreeSet::new();
    for document in documents(&plan.children) {
        let name = document["metadata"]["name"].as_str().unwrap();
        assert!(name.len() <= 63, "{name} is no DNS label");
        assert!(
            names.insert((document["kind"].to_string(), name.to_owned())),
            "{name} twice"
        );
        let labels = document["metadata"]["labels"].as_object().unwrap();
        assert!(labels.values().all(|v| v.as_str().unwrap().len() <= 63));
    }
}

#[test]
fn the_same_view_gives_the_same_plan_and_a_settled_cluster_rests() {
    for seen in [observed("demo", MINIMAL), observed("demo", SCALED), external()] {
        let (first, second) = (planned(&seen), planned(&seen));
        assert_eq!(documents(&first.children), documents(&second.children));
        let mut world = World::new(seen);
        world.settle();
        let before = planned(&world.seen);
        assert!(
            before.orphans.is_empty() && before.topic.is_none(),
            "{:?} {:?}",
            before.orphans,
            before.topic
        );
        assert!(before.children.secrets.is_empty(), "a password is made once");
        world.pass();
        assert_eq!(
            documents(&before.children),
            documents(&planned(&world.seen).children)
        );
    }
}

#[test]
fn what_is_not_ready_is_looked_at_again_soon() {
    let mut world = World::new(observed("demo", MINIMAL));
    world.settle();
    assert!(planned(&world.seen).requeue_after > REQUEUE_STARTING);
    for of in ["worker", "redis", "kafka", "database"] {
        world.set_ready(of, false);
        assert_eq!(planned(&world.seen).requeue_after, REQUEUE_STARTING, "{of}");
        world.set_ready(of, true);
    }
}

#[test]
fn any_way_to_a_spec_ends_with_the_same_objects() {
    let reference = |spec: &str| {
        let mut world = World::new(observed("demo", spec));
        world.settle();
        world.deployments()
    };
    let walk = [
        "{version: v1, shards: {replicas: 3}}",
        "{version: v1, shards: {replicas: 1}}",
        "{version: v2, shards: {replicas: 5}}",
        "{version: v1, shards: {replicas: 3}}",
    ];
    let mut world = World::new(observed("demo", walk[0]));
    world.settle();
    for spec in walk {
        world.seen.cluster.spec = serde_saphyr::from_str(spec).unwrap();
        for _ in 0..3 {
            world.pass(); // not long enough to get there
        }
    }
    world.settle();
    assert_eq!(world.deployments(), reference(walk[3]));
}

#[test]
fn an_upgrade_keeps_old_gateways_until_they_are_empty() {
    let mut world = World::new(observed("demo", MINIMAL));
    world.settle();
    let old = serving(&world.seen.live, &world.seen.names()).unwrap().to_owned();
    world.seen.cluster.spec.version = "2.0.0".to_owned();
    world.pass();
    world.set_ready("gateway", true);
    world.pass();
    let new = serving(&world.seen.live, &world.seen.names()).unwrap().to_owned();
    assert_ne!(old, new);
    let gateway = world.seen.names().gateway(&old);
    world.seen.drains.insert(
        gateway.clone(),
        crate::observed::DrainStatus {
            links: 0,
            held: 1,
            routes_version: 9,
        },
    );
    world.wait(300);
    world.pass();
    assert!(world.deployments().contains(&gateway), "it still holds a socket");
    world.seen.drains.get_mut(&gateway).unwrap().held = 0;
    world.pass();
    assert!(!world.deployments().contains(&gateway));
}

#[test]
fn only_what_changes_pods_makes_a_new_revision() {
    let revision = |spec: &str| validate(&observed("demo", spec)).unwrap().revision;
    let base = revision("{version: v1}");
    for same in [
        "{version: v1, shards: {replicas: 9}}",
        "{version: v1, gateway: {replicas: 9, drainDeadlineSeconds: 9, expose: {service: {type: NodePort}}}}",
        "{version: v1, worker: {replicas: 0}, redis: {managed: {memory: 1Gi}}}",
    ] {
        assert_eq!(revision(same), base, "{same}");
    }
    for other in [
        "{version: v2}",
        "{version: v1, image: {repository: x}}",
        "{version: v1, shards: {resources: {limits: {memory: 1Gi}}}}",
        "{version: v1, database: {none: {}}}",
    ] {
        assert_ne!(revision(other), base, "{other}");
    }
}

#[test]
fn other_credentials_make_a_new_revision_and_say_nothing_of_themselves() {
    let revision = |seen: &Observed| validate(seen).unwrap().revision;
    let mut seen = external();
    let base = revision(&seen);
    for (secret, key) in [("redis", "url"), ("postgres", "dsn")] {
        let mut changed = seen.clone();
        let keys = changed.secrets.get_mut(secret).unwrap();
        keys.insert(key.to_owned(), fingerprint(b"another"));
        assert_ne!(revision(&changed), base, "{secret}");
    }
    let keys = seen.secrets.get_mut("redis").unwrap();
    keys.insert("unread".to_owned(), fingerprint(b"another"));
    assert_eq!(revision(&seen), base, "a key that no pod reads");

    let mut other = external();
    other.cluster.metadata.uid = Some("of another cluster".to_owned());
    let annotation = |seen: &Observed| validate(seen).unwrap().credentials.unwrap();
    assert_ne!(
        annotation(&other),
        annotation(&external()),
        "equal passwords do not show"
    );
}

#[test]
fn participants_scale_the_shards_and_the_spec_stays() {
    let mut world = World::new(observed("demo", SCALED));
    world.settle();
    let at = world.seen.now;
    world
        .seen
        .metrics
        .entry(Component::Shard)
        .or_default()
        .insert("participants".into(), Sample::fresh(200.0, at));
    world.pass();
    assert_eq!(world.seen.cluster.spec.shards.replicas, 2);
    let status = world.seen.cluster.status.clone().unwrap();
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
    world.seen.metrics.clear();
    world.settle();
    let names = world.deployments();
    assert_eq!(
        names.iter().filter(|n| n.contains("-shard-")).count(),
        4,
        "missing samples scale nothing in"
    );
}

#[test]
fn status_tells_what_would_have_been_done_without_what_held_it() {
    let mut world = World::new(observed("demo", SCALED));
    for load in [200.0, 100.0] {
        world.settle();
        let at = world.seen.now;
        let of = world.seen.metrics.entry(Component::Shard).or_default();
        of.insert("participants".into(), Sample::fresh(load, at));
        world.pass();
    }
    let status = world.seen.cluster.status.unwrap();
    let shards = status.scaling.iter().find(|s| s.component == "shard").unwrap();
    assert_eq!((shards.desired, shards.reason.as_str()), (4, "Stabilized"));
    let told = "keeping 4 shards; 2 asked for, held by higher recent recommendations";
    assert!(shards.message.ends_with(told), "{}", shards.message);
    assert_eq!(shards.proposals[0].replicas, Some(2));
}

#[test]
fn replicas_of_scaled_gateways_are_seeded_once_and_then_left_to_their_manager() {
    let mut world = World::new(observed("demo", SCALED));
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
    let first = world.pass();
    assert_eq!((replicas(&first), first.replicas.len()), (Some(2), 0));
    let second = world.pass();
    assert_eq!((replicas(&second), second.replicas[0].replicas), (None, 2));
}

#[test]
fn gateways_that_somebody_scaled_to_zero_come_back_though_nothing_measures() {
    let mut world = World::new(observed("demo", SCALED));
    world.settle();
    let gateway = world
        .seen
        .names()
        .gateway(&validate(&world.seen).unwrap().revision);
    let find = |d: &&mut Deployment| d.name_any() == gateway;
    let live = world.seen.live.deployments.iter_mut().find(find).unwrap();
    live.spec.as_mut().unwrap().replicas = Some(0);
    world.set_ready("gateway", true);
    world.seen.metrics.clear();
    let plan = world.pass();
    assert_eq!(plan.replicas[0].replicas, 2);
    assert_eq!(
        plan.scale[0].message,
        "fewer than minReplicas 2: from 0 to 2 gateways"
    );
}

#[test]
fn without_the_token_of_its_prometheus_nothing_scales_and_all_else_goes_on() {
    let mut world = World::new(observed("demo", SCALED));
    world.settle();
    let why = "prometheus.bearerTokenSecretRef: Secret t does not exist";
    world.seen.metrics_error = Some(why.to_owned());
    let missing = || Sample::missing(why);
    let of = world.seen.metrics.entry(Component::Gateway).or_default();
    of.insert("connections".into(), missing());
    world.seen.cluster.spec.worker.replicas = 3;
    let plan = world.pass();
    assert!(!plan.children.deployments.is_empty());
    let gateway = plan
        .scale
        .iter()
        .find(|d| d.component == Component::Gateway)
        .unwrap();
    assert_eq!((gateway.current, gateway.replicas), (2, 2));
    assert!(gateway.message.contains(why), "{}", gateway.message);
    world.set_ready("", true);
    world.pass();
    assert_eq!(world.condition("Ready").0, "True");
    let told = ("True".to_owned(), "MetricsUnavailable".to_owned());
    assert_eq!(world.condition("Degraded"), told);
    world.seen.metrics_error = None;
    world.pass();
    assert_eq!(world.condition("Degraded").0, "False");
}

#[test]
fn a_paused_cluster_is_left_alone() {
    let mut world = World::new(observed("demo", MINIMAL));
    world.settle();
    world.seen.cluster.spec.paused = true;
    world.seen.cluster.spec.version = "2.0.0".to_owned();
    world.seen.cluster.spec.shards.replicas = 1;
    let plan = world.pass();
    assert!(
        documents(&plan.children).is_empty()
            && plan.orphans.is_empty()
            && plan.replicas.is_empty()
            && plan.topic.is_none()
    );
    assert_eq!(
        world.condition("Progressing"),
        ("False".to_owned(), "Paused".to_owned())
    );
    assert_eq!(world.condition("Ready").0, "True");
}

#[test]
fn going_external_deletes_the_managed_server_and_nothing_of_others() {
    let mut world = World::new(observed("demo", MINIMAL));
    world.settle();
    let mut foreign = world.seen.live.services[0].clone();
    foreign.metadata.name = Some("somebody-elses".to_owned());
    foreign.metadata.owner_references = None;
    world.seen.live.services.push(foreign);
    world.seen.cluster.spec.database = serde_saphyr::from_str("{none: {}}").unwrap();
    let plan = world.pass();
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
