//! Texts of queries, and what their answers mean for a metric: pure functions.

use crate::{
    cluster_key::ClusterKey,
    prometheus::client::{QueryError, Series},
};
use jiff::Timestamp;
use poker_operator_api::autoscaling::{BuiltinMetric, Metric};
use poker_operator_core::scale::Sample;
use std::time::Duration;

/// The series of the built-in metrics.
pub const BUILTINS: [(BuiltinMetric, &str); 2] = [
    (BuiltinMetric::Participants, "poker_shard_participants"),
    (BuiltinMetric::Connections, "poker_gateway_connections"),
];

/// Sum, oldest sample and number of pods of every cluster in one answer, all of the same instant. A pod that two jobs
/// scrape counts once.
pub fn builtin_query(series: &str) -> String {
    let by = "by (namespace, cluster)";
    let pod = "by (namespace, cluster, pod)";
    let pods = format!("max {pod} ({series})");
    format!(
        r#"label_replace(sum {by} ({pods}), "what", "sum", "", "") or label_replace(min {by} (max {pod} (timestamp({series}))), "what", "oldest", "", "") or label_replace(count {by} ({pods}), "what", "count", "", "")"#
    )
}

/// The query of the past of a metric.
pub fn history_query(metric: &Metric, cluster: &ClusterKey) -> Option<String> {
    if let Some(promql) = &metric.promql {
        return Some(render_query(&promql.query, cluster));
    }
    let mut builtins = BUILTINS.iter();
    let (_, series) = builtins.find(|(builtin, _)| Some(*builtin) == metric.builtin)?;
    let ClusterKey { namespace, name } = cluster;
    Some(format!(
        r#"sum(max by (pod) ({series}{{namespace="{namespace}",cluster="{name}"}}))"#
    ))
}

/// A custom query with the names of its cluster filled in.
pub fn render_query(query: &str, cluster: &ClusterKey) -> String {
    query
        .replace("$namespace", &cluster.namespace)
        .replace("$cluster", &cluster.name)
}

/// The sample of one cluster in the answer to [`builtin_query`].
pub fn builtin_sample(
    answer: Result<&[Series], &QueryError>,
    cluster: &ClusterKey,
    stale_after: Duration,
) -> Sample {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Sample::missing(error.to_string()),
    };
    let find = |what: &str| {
        let label = |series: &Series, name: &str| series.labels.get(name).cloned().unwrap_or_default();
        answer.iter().find(|series| {
            label(series, "what") == what
                && label(series, "namespace") == cluster.namespace
                && label(series, "cluster") == cluster.name
        })
    };
    let (Some(sum), Some(oldest), Some(count)) = (find("sum"), find("oldest"), find("count")) else {
        return Sample::missing("Prometheus has no finite value of it: check that it scrapes the pods");
    };
    sample(sum, Some(oldest.value), Some(count.value as u64), stale_after)
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
        [one] => sample(one, measured, None, stale_after),
        [] => Sample::missing("the query gives no finite value"),
        many => Sample::missing(QueryError::SeveralSeries(many.len()).to_string()),
    }
}

/// The sample of a value that was measured at `measured`, in seconds since 1970 by the clock of the Prometheus.
fn sample(value: &Series, measured: Option<f64>, series: Option<u64>, stale_after: Duration) -> Sample {
    let queried = value.at;
    let at = measured
        .and_then(|seconds| Timestamp::from_millisecond((seconds * 1000.0) as i64).ok())
        .unwrap_or(queried);
    Sample::aged(value.value, at, queried, series, stale_after)
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

    fn answer(cluster: &str, oldest: f64) -> Vec<Series> {
        let labels = |what: &'static str| [("namespace", "ns"), ("cluster", cluster), ("what", what)];
        vec![
            series(&labels("sum"), 12.0),
            series(&labels("oldest"), oldest),
            series(&labels("count"), 3.0),
        ]
    }

    fn key() -> ClusterKey {
        ClusterKey::new("ns", "demo")
    }

    #[test]
    fn the_sample_of_a_builtin_is_that_of_its_cluster() {
        let at = Timestamp::from_second(990).unwrap();
        let fresh = Sample::Fresh {
            value: 12.0,
            at,
            series: Some(3),
        };
        assert_eq!(builtin_sample(Ok(&answer("demo", 990.0)), &key(), AFTER), fresh);
        assert!(matches!(
            builtin_sample(Ok(&answer("other", 990.0)), &key(), AFTER),
            Sample::Missing { .. }
        ));
        assert!(matches!(
            builtin_sample(Ok(&[]), &key(), AFTER),
            Sample::Missing { .. }
        ));
        assert!(matches!(
            builtin_sample(Err(&QueryError::Timeout), &key(), AFTER),
            Sample::Missing { .. }
        ));
        let old = Timestamp::from_second(900).unwrap();
        assert_eq!(
            builtin_sample(Ok(&answer("demo", 900.0)), &key(), AFTER),
            Sample::Stale { at: old }
        );
    }

    #[test]
    fn a_builtin_without_one_of_its_parts_is_missing() {
        for part in 0..3 {
            let mut answer = answer("demo", 990.0);
            answer.remove(part); // a NaN is left out by the parser
            assert!(matches!(
                builtin_sample(Ok(&answer), &key(), AFTER),
                Sample::Missing { .. }
            ));
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
