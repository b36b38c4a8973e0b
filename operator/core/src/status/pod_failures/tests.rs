use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-01-01T00:10:00Z";

fn pod(name: &str, component: &str, container: Value) -> Pod {
    let mut container = container;
    for (field, value) in [
        ("name", json!(component)),
        ("image", json!("r.example/poker-app:1")),
        ("imageID", json!("")),
        ("ready", json!(false)),
        ("restartCount", json!(0)),
    ] {
        if container.get(field).is_none() {
            container[field] = value;
        }
    }
    serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {"app.kubernetes.io/component": component}},
        "status": {"phase": "Pending", "containerStatuses": [container]},
    }))
    .unwrap()
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({"state": {"waiting": {"reason": reason, "message": message}}})
}

fn crashed(state: Value, restarts: i32, exit_code: i32, at: &str) -> Value {
    json!({
        "state": state, "restartCount": restarts,
        "lastState": {"terminated": {"exitCode": exit_code, "reason": "Error", "finishedAt": at}},
    })
}

fn find(pods: &[Pod]) -> Vec<PodFailure> {
    super::find(pods, NOW.parse().unwrap())
}

#[test]
fn container_states_map_to_failures() {
    let running = json!({"running": {}});
    let crashing = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}});
    let recent = "2026-01-01T00:09:30Z";
    let oci = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create \
               failed: unable to start container process: ";
    let unmade = |message: &str| {
        let mut container = crashed(crashing.clone(), 1, 128, recent);
        container["lastState"]["terminated"]["reason"] = json!("StartError");
        container["lastState"]["terminated"]["message"] = json!(message);
        container
    };
    let since = |at: &str| json!({"state": {"running": {"startedAt": at}}});
    let table = [
        (
            waiting("ErrImagePull", "not found"),
            Some((Kind::Image, "ErrImagePull: not found")),
        ),
        (
            waiting(
                "ImagePullBackOff",
                "Back-off pulling image \"r.example/poker-app:1\": ErrImagePull: not found",
            ),
            Some((Kind::Image, "ErrImagePull: not found")),
        ),
        (
            waiting(
                "ImagePullBackOff",
                "Back-off pulling image \"r.example/poker-app:1\"",
            ),
            Some((Kind::Image, "ErrImagePull")),
        ),
        (
            waiting("InvalidImageName", "couldn't parse\nimage name"),
            Some((Kind::Image, "InvalidImageName: couldn't parse image name")),
        ),
        (
            waiting("CreateContainerConfigError", "secret \"a\" not found"),
            Some((Kind::Start, "CreateContainerConfigError: secret \"a\" not found")),
        ),
        (
            waiting("RunContainerError", &format!("{oci}no such device")),
            Some((Kind::Start, "RunContainerError: no such device")),
        ),
        (
            unmade(&format!("{oci}no such device")),
            Some((Kind::Start, "RunContainerError: no such device")),
        ),
        (waiting("ContainerCreating", ""), None),
        (waiting("PodInitializing", ""), None),
        (
            crashed(crashing.clone(), 1, 1, recent),
            Some((Kind::Crash, "exit code 1")),
        ),
        (
            crashed(crashing.clone(), 9, 1, "2025-12-31T00:00:00Z"),
            Some((Kind::Crash, "exit code 1")),
        ),
        (
            crashed(running.clone(), 2, 101, recent),
            Some((Kind::Crash, "exit code 101")),
        ),
        (crashed(running.clone(), 1, 101, recent), None),
        (crashed(running.clone(), 2, 0, recent), None),
        (crashed(running.clone(), 2, 101, "2026-01-01T00:00:00Z"), None),
        (json!({"state": running, "ready": true, "restartCount": 7}), None),
        (since("2026-01-01T00:09:31Z"), None),
        (
            since("2026-01-01T00:09:30Z"),
            Some((Kind::NotReady, "not ready 30 s or longer after its start")),
        ),
    ];
    for (container, expected) in table {
        let found = find(&[pod("a", "shard", container.clone())]);
        let found: Vec<_> = found.iter().map(|f| (f.kind, f.cause.as_str())).collect();
        assert_eq!(found, Vec::from_iter(expected), "{container}");
    }
}

fn unschedulable(name: &str, component: &str, since: &str) -> Pod {
    let message = "0/3 nodes are available: 3 Insufficient cpu. no new claims to deallocate, preemption: 0/3 nodes are \
                   available: 3 No preemption victims found for incoming pod.";
    serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {"app.kubernetes.io/component": component}},
        "status": {"phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
            "lastTransitionTime": since,
        }]},
    }))
    .unwrap()
}

fn with_condition(pod: &mut Pod, change: impl FnOnce(&mut PodCondition)) {
    change(&mut pod.status.as_mut().unwrap().conditions.as_mut().unwrap()[0]);
}

#[test]
fn an_unschedulable_pod_is_reported_after_a_while() {
    let late = "2026-01-01T00:09:45Z";
    let pods = [
        unschedulable("demo-shard-1", "shard", late),
        unschedulable("demo-gateway-1", "gateway", late),
        unschedulable("demo-worker-1", "worker", "2026-01-01T00:09:46Z"),
    ];
    let found = find(&pods);
    let sentences: Vec<_> = found.iter().map(PodFailure::sentence).collect();
    let sentence = "gateway and shard: no node fits pod demo-gateway-1 (0/3 nodes are available: 3 Insufficient \
                    cpu.): add nodes, or lower resources.requests in the spec";
    assert_eq!(sentences, [sentence]);
    assert_eq!(found[0].kind.reason(), "Unschedulable");
    let mut tainted = unschedulable("demo-worker-2", "worker", late);
    with_condition(&mut tainted, |condition| {
        condition.message = Some("0/3 nodes are available: 3 node(s) had untolerated taint(s).".to_owned());
    });
    let mut gated = unschedulable("demo-redis-0", "redis", late);
    with_condition(&mut gated, |condition| {
        condition.reason = Some("SchedulingGated".to_owned())
    });
    let found = find(&[pods[0].clone(), tainted, gated]);
    let causes: Vec<_> = found.iter().map(|failure| failure.cause.as_str()).collect();
    assert_eq!(
        causes,
        [
            "0/3 nodes are available: 3 Insufficient cpu.",
            "0/3 nodes are available: 3 node(s) had untolerated taint(s)."
        ]
    );
    let placed = pod("demo-shard-1", "shard", waiting("ContainerCreating", ""));
    assert!(fingerprint(&pods[0]) != fingerprint(&placed));
}

#[test]
fn a_failed_pull_and_its_back_off_have_the_same_fingerprint() {
    let at = |reason, message| pod("a", "shard", waiting(reason, message));
    let tries = at("ErrImagePull", "not found");
    let backs_off = at(
        "ImagePullBackOff",
        "Back-off pulling image \"a\": ErrImagePull: not found",
    );
    assert!(fingerprint(&tries) == fingerprint(&backs_off));
    assert!(fingerprint(&tries) != fingerprint(&at("ContainerCreating", "")));
}

#[test]
fn each_image_is_one_failure_and_terminating_pods_are_none() {
    let pull = || waiting("ErrImagePull", "no such host");
    let mut redis = pull();
    redis["image"] = json!("redis:0");
    let mut leaving = pod("z", "worker", pull());
    leaving.metadata.deletion_timestamp = serde_json::from_value(json!(NOW)).unwrap();
    let pods = [
        pod("d", "redis", redis),
        pod("c", "worker", waiting("CreateContainerError", "no such mount")),
        pod("b", "shard", pull()),
        pod("a", "gateway", pull()),
        leaving,
    ];
    let sentences: Vec<_> = find(&pods).iter().map(PodFailure::sentence).collect();
    assert_eq!(
        sentences,
        [
            "gateway and shard: image r.example/poker-app:1 cannot be pulled (ErrImagePull: no such host): correct \
             spec.version, spec.image.repository or spec.image.pullSecrets, or make the registry reachable from the \
             nodes",
            "redis: image redis:0 cannot be pulled (ErrImagePull: no such host): correct spec.redis.managed.image, \
             or make the registry reachable from the nodes",
            "worker: the container of pod c cannot be started (CreateContainerError: no such mount): correct the \
             spec or the objects it refers to",
        ]
    );
}

#[test]
fn kubelet_messages_are_cut_to_the_length_of_an_event() {
    let long = find(&[pod("a", "shard", waiting("ErrImagePull", &"ö".repeat(9_000)))]);
    assert!(long[0].sentence().len() < 1_024, "{}", long[0].sentence().len());
}

#[test]
fn kubelet_messages_are_reduced_to_their_root_cause() {
    let steps = "failed to pull and unpack image \"docker.io/library/redis:7.2\": failed to resolve reference \
                 \"docker.io/library/redis:7.2\": ";
    let table = [
        (
            format!(
                "{steps}failed to do request: Head \"https://registry-1.docker.io/v2/library/redis/manifests/7.2\": dial \
                 tcp: lookup registry-1.docker.io on 198.18.132.1:53: read udp 198.18.132.2:35393->198.18.132.1:53: \
                 i/o timeout"
            ),
            "dial tcp: lookup registry-1.docker.io on 198.18.132.1:53: read udp 198.18.132.1:53: i/o timeout",
        ),
        (
            format!("rpc error: code = NotFound desc = {steps}docker.io/library/redis:7.2: not found"),
            "docker.io/library/redis:7.2: not found",
        ),
        (
            format!("{steps}pull access denied, repository does not exist or may require authorization"),
            "pull access denied, repository does not exist or may require authorization",
        ),
    ];
    for (message, cause) in table {
        let waits = [waiting("ErrImagePull", &message)];
        let backs_off = format!("Back-off pulling image \"redis:7.2\": ErrImagePull: {message}");
        for container in waits.into_iter().chain([waiting("ImagePullBackOff", &backs_off)]) {
            assert_eq!(
                find(&[pod("a", "redis", container)])[0].cause,
                format!("ErrImagePull: {cause}")
            );
        }
    }
}

#[test]
fn rejected_pods_are_reported_once_for_each_cause_without_the_name_of_the_attempt() {
    let deployment = |name: &str, component: &str, message: &str| {
        serde_json::from_value::<k8s_openapi::api::apps::v1::Deployment>(json!({
            "metadata": {"name": name, "labels": {"app.kubernetes.io/component": component}},
            "status": {"conditions": [
                {"type": "Available", "status": "True"},
                {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message},
            ]},
        }))
        .unwrap()
    };
    let quota = "exceeded quota: q, requested: pods=1, used: pods=9, limited: pods=9";
    let live = LiveChildren {
        deployments: vec![
            deployment(
                "demo-shard-2-a",
                "shard",
                &format!("pods \"demo-shard-2-a-x1\" is forbidden: {quota}"),
            ),
            deployment(
                "demo-gateway-a",
                "gateway",
                &format!("pods \"demo-gateway-a-x2\" is forbidden: {quota}"),
            ),
        ],
        stateful_sets: vec![
            serde_json::from_value(json!({
                "metadata": {"name": "demo-redis", "labels": {"app.kubernetes.io/component": "redis"}},
            }))
            .unwrap(),
        ],
        ..LiveChildren::default()
    };
    let note =
        "create Pod demo-redis-0 in StatefulSet demo-redis failed error: admission webhook \"w\" denied it";
    let event = |at: &str, note: &str| -> Event {
        serde_json::from_value(
            json!({"metadata": {}, "eventTime": null, "deprecatedLastTimestamp": at, "note": note}),
        )
        .unwrap()
    };
    let events = vec![
        event("2026-01-01T00:09:00Z", note),
        event("2026-01-01T00:01:00Z", "an earlier cause"),
    ];
    let rejected = [("demo-redis".to_owned(), events)].into();
    let failures = all(&live, &rejected, [], NOW.parse().unwrap());
    let sentences: Vec<_> = failures.iter().map(PodFailure::sentence).collect();
    let remedy = "change the quota, limit, policy or webhook that rejects them, or the spec";
    assert_eq!(
        sentences,
        [
            format!(
                "gateway and shard: Deployment demo-shard-2-a cannot create its pods ({quota}): {remedy}"
            ),
            format!(
                "redis: StatefulSet demo-redis cannot create its pods (admission webhook \"w\" denied it): {remedy}"
            ),
        ]
    );
}

#[test]
fn an_infeasible_resize_is_reported_with_the_answer_of_the_node() {
    let mut pod = pod(
        "demo-shard-0-a-x",
        "shard",
        json!({"ready": true, "state": {"running": {}}}),
    );
    pod.status.as_mut().unwrap().conditions = serde_json::from_value(json!([{
        "type": "PodResizePending", "status": "True", "reason": "Infeasible",
        "message": "Node didn't have enough capacity: cpu, requested: 50000, capacity: 4000",
    }]))
    .unwrap();
    let failures = find(&[pod]);
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].kind, Kind::Resize);
    assert!(
        failures[0]
            .sentence()
            .contains("requested: 50000, capacity: 4000")
    );
}

#[test]
fn an_event_of_an_earlier_rejection_expires() {
    let live = LiveChildren {
        stateful_sets: vec![
            serde_json::from_value(json!({
                "metadata": {"name": "demo-redis", "labels": {"app.kubernetes.io/component": "redis"}},
            }))
            .unwrap(),
        ],
        ..LiveChildren::default()
    };
    let count = |at: &str| {
        let event =
            json!({"metadata": {}, "eventTime": null, "deprecatedLastTimestamp": at, "note": "denied"});
        let events = [(
            "demo-redis".to_owned(),
            vec![serde_json::from_value(event).unwrap()],
        )]
        .into();
        all(&live, &events, [], NOW.parse().unwrap()).len()
    };
    assert_eq!(count("2025-12-31T23:50:01Z"), 1);
    assert_eq!(count("2025-12-31T23:50:00Z"), 0, "20 minutes later");
}
