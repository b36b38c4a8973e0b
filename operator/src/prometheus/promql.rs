//! What the answers of a Prometheus say about a metric: pure functions.

use crate::{
    cluster_key::ClusterKey,
    prometheus::client::{QueryError, Series},
};
use jiff::Timestamp;
use poker_operator_api::{Autoscaling, Component, PokerCluster};
use poker_operator_core::scale::reading::Reading;
use std::time::Duration;

/// Whether nothing is new for a decision; the time of the value alone is not.
pub fn same_value(before: &Reading, after: &Reading) -> bool {
    match (before, after) {
        (
            Reading::Fresh {
                value: a, series: n, ..
            },
            Reading::Fresh {
                value: b, series: m, ..
            },
        ) => a == b && n == m,
        (Reading::Stale { .. }, Reading::Stale { .. }) => true,
        (before, after) => before == after,
    }
}

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

/// The past of a built-in metric of one cluster.
pub fn builtin_history_query(series: &str, cluster: &ClusterKey) -> String {
    format!(
        r#"sum(max by (pod) ({series}{{namespace="{}",cluster="{}"}}))"#,
        cluster.namespace, cluster.name
    )
}

pub fn builtin_reading(
    answer: Result<&[Series], &QueryError>,
    cluster: &ClusterKey,
    stale_after: Duration,
) -> Reading {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            return Reading::Missing {
                why: error.to_string(),
            };
        }
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
        return Reading::Missing {
            why: "Prometheus has no finite value of it: check that it scrapes the pods".to_owned(),
        };
    };
    fresh_or_stale(sum, Some(oldest.value), Some(count.value as u64), stale_after)
}

pub fn custom_reading(
    value: &[Series],
    stamps: Result<Vec<Series>, QueryError>,
    stale_after: Duration,
) -> Reading {
    let stamp = match stamps {
        Ok(stamps) => stamps.first().map(|stamp| stamp.value),
        Err(QueryError::Refused(_)) => None, // a scalar has no timestamp
        Err(error) => {
            return Reading::Missing {
                why: error.to_string(),
            };
        }
    };
    match value {
        [one] => fresh_or_stale(one, stamp, None, stale_after),
        [] => Reading::Missing {
            why: "the query gives no finite value".to_owned(),
        },
        many => Reading::Missing {
            why: format!("the query gives {} series: aggregate them to one", many.len()),
        },
    }
}

/// Ages are told by the clock of the Prometheus alone, so that ours may differ.
fn fresh_or_stale(value: &Series, stamp: Option<f64>, series: Option<u64>, stale_after: Duration) -> Reading {
    let asked = value.at;
    let at = stamp
        .and_then(|stamp| Timestamp::from_millisecond((stamp * 1000.0) as i64).ok())
        .unwrap_or(asked);
    Reading::aged(value.value, at, asked, series, stale_after)
}

/// A query with the names of its cluster.
pub fn render_query(query: &str, key: &ClusterKey) -> String {
    query
        .replace("$namespace", &key.namespace)
        .replace("$cluster", &key.name)
}

/// The components that scale by metrics, with how they do.
pub fn autoscaling_specs(cluster: &PokerCluster) -> Vec<(Component, &Autoscaling)> {
    let gateway = cluster
        .spec
        .gateway
        .autoscaling
        .as_ref()
        .map(|block| (Component::Gateway, block));
    let shards = cluster
        .spec
        .shards
        .autoscaling
        .as_ref()
        .map(|block| (Component::Shard, block));
    gateway.into_iter().chain(shards).collect()
}

/// Name of a custom metric in the sampler: two blocks may use one name for different queries.
pub fn custom_metric_key(component: Component, metric: &str) -> String {
    format!("{component}/{metric}")
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
    fn builtin_of_the_right_cluster_only() {
        let at = Timestamp::from_second(990).unwrap();
        let fresh = Reading::Fresh {
            value: 12.0,
            at,
            series: Some(3),
        };
        assert_eq!(builtin_reading(Ok(&answer("demo", 990.0)), &key(), AFTER), fresh);
        assert!(matches!(
            builtin_reading(Ok(&answer("other", 990.0)), &key(), AFTER),
            Reading::Missing { .. }
        ));
        assert!(matches!(
            builtin_reading(Ok(&[]), &key(), AFTER),
            Reading::Missing { .. }
        ));
        assert!(matches!(
            builtin_reading(Err(&QueryError::Timeout), &key(), AFTER),
            Reading::Missing { .. }
        ));
        let old = Timestamp::from_second(900).unwrap();
        assert_eq!(
            builtin_reading(Ok(&answer("demo", 900.0)), &key(), AFTER),
            Reading::Stale { at: old }
        );
    }

    #[test]
    fn one_missing_part_makes_a_builtin_missing() {
        for part in 0..3 {
            let mut answer = answer("demo", 990.0);
            answer.remove(part); // a NaN is left out by the parser
            assert!(matches!(
                builtin_reading(Ok(&answer), &key(), AFTER),
                Reading::Missing { .. }
            ));
        }
    }

    #[test]
    fn custom_queries_give_exactly_one_value() {
        let one = [series(&[], 5.0)];
        let asked = Timestamp::from_second(1_000).unwrap();
        let fresh = Reading::Fresh {
            value: 5.0,
            at: asked,
            series: None,
        };
        assert_eq!(
            custom_reading(&one, Err(QueryError::Refused("scalar".into())), AFTER),
            fresh
        );
        assert_eq!(custom_reading(&one, Ok(vec![series(&[], 1_000.0)]), AFTER), fresh);
        assert!(matches!(
            custom_reading(&one, Ok(vec![series(&[], 900.0)]), AFTER),
            Reading::Stale { .. }
        ));
        assert!(matches!(
            custom_reading(&one, Err(QueryError::Timeout), AFTER),
            Reading::Missing { .. }
        ));
        for bad in [vec![], vec![series(&[], 1.0), series(&[], 2.0)]] {
            assert!(matches!(
                custom_reading(&bad, Ok(vec![]), AFTER),
                Reading::Missing { .. }
            ));
        }
    }
}
