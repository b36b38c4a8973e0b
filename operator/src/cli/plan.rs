//! `poker-operator plan`

use anyhow::{Context, Result, bail};
use clap::Args;
use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use poker_operator_api::PokerCluster;
use poker_operator_core::{
    children::{Children, Planned},
    for_each_kind,
    observed::{LiveChildren, MetricSamples, Observed, SecretKeys, TopicObserved},
    plan, validate,
};
use poker_operator_manifest::crd_validation;
use poker_operator_manifest::input::{display_name, read_text, yaml as read_yaml};
use serde::Serialize;
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

/// Show the objects that a PokerCluster would become, without a cluster.
///
/// Prints the objects that the first reconcile would apply, as YAML in the order of application; later reconciles add
/// routes when shards are ready. Values of Secrets are not shown: the operator generates them when it applies them. If
/// the spec refers to Secrets of external servers, the revision in names and labels differs from the one on a cluster,
/// where the operator can read these Secrets.
///
/// Checks the document by the rules of the API server for a new PokerCluster (types, bounds, unknown fields, rules
/// between fields), then by those of the operator. A line on standard error names each mistake and its field, and the
/// exit code is 2. Not checked: metadata except the name, admission policies of your cluster, rules about changes of an
/// existing PokerCluster (use kubectl apply --dry-run=server), and whether the Secrets and the Kafka that the spec
/// refers to exist.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  poker-operator plan -f demo.yaml
  echo '{\"metadata\": {\"name\": \"demo\"}, \"spec\": {\"version\": \"1.0.0\"}}' | poker-operator plan -f -")]
pub struct PlanArgs {
    /// File with one PokerCluster; - reads standard input.
    #[arg(short, long, value_name = "CLUSTER.yaml")]
    file: PathBuf,

    /// Print one JSON list instead of YAML documents.
    #[arg(long)]
    json: bool,
}

const API_VERSION: &str = "planningpoker.dev/v1alpha1";

pub fn run(args: &PlanArgs) -> Result<ExitCode> {
    let input = display_name(&args.file);
    let object = parse(&read_text(&args.file)?).with_context(|| format!("{input} is not valid"))?;
    let refusals = crd_validation::field_errors(&object)?;
    for refusal in &refusals {
        eprintln!("error: {input}: {refusal}");
    }
    if !refusals.is_empty() {
        return Ok(ExitCode::from(2));
    }
    let cluster = serde_json::from_value(object).with_context(|| format!("{input} is not valid"))?;
    let seen = imagined(cluster);
    let valid = validate::validate(&seen)?;
    let objects = objects(plan::plan(&valid, &seen).children)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&objects)?);
        return Ok(ExitCode::SUCCESS);
    }
    for object in &objects {
        print!("---\n{}", yaml(object)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// YAML that readers of YAML 1.1, such as kubectl and Helm, read alike: to them a bare `yes` is a boolean.
fn yaml(object: &Value) -> Result<String> {
    Ok(serde_saphyr::to_string(object)?)
}

/// The object as it would be sent: with API version and kind, and a default namespace.
fn parse(text: &str) -> Result<Value> {
    let mut object = read_yaml(text)?;
    if object.get("maxReplicas").is_some() && object.get("spec").is_none() {
        bail!("it is an autoscaling block, not a PokerCluster: put it below spec.shards.autoscaling of one");
    }
    if !object.is_object() {
        bail!("not a PokerCluster: the file must have metadata.name and spec.version");
    }
    let kind = object
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or("PokerCluster");
    if kind != "PokerCluster" {
        bail!("kind is {kind}: give a file with one PokerCluster");
    }
    let version = object.get("apiVersion").and_then(Value::as_str);
    if let Some(version) = version.filter(|version| *version != API_VERSION) {
        bail!("apiVersion is {version}: write {API_VERSION}");
    }
    if object["metadata"]["name"].as_str().is_none_or(str::is_empty) {
        bail!("metadata.name is missing");
    }
    object["apiVersion"] = API_VERSION.into();
    object["kind"] = "PokerCluster".into();
    if object["metadata"]["namespace"].is_null() {
        object["metadata"]["namespace"] = "default".into();
    }
    Ok(object)
}

/// An observed cluster without child objects, in which the Secrets that the spec refers to exist.
fn imagined(cluster: PokerCluster) -> Observed {
    let mut secrets: BTreeMap<String, SecretKeys> = BTreeMap::new();
    for (_, reference) in validate::referenced(&cluster.spec) {
        secrets
            .entry(reference.name.clone())
            .or_default()
            .insert(reference.key.clone(), String::new());
    }
    Observed {
        secrets,
        cluster,
        live: LiveChildren::default(),
        foreign: Vec::new(),
        drains: BTreeMap::new(),
        metrics: MetricSamples::new(),
        metrics_error: None,
        stale_caches: None,
        pod_failures: Vec::new(),
        forecasts: BTreeMap::new(),
        topic: TopicObserved::Unknown { why: None },
        memory: BTreeMap::new(),
        random: [0; 32],
        now: Timestamp::now(),
    }
}

fn objects(mut children: Children<Planned>) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    children.secrets = children.secrets.into_iter().map(hidden).collect();
    macro_rules! show {
        ($($kind:ident: $type:ident,)*) => {
            $(objects.extend(values(children.$kind)?);)*
        };
    }
    for_each_kind!(show);
    Ok(objects)
}

fn values<K: Serialize>(objects: Vec<K>) -> Result<Vec<Value>> {
    Ok(objects
        .into_iter()
        .map(serde_json::to_value)
        .collect::<Result<_, _>>()?)
}

fn hidden(mut secret: Secret) -> Secret {
    for value in secret.data.iter_mut().flat_map(BTreeMap::values_mut) {
        *value = ByteString(b"made when applied".to_vec());
    }
    secret
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const MINIMAL: &str = "metadata: {name: demo}\nspec: {version: 1.0.0}";

    fn cluster(text: &str) -> PokerCluster {
        serde_json::from_value(parse(text).unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in ".{0,200}", from in 0..MINIMAL.len(), cut in 0_usize..9, put in ".{0,9}") {
            let _ = parse(&text);
            let rest = &MINIMAL[(from + cut).min(MINIMAL.len())..];
            if let Ok(object) = parse(&format!("{}{put}{rest}", &MINIMAL[..from])) {
                let _ = crd_validation::field_errors(&object).unwrap();
            }
        }
    }

    #[test]
    fn minimal_cluster_has_a_plan_without_passwords() {
        let seen = imagined(cluster(MINIMAL));
        let valid = validate::validate(&seen).unwrap();
        let objects = objects(plan::plan(&valid, &seen).children).unwrap();
        assert!(objects.iter().any(|object| object["kind"] == "Deployment"));
        let secret = objects.iter().find(|object| object["kind"] == "Secret").unwrap();
        for value in secret["data"].as_object().unwrap().values() {
            assert_eq!(value, "bWFkZSB3aGVuIGFwcGxpZWQ=");
        }
    }

    #[test]
    fn what_yaml_1_1_takes_for_something_else_is_quoted() {
        let plain =
            "y Y yes No NO on OFF true False ~ null << = 1_000 017 0o17 0x1F 0b1 1:30 1e3 .5 -.inf .NaN";
        let words = plain
            .split(' ')
            .chain(["", "190:20:30.15", "2026-01-01", "2026-01-01 08:00:00"]);
        for word in words {
            let object = json!({"args": [word], "value": word});
            let text = yaml(&object).unwrap();
            let written = |line: String| text.lines().any(|written| written == line);
            let quoted = |start: &str| {
                ['"', '\'']
                    .iter()
                    .any(|q| written(format!("{start}{q}{word}{q}")))
            };
            assert!(quoted("- ") && quoted("value: "), "{word} is written as\n{text}");
        }
        let key = yaml(&json!({"yes": 1})).unwrap();
        assert!(!key.starts_with('y'), "{key}");
    }

    #[test]
    fn a_plan_is_read_as_it_was_meant() {
        let text = format!("{MINIMAL}\nkind: PokerCluster");
        let seen = imagined(cluster(&text));
        let valid = validate::validate(&seen).unwrap();
        for object in objects(plan::plan(&valid, &seen).children).unwrap() {
            let text = yaml(&object).unwrap();
            assert_eq!(serde_saphyr::from_str::<Value>(&text).unwrap(), object, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let table = [
            ("kind: Deployment", "kind is Deployment"),
            ("spec: {version: 1.0.0}", "metadata.name is missing"),
            ("- a list", "not a PokerCluster"),
            ("maxReplicas: 9", "it is an autoscaling block"),
            (
                "apiVersion: planningpoker.dev/v2\nmetadata: {name: demo}",
                "write planningpoker.dev/v1alpha1",
            ),
        ];
        for (text, message) in table {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(message), "{text} says {error}");
        }
    }
}
