use super::*;
use kube_cel::CompiledSchema;
use serde::Deserialize;
use std::collections::BTreeSet;

/// What the API server says of the same rows: `operator/tests/apiserver/validation.rs`.
const ROWS: &str = include_str!("../../testdata/invalid_clusters.yaml");

#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    name: Option<String>,
    spec: Value,
    #[serde(default)]
    path: String,
    says: Option<String>,
}

fn rows() -> Vec<(Row, Vec<FieldError>)> {
    let rows: Vec<Row> = serde_saphyr::from_str(ROWS).unwrap();
    let judged = rows.into_iter().map(|row| {
        let name = row.name.as_deref().unwrap_or("demo");
        let object = json!({
            "apiVersion": "planningpoker.dev/v1alpha1", "kind": "PokerCluster",
            "metadata": {"name": name, "labels": {"a": "b"}}, "spec": row.spec,
        });
        let refusals = field_errors(&object).unwrap();
        (row, refusals)
    });
    judged.collect()
}

#[test]
fn each_row_is_admitted_or_refused_with_its_words_and_place() {
    for (row, refusals) in rows() {
        match &row.says {
            None => assert_eq!(refusals, [], "{}", row.spec),
            Some(words) => {
                let says = |of: &FieldError| of.path == row.path && of.message.contains(words);
                assert!(refusals.iter().any(says), "{}: {refusals:?}", row.spec);
            }
        }
    }
}

#[test]
fn every_rule_of_the_definition_is_evaluated() {
    let (mut rules, mut changes) = (BTreeSet::new(), BTreeSet::new());
    collect(&compile_schema(&schema().unwrap()), &mut rules, &mut changes);
    let told: BTreeSet<_> = rows()
        .into_iter()
        .flat_map(|(_, refusals)| refusals)
        .map(|r| r.message)
        .collect();
    let untold: Vec<_> = rules.difference(&told).collect();
    assert!(untold.is_empty(), "no row breaks these rules: {untold:#?}");
    assert!(changes.is_disjoint(&told) && changes.len() == 2, "{changes:?}");
}

/// Messages of the rules about what is, and about changes.
fn collect(schema: &CompiledSchema, rules: &mut BTreeSet<String>, changes: &mut BTreeSet<String>) {
    for rule in &schema.validations {
        let rule = rule.as_ref().expect("it compiles");
        let of = if rule.is_transition_rule {
            &mut *changes
        } else {
            &mut *rules
        };
        of.insert(rule.rule.message.clone().expect("every rule says what to do"));
    }
    let inside = schema.properties.values();
    for schema in inside
        .chain(schema.items.as_deref())
        .chain(schema.additional_properties.as_deref())
    {
        collect(schema, rules, changes);
    }
}

/// What the schema asks for that nobody looks at would be admitted here and refused there.
#[test]
fn every_keyword_of_the_definition_is_known() {
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
    // Formats of numbers: every one has its bounds.
    let silent = ["default", "description", "format"];
    let known: BTreeSet<_> = checked.into_iter().chain(silent).collect();
    fn look(schema: &Value, found: &mut BTreeSet<String>) {
        found.extend(schema.as_object().unwrap().keys().cloned());
        let inside = schema["properties"]
            .as_object()
            .into_iter()
            .flat_map(|fields| fields.values());
        for schema in inside
            .chain(schema.get("items"))
            .chain(schema.get("additionalProperties"))
        {
            look(schema, found);
        }
    }
    let mut found = BTreeSet::new();
    look(&schema().unwrap()["properties"]["spec"], &mut found);
    let unknown: Vec<_> = found
        .iter()
        .filter(|keyword| !known.contains(keyword.as_str()))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn a_refusal_is_one_line_with_its_place() {
    let object = json!({"metadata": {"name": "demo"}, "spec": {"version": "1", "shards": {"replicas": 0}}, "status": 1});
    let lines: Vec<_> = field_errors(&object)
        .unwrap()
        .iter()
        .map(FieldError::to_string)
        .collect();
    assert_eq!(lines, ["spec.shards.replicas: must be at least 1, is 0"]);
}
