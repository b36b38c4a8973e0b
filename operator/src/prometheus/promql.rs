//! Texts of queries, and what their answers mean for a metric: pure functions.

use crate::{
    cluster_key::ClusterKey,
    prometheus::{client::Series, query_error::QueryError},
};
use jiff::Timestamp;
use poker_operator_api::{
    Component,
    autoscaling::{BuiltinMetric, Metric},
    prometheus::Matcher,
};
use poker_operator_core::scale::{Sample, pod_sum::PodValue};
use std::{collections::HashMap, time::Duration};

/// The series of the built-in metrics.
pub const BUILTINS: [(BuiltinMetric, &str); 2] = [
    (BuiltinMetric::Participants, "poker_shard_participants"),
    (BuiltinMetric::Connections, "poker_gateway_connections"),
];

/// The matchers of `spec.prometheus` as in a query: `k8s_cluster="eu"`.
pub fn matchers(matchers: &[Matcher]) -> String {
    let texts = matchers.iter().map(|Matcher { name, value }| {
        let value = value
            .replace('\\', r"\\")
            .replace('"', "\\\"")
            .replace('\n', r"\n");
        format!(r#"{name}="{value}""#)
    });
    texts.collect::<Vec<_>>().join(",")
}

/// Newest value and its time for each pod of every cluster, in one answer. A pod that two jobs scrape has one newest value.
pub fn builtin_query(series: &str, matchers: &str) -> String {
    let series = &match matchers {
        "" => series.to_owned(),
        matchers => format!("{series}{{{matchers}}}"),
    };
    let by = "by (namespace, cluster, revision, shard, pod)";
    let pod = "namespace, cluster, pod";
    let time = format!("timestamp({series})");
    let newest = format!("{series} and ({time} == on ({pod}) group_left () max by ({pod}) ({time}))");
    format!(
        r#"label_replace(max {by} ({newest}), "what", "value", "", "") or label_replace(max {by} ({time}), "what", "time", "", "")"#
    )
}

/// The query of the past of a metric.
pub fn history_query(metric: &Metric, cluster: &ClusterKey, matchers: &str) -> Option<String> {
    if let Some(promql) = &metric.promql {
        return Some(render_query(&promql.query, cluster));
    }
    let mut builtins = BUILTINS.iter();
    let (builtin, series) = builtins.find(|(builtin, _)| Some(*builtin) == metric.builtin)?;
    // Pods that replaced each other in one shard are not added up.
    let part = match builtin {
        BuiltinMetric::Participants => "shard",
        BuiltinMetric::Connections => "pod",
    };
    let ClusterKey { namespace, name } = cluster;
    let comma = if matchers.is_empty() { "" } else { "," };
    Some(format!(
        r#"sum(max by ({part}) ({series}{{namespace="{namespace}",cluster="{name}"{comma}{matchers}}}))"#
    ))
}

/// A custom query with the names of its cluster filled in.
pub fn render_query(query: &str, cluster: &ClusterKey) -> String {
    query
        .replace("$namespace", &cluster.namespace)
        .replace("$cluster", &cluster.name)
}

/// The pods of one cluster in an answer to [`builtin_query`].
#[derive(Debug, Clone, PartialEq)]
pub struct PodAnswer {
    /// The time at which the query was evaluated, by the clock of the Prometheus.
    pub queried: Timestamp,
    pub values: Vec<PodValue>,
}

/// The pods in an answer to [`builtin_query`], by cluster. Series without a label that the app sets are left out.
pub fn pods_by_cluster(answer: &[Series]) -> HashMap<ClusterKey, PodAnswer> {
    let mut times: HashMap<[&str; 3], f64> = HashMap::new();
    let (values, others): (Vec<_>, Vec<_>) =
        answer.iter().partition(|series| label(series, "what") == "value");
    times.extend(others.iter().map(|series| (identity(series), series.value)));
    let mut clusters: HashMap<ClusterKey, PodAnswer> = HashMap::new();
    for series in values {
        let key = ClusterKey::new(label(series, "namespace"), label(series, "cluster"));
        let Some(value) = pod_value(series, &key, times.get(&identity(series))) else {
            continue;
        };
        let of = clusters.entry(key).or_insert_with(|| PodAnswer {
            queried: series.at,
            values: Vec::new(),
        });
        of.values.push(value);
    }
    clusters
}

fn pod_value(series: &Series, cluster: &ClusterKey, seconds: Option<&f64>) -> Option<PodValue> {
    let (names, revision) = (cluster.object_names(), label(series, "revision"));
    let deployment = match label(series, "shard") {
        "" => names.gateway(revision),
        shard => names.shard(shard.parse().ok()?, revision),
    };
    Some(PodValue {
        deployment,
        pod: label(series, "pod").to_owned(),
        value: series.value,
        at: Timestamp::from_millisecond((seconds? * 1000.0) as i64).ok()?,
    })
}

/// Why an answer to [`builtin_query`] has no pod of a cluster.
pub fn no_pods(answer: &[Series], cluster: &ClusterKey) -> String {
    let prefixes = [Component::Gateway, Component::Shard].map(|of| format!("{}-{of}-", cluster.name));
    let is_ours = |series: &&Series| {
        let pod = label(series, "pod");
        label(series, "namespace") == cluster.namespace
            && prefixes.iter().any(|prefix| pod.starts_with(prefix))
    };
    match answer.iter().find(is_ours) {
        Some(series) if label(series, "cluster") != cluster.name => format!(
            "the series of pod {} has the label cluster={:?} instead of {:?}: let Prometheus keep the labels of the \
             pods (honor_labels: true)",
            label(series, "pod"),
            label(series, "cluster"),
            cluster.name
        ),
        _ => "Prometheus has no finite value of it: check that it scrapes the pods".to_owned(),
    }
}

fn label<'a>(series: &'a Series, name: &str) -> &'a str {
    series.labels.get(name).map_or("", String::as_str)
}

fn identity(series: &Series) -> [&str; 3] {
    ["namespace", "cluster", "pod"].map(|name| label(series, name))
}

/// The sample of a custom query: its value, and the answer to `timestamp()` of the query.
pub fn custom_sample(
    value: &[Series],
    timestamps: Result<Vec<Series>, QueryError>,
    stale_after: Duration,
) -> Sample {
    let measured = match timestamps {
        Ok(timestamps) => timestamps.first().map(|timestamp| timestamp.value),
        Err(QueryError::Refused(_)) => None, // a scalar has no timestamp
        Err(error) => return Sample::missing(error.to_string()),
    };
    match value {
        [one] => sample(one, measured, stale_after),
        [] => Sample::no_value("the query gives no finite value"),
        many => Sample::missing(QueryError::SeveralSeries(many.len()).to_string()),
    }
}

/// The sample of a value that was measured at `measured`, in seconds since 1970 by the clock of the Prometheus.
fn sample(value: &Series, measured: Option<f64>, stale_after: Duration) -> Sample {
    let queried = value.at;
    let at = measured
        .and_then(|seconds| Timestamp::from_millisecond((seconds * 1000.0) as i64).ok())
        .unwrap_or(queried);
    Sample::aged(value.value, at, queried, None, stale_after)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(75);

    fn series(labels: &[(&str, &str)], value: f64) -> Series {
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Series {
            labels,
            value,
            at: Timestamp::from_second(1_000).unwrap(),
        }
    }

    fn pod(what: &str, cluster: &str, shard: &str, pod: &str, value: f64) -> Series {
        let labels = [
            ("what", what),
            ("namespace", "ns"),
            ("cluster", cluster),
            ("revision", "0123abcd"),
            ("shard", shard),
            ("pod", pod),
        ];
        series(&labels, value)
    }

    fn key() -> ClusterKey {
        ClusterKey::new("ns", "demo")
    }

    #[test]
    fn matchers_select_in_every_part_of_a_builtin_query() {
        let matcher = |(name, value): (&str, &str)| Matcher {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let table: [(&[(&str, &str)], &str); 4] = [
            (&[], ""),
            (&[("k8s_cluster", "eu")], r#"k8s_cluster="eu""#),
            (&[("a", "1"), ("b", "2")], r#"a="1",b="2""#),
            (&[("a", "\"} or x{b=\"\\\n")], r#"a="\"} or x{b=\"\\\n""#),
        ];
        let participants: Metric =
            serde_json::from_value(serde_json::json!({"builtin": "Participants", "target": {}})).unwrap();
        for (given, expected) in table {
            let given: Vec<_> = given.iter().copied().map(matcher).collect();
            let text = matchers(&given);
            assert_eq!(text, expected);
            let query = builtin_query("people", &text);
            let series = match expected {
                "" => "people".to_owned(),
                expected => format!("people{{{expected}}}"),
            };
            assert_eq!(query.matches("people").count(), 4);
            assert_eq!(query.matches(&series).count(), 4, "{query}");
            let history = history_query(&participants, &key(), &text).unwrap();
            let end = if expected.is_empty() {
                String::new()
            } else {
                format!(",{expected}")
            };
            assert!(
                history.contains(&format!(r#"{{namespace="ns",cluster="demo"{end}}}"#)),
                "{history}"
            );
        }
    }

    #[test]
    fn an_answer_has_value_and_time_of_every_pod() {
        let answer = [
            pod("value", "demo", "3", "a", 12.0),
            pod("time", "demo", "3", "a", 990.5),
            pod("value", "other", "", "b", 7.0),
            pod("time", "other", "", "b", 991.0),
            pod("value", "demo", "4", "without-time", 1.0),
            pod("value", "demo", "x", "no-shard", 1.0),
            pod("time", "demo", "x", "no-shard", 1.0),
        ];
        let value = |deployment: &str, pod: &str, value, millisecond| PodAnswer {
            queried: Timestamp::from_second(1_000).unwrap(),
            values: vec![PodValue {
                deployment: deployment.to_owned(),
                pod: pod.to_owned(),
                value,
                at: Timestamp::from_millisecond(millisecond).unwrap(),
            }],
        };
        let expected = HashMap::from([
            (key(), value("demo-shard-3-0123abcd", "a", 12.0, 990_500)),
            (
                ClusterKey::new("ns", "other"),
                value("other-gateway-0123abcd", "b", 7.0, 991_000),
            ),
        ]);
        assert_eq!(pods_by_cluster(&answer), expected);
    }

    #[test]
    fn a_renamed_cluster_label_is_named() {
        let renamed = [pod("value", "prod-eu", "0", "demo-shard-0-0123abcd-x", 12.0)];
        let why = no_pods(&renamed, &key());
        assert!(
            why.contains(r#"has the label cluster="prod-eu" instead of "demo""#),
            "{why}"
        );
        let foreign = [pod("value", "prod-eu", "0", "game-shard-0-0123abcd-x", 12.0)];
        for answer in [&foreign[..], &[]] {
            let why = no_pods(answer, &key());
            assert!(why.contains("check that it scrapes the pods"), "{why}");
        }
    }

    #[test]
    fn a_custom_query_gives_exactly_one_value() {
        let one = [series(&[], 5.0)];
        let asked = Timestamp::from_second(1_000).unwrap();
        let fresh = Sample::Fresh {
            value: 5.0,
            at: asked,
            series: None,
        };
        assert_eq!(
            custom_sample(&one, Err(QueryError::Refused("scalar".into())), AFTER),
            fresh
        );
        assert_eq!(custom_sample(&one, Ok(vec![series(&[], 1_000.0)]), AFTER), fresh);
        assert!(matches!(
            custom_sample(&one, Ok(vec![series(&[], 900.0)]), AFTER),
            Sample::Stale { .. }
        ));
        assert!(matches!(
            custom_sample(&one, Err(QueryError::Timeout), AFTER),
            Sample::Missing { .. }
        ));
        for bad in [vec![], vec![series(&[], 1.0), series(&[], 2.0)]] {
            assert!(matches!(
                custom_sample(&bad, Ok(vec![]), AFTER),
                Sample::Missing { .. }
            ));
        }
    }
}
