use super::*;
use kube_cel::CompiledSchema;
use serde::Deserialize;
use std::collections::BTreeSet;

/// `operator/tests/apiserver/validation.rs` sends the same cases to the API server.
const CASES: &str = include_str!("../../testdata/invalid_clusters.yaml");

#[derive(Deserialize)]
struct Case {
    #[serde(default)]
    name: Option<String>,
    spec: Value,
    #[serde(default)]
    path: String,
    message: Option<String>,
}

fn cases() -> Vec<(Case, Vec<FieldError>)> {
    let cases: Vec<Case> = serde_saphyr::from_str(CASES).unwrap();
    let validated = cases.into_iter().map(|case| {
        let name = case.name.as_deref().unwrap_or("demo");
        let object = json!({
            "apiVersion": "planningpoker.dev/v1alpha1", "kind": "PokerCluster",
            "metadata": {"name": name, "labels": {"a": "b"}}, "spec": case.spec,
        });
        let errors = field_errors(&object).unwrap();
        (case, errors)
    });
    validated.collect()
}

#[test]
fn each_case_is_accepted_or_rejected_with_its_message_and_path() {
    for (case, errors) in cases() {
        match &case.message {
            None => assert_eq!(errors, [], "{}", case.spec),
            Some(message) => {
                let matches = |error: &FieldError| error.path == case.path && error.message.contains(message);
                assert!(errors.iter().any(matches), "{}: {errors:?}", case.spec);
            }
        }
    }
}

#[test]
fn every_rule_of_the_crd_is_evaluated() {
    let (mut rules, mut transition_rules) = (BTreeSet::new(), BTreeSet::new());
    collect(
        &compile_schema(&schema().unwrap()),
        &mut rules,
        &mut transition_rules,
    );
    let broken: BTreeSet<_> = cases()
        .into_iter()
        .flat_map(|(_, errors)| errors)
        .map(|error| error.message)
        .collect();
    let not_broken: Vec<_> = rules.difference(&broken).collect();
    assert!(
        not_broken.is_empty(),
        "no case breaks these rules: {not_broken:#?}"
    );
    assert!(
        transition_rules.is_disjoint(&broken) && transition_rules.len() == 2,
        "{transition_rules:?}"
    );
}

/// The messages of the rules and of the transition rules.
fn collect(schema: &CompiledSchema, rules: &mut BTreeSet<String>, transition_rules: &mut BTreeSet<String>) {
    for rule in &schema.validations {
        let rule = rule.as_ref().expect("it compiles");
        let of = if rule.is_transition_rule {
            &mut *transition_rules
        } else {
            &mut *rules
        };
        of.insert(rule.rule.message.clone().expect("every rule has a message"));
    }
    let inside = schema.properties.values();
    for schema in inside
        .chain(schema.items.as_deref())
        .chain(schema.additional_properties.as_deref())
    {
        collect(schema, rules, transition_rules);
    }
}

/// A keyword that this validator does not check would be accepted here and rejected by the API server.
#[test]
fn every_keyword_of_the_crd_is_checked() {
    let checked = [
        "additionalProperties",
        "enum",
        "items",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "nullable",
        "pattern",
        "properties",
        "required",
        "type",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-validations",
    ];
    // Every number format has bounds of its own, so `format` adds nothing.
    let ignored = ["default", "description", "format"];
    let known: BTreeSet<_> = checked.into_iter().chain(ignored).collect();
    fn collect_keywords(schema: &Value, found: &mut BTreeSet<String>) {
        found.extend(schema.as_object().unwrap().keys().cloned());
        let inside = schema["properties"]
            .as_object()
            .into_iter()
            .flat_map(|fields| fields.values());
        for schema in inside
            .chain(schema.get("items"))
            .chain(schema.get("additionalProperties"))
        {
            collect_keywords(schema, found);
        }
    }
    let mut found = BTreeSet::new();
    collect_keywords(&schema().unwrap()["properties"]["spec"], &mut found);
    let unknown: Vec<_> = found
        .iter()
        .filter(|keyword| !known.contains(keyword.as_str()))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn an_error_is_one_line_with_its_path() {
    let object = json!({"metadata": {"name": "demo"}, "spec": {"version": "1", "shards": {"replicas": 0}}, "status": 1});
    let lines: Vec<_> = field_errors(&object)
        .unwrap()
        .iter()
        .map(FieldError::to_string)
        .collect();
    assert_eq!(lines, ["spec.shards.replicas: must be at least 1, is 0"]);
}
