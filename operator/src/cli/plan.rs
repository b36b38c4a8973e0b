//! `poker-operator plan`

use anyhow::{Context, Result, bail};
use clap::Args;
use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use poker_operator_api::PokerCluster;
use poker_operator_core::{
    children::{Children, Planned},
    observed::{LiveChildren, MetricSamples, Observed, TopicObserved},
    plan, validate,
};
use serde::Serialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    marker::PhantomData,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Show the objects that a PokerCluster would become, without a cluster.
///
/// Prints what the first pass would apply, as YAML in the order of application; later passes add routes when
/// shards are ready. Values of Secrets are not shown: they are made when applied. The spec is checked as the
/// operator checks it; what it refers to (Secrets, Kafka) is taken to be there, and what the API server refuses
/// (bounds, unknown fields, rules between fields) is shown by kubectl apply --dry-run=server alone.
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

pub fn run(args: &PlanArgs) -> Result<ExitCode> {
    let cluster =
        parse(&read(&args.file)?).with_context(|| format!("{} is not valid", args.file.display()))?;
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

/// Means the same to readers of YAML 1.1, as kubectl and Helm are: to them a bare `yes` is a truth value.
fn yaml(object: &Value) -> Result<String> {
    Ok(serde_saphyr::to_string(object)?)
}

fn read(file: &Path) -> Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
        return Ok(text);
    }
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn parse(text: &str) -> Result<PokerCluster> {
    let mut object: Value = serde_saphyr::from_str(text)?;
    let kind = object
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or("PokerCluster");
    if kind != "PokerCluster" {
        bail!("kind is {kind}: give a file with one PokerCluster");
    }
    if object["metadata"]["name"].as_str().is_none_or(str::is_empty) {
        bail!("metadata.name is missing");
    }
    object["apiVersion"] = "planningpoker.dev/v1alpha1".into();
    object["kind"] = "PokerCluster".into();
    if object["metadata"]["namespace"].is_null() {
        object["metadata"]["namespace"] = "default".into();
    }
    Ok(serde_json::from_value(object)?)
}

/// A cluster where nothing is there yet but what the spec refers to.
fn imagined(cluster: PokerCluster) -> Observed {
    let spec = &cluster.spec;
    let redis = spec
        .redis
        .external
        .as_ref()
        .map(|external| &external.url_secret_ref);
    let database = spec
        .database
        .external
        .as_ref()
        .map(|external| &external.url_secret_ref);
    let mut secrets: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for reference in [redis, database].into_iter().flatten() {
        secrets
            .entry(reference.name.clone())
            .or_default()
            .insert(reference.key.clone());
    }
    Observed {
        secrets,
        cluster,
        live: LiveChildren::default(),
        drains: BTreeMap::new(),
        metrics: MetricSamples::new(),
        unmeasured: None,
        blind: None,
        troubles: Vec::new(),
        forecasts: BTreeMap::new(),
        topic: TopicObserved::Unknown {
            why: "nothing is asked for a plan".to_owned(),
        },
        memory: BTreeMap::new(),
        entropy: [0; 32],
        now: Timestamp::now(),
    }
}

fn objects(children: Children<Planned>) -> Result<Vec<Value>> {
    // No `..`: a kind that is not shown does not compile.
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
        state: PhantomData,
    } = children;
    let secrets: Vec<Secret> = secrets.into_iter().map(hidden).collect();
    let kinds = [
        values(service_accounts)?,
        values(roles)?,
        values(role_bindings)?,
        values(secrets)?,
        values(config_maps)?,
        values(services)?,
        values(network_policies)?,
        values(pod_disruption_budgets)?,
        values(ingresses)?,
        values(stateful_sets)?,
        values(deployments)?,
    ];
    Ok(kinds.into_iter().flatten().collect())
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
    use serde_json::json;

    const MINIMAL: &str = "metadata: {name: demo}\nspec: {version: 1.0.0}";

    #[test]
    fn minimal_cluster_has_a_plan_without_passwords() {
        let seen = imagined(parse(MINIMAL).unwrap());
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
        let seen = imagined(parse(&text).unwrap());
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
            ("metadata: {name: demo}\nspec: {}", "version"),
        ];
        for (text, message) in table {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(message), "{text} says {error}");
        }
    }
}
