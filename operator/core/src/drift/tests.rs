//! Comparison, ownership and corrections of live objects.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use serde_json::{Value, json};

use super::*;

#[test]
fn only_desired_values_are_compared() {
    let table = [
        ("equal", json!({"a": 1}), json!({"a": 1}), true),
        (
            "defaults were added",
            json!({"a": 1, "b": 2}),
            json!({"a": 1}),
            true,
        ),
        ("value was changed", json!({"a": 2}), json!({"a": 1}), false),
        ("value was removed", json!({}), json!({"a": 1}), false),
        (
            "empty values are left out",
            json!({}),
            json!({"a": {}, "b": [], "c": null, "d": {"e": {}}}),
            true,
        ),
        ("zero is not empty", json!({}), json!({"a": 0}), false),
        (
            "cpu is written otherwise",
            json!({"cpu": "1"}),
            json!({"cpu": "1000m"}),
            true,
        ),
        (
            "cpu as a fraction",
            json!({"cpu": "500m"}),
            json!({"cpu": "0.5"}),
            true,
        ),
        (
            "cpu in millionths",
            json!({"cpu": "100m"}),
            json!({"cpu": "100000u"}),
            true,
        ),
        (
            "memory with an exponent",
            json!({"m": "1G"}),
            json!({"m": "1e9"}),
            true,
        ),
        (
            "memory is written otherwise",
            json!({"m": "1Gi"}),
            json!({"m": "1024Mi"}),
            true,
        ),
        ("memory differs", json!({"m": "1Gi"}), json!({"m": "1G"}), false),
        ("text is no quantity", json!({"m": "b"}), json!({"m": "a"}), false),
        (
            "list entry with defaults",
            json!([{"name": "a", "x": 1}]),
            json!([{"name": "a"}]),
            true,
        ),
        (
            "entry of another",
            json!([{"name": "b"}, {"name": "a"}]),
            json!([{"name": "a"}]),
            true,
        ),
        (
            "entry removed",
            json!([{"name": "b"}]),
            json!([{"name": "a"}]),
            false,
        ),
        ("plain list grew", json!(["a", "b"]), json!(["a"]), false),
        ("list emptied of ours", json!(["a"]), json!([]), false),
        (
            "plain list reordered",
            json!(["b", "a"]),
            json!(["a", "b"]),
            false,
        ),
    ];
    for (name, live, desired, expected) in table {
        assert_eq!(is_up_to_date(&live, &desired), expected, "{name}");
    }
}

#[test]
fn a_difference_has_a_path_and_both_values() {
    let container = |memory: &str, args: Value| {
        json!({"spec": {"containers": [
            {"name": "shard", "args": args, "resources": {"limits": {"memory": memory}}},
        ]}})
    };
    let desired = container("256Mi", json!(["run"]));
    let described = |live: &Value, desired: &Value| -> Vec<String> {
        let found = differences(live, desired);
        found
            .iter()
            .map(|d| format!("{}: {:?}", d.path, d.live))
            .collect()
    };
    let table = [
        (container("268435456", json!(["run"])), vec![]),
        (
            container("300Mi", json!(["run"])),
            vec![r#"spec.containers[shard].resources.limits.memory: Some(String("300Mi"))"#],
        ),
        (
            container("256Mi", json!(["run", "-v"])),
            vec![r#"spec.containers[shard].args: Some(Array [String("run"), String("-v")])"#],
        ),
        (
            json!({"spec": {"containers": [{"name": "other"}, {"name": "side"}]}}),
            vec!["spec.containers[shard]: None"],
        ),
        (json!({}), vec!["spec: None"]),
    ];
    for (live, expected) in table {
        assert_eq!(described(&live, &desired), expected, "{live}");
    }
    let ports = |a: u32, b: u32| json!([{"port": a}, {"port": b}]);
    assert_eq!(
        described(&ports(1, 2), &ports(2, 1)).len(),
        1,
        "the order differs"
    );
    let annotated = json!({"annotations": {"planningpoker.dev/planned": "a"}});
    let found = described(&json!({"annotations": {}}), &annotated);
    assert_eq!(found, ["annotations[planningpoker.dev/planned]: None"]);
}

/// The fields of a Deployment as `managedFields` lists them.
fn managed(manager: &str, fields: Value) -> ManagedFieldsEntry {
    ManagedFieldsEntry {
        manager: Some(manager.to_owned()),
        fields_v1: Some(FieldsV1(fields)),
        ..ManagedFieldsEntry::default()
    }
}

#[test]
fn an_overridden_field_is_described_with_its_values_and_field_manager() {
    let desired = json!({"spec": {
        "replicas": 1,
        "containers": [{"name": "shard", "args": ["run"], "image": "poker:1"}],
    }});
    let memory = json!({"f:spec": {"f:containers": {
        r#"k:{"name":"shard"}"#: {".": {}, "f:image": {}, "f:args": {}},
        r#"k:{"name":"side"}"#: {"f:image": {}},
    }}});
    let managers = [
        managed("poker-operator/workloads", memory.clone()),
        managed("kubectl-edit", memory),
        managed("hpa", json!({"f:spec": {"f:replicas": {}}})),
    ];
    let with = |replicas: u32, args: Value, image: &str| {
        json!({"spec": {
            "replicas": replicas,
            "containers": [{"name": "shard", "args": args, "image": image}],
        }})
    };
    let run = || json!(["run"]);
    let table = [
        (with(1, run(), "poker:1"), None),
        (
            with(3, run(), "poker:1"),
            Some("Deployment a: spec.replicas is 3 instead of 1 (field manager hpa)"),
        ),
        (
            with(1, run(), "mirror/poker:1"),
            Some(
                "Deployment a: spec.containers[shard].image is mirror/poker:1 instead of poker:1 (field manager kubectl-edit)",
            ),
        ),
        (
            with(1, json!([]), "other"),
            Some(
                "Deployment a: spec.containers[shard].args is [] instead of [\"run\"] (field manager kubectl-edit), and 1 more fields differ",
            ),
        ),
        (
            json!({"spec": {"containers": desired["spec"]["containers"]}}),
            Some("Deployment a: spec.replicas is missing instead of 1 (field manager hpa)"),
        ),
    ];
    for (live, expected) in table {
        let found = differences(&live, &desired);
        assert_eq!(
            overridden("Deployment", "a", &found, &managers).as_deref(),
            expected
        );
    }
    let (live, desired) = (json!({"a": "ä".repeat(200)}), json!({"a": "b"}));
    let found = overridden("Role", "a", &differences(&live, &desired), &[]).unwrap();
    assert!(
        found.ends_with("ä… instead of b") && found.chars().count() < 100,
        "{found}"
    );
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn differs() -> Option<String> {
    Some("replicas is 5 instead of 1".to_owned())
}

#[test]
fn a_person_who_changes_an_object_once_is_corrected_at_once() {
    let mut corrections = Corrections::default();
    corrections.record("a", None, None, at(0));
    for hour in 1..20 {
        let now = at(hour * 3600);
        assert!(!corrections.is_waiting("a", now));
        corrections.record("a", differs(), None, now);
        assert_eq!(
            (corrections.overridden(now), corrections.due_after(now)),
            (None, None)
        );
    }
}

/// The writes in so many seconds while another client changes the object at once after each.
fn writes_against_a_controller(corrections: &mut Corrections, seconds: i64) -> Vec<i64> {
    let mut writes = Vec::new();
    for second in 0..seconds {
        if !corrections.is_waiting("a", at(second)) {
            corrections.record("a", differs(), None, at(second));
            writes.push(second);
        }
    }
    writes
}

#[test]
fn a_controller_that_changes_an_object_again_and_again_costs_a_bounded_number_of_writes() {
    let mut corrections = Corrections::default();
    corrections.record("a", None, None, at(0));
    let day = 24 * 3600;
    let writes = writes_against_a_controller(&mut corrections, day);
    assert_eq!(writes[..9], [0, 1, 2, 3, 4, 6, 10, 18, 34]);
    let last = *writes.last().unwrap();
    assert!(writes.len() < 12 + 24 * 12, "{}", writes.len());
    assert!(day - last <= 300, "it goes on trying");
    assert_eq!(corrections.overridden(at(last)), differs().as_deref());
    // It stops: reported for one more window.
    assert_eq!(corrections.due_after(at(last)), Some(Duration::from_secs(300)));
    assert_eq!(
        corrections.due_after(at(last + 300)),
        Some(Duration::from_secs(300))
    );
    assert_eq!(corrections.overridden(at(last + 600)), None);
    assert_eq!(corrections.due_after(at(last + 600)), None);
    corrections.record("a", differs(), None, at(last + 900));
    assert_eq!(
        corrections.overridden(at(last + 900)),
        None,
        "a single change again"
    );
}

#[test]
fn an_object_that_is_overridden_on_admission_is_reported_at_once_until_a_write_holds() {
    let mut corrections = Corrections::default();
    corrections.record("a", None, differs(), at(0));
    assert_eq!(corrections.overridden(at(0)), differs().as_deref());
    assert!(corrections.is_waiting("a", at(0)));
    assert!(
        !corrections.is_waiting("b", at(0)),
        "a changed plan is written at once"
    );
    assert!(!corrections.is_waiting("a", at(-1)), "the clock went back");
    assert_eq!(corrections.due_after(at(0)), Some(Duration::from_secs(1)));
    for (now, wait) in [(1, 2), (3, 4), (7, 8)] {
        corrections.record("a", differs(), differs(), at(now));
        assert_eq!(corrections.due_after(at(now)), Some(Duration::from_secs(wait)));
    }
    let mut corrected = corrections.clone();
    corrected.record("a", differs(), None, at(15));
    assert_eq!(
        (corrected.overridden(at(15)), corrected.due_after(at(15))),
        (None, None)
    );
    // Another client may have made it as planned.
    corrections.record_up_to_date();
    assert_eq!(corrections.overridden(at(15)), None);
}

#[test]
fn changes_of_the_plan_are_no_corrections() {
    let mut corrections = Corrections::default();
    for second in 0..100 {
        let content = second.to_string();
        assert!(!corrections.is_waiting(&content, at(second)));
        corrections.record(&content, differs(), None, at(second));
        assert_eq!(corrections.overridden(at(second)), None);
    }
}
