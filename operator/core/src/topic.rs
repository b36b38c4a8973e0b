//! The Kafka topic that carries the history.

use poker_operator_api::servers::{DeletionPolicy, Topic};
use poker_operator_api::{ClusterNames, PokerCluster};

use crate::observed::TopicObserved;
use crate::plan_result::{DesiredTopic, TopicPlan};

const MS_PER_HOUR: i64 = 3_600_000;

/// The topic's name.
pub fn name(names: &ClusterNames, topic: &Topic) -> String {
    topic.name.clone().unwrap_or_else(|| names.topic())
}

/// What should be looked after; `None` when it is as wanted, or before anybody knows how it is: a topic that does
/// not fit is left as it is.
pub fn wish(name: &str, topic: &Topic, seen: &TopicObserved) -> Option<DesiredTopic> {
    plan(name, topic, seen).map(|_| DesiredTopic {
        name: name.to_owned(),
        settings: topic.clone(),
    })
}

/// What to change; `None` when it is as wanted, or nobody knows how it is.
pub fn plan(name: &str, topic: &Topic, seen: &TopicObserved) -> Option<TopicPlan> {
    let retention_ms = i64::from(topic.retention_hours) * MS_PER_HOUR;
    match seen {
        TopicObserved::Unknown { .. } => None,
        TopicObserved::Absent => Some(TopicPlan::Create {
            name: name.to_owned(),
            partitions: topic.partitions,
            replication_factor: topic.replication_factor,
            retention_ms,
        }),
        TopicObserved::Present {
            partitions,
            retention_ms: kept,
            ..
        } => {
            let more = (*partitions < topic.partitions).then_some(topic.partitions);
            let retention = (*kept != Some(retention_ms)).then_some(retention_ms);
            (more.is_some() || retention.is_some()).then(|| TopicPlan::Alter {
                name: name.to_owned(),
                partitions: more,
                retention_ms: retention,
            })
        }
    }
}

/// The topic to delete before the cluster may go, if that is asked for. A managed Kafka goes with
/// the cluster, and its topic with it.
pub fn finalized(cluster: &PokerCluster) -> Option<String> {
    let kafka = &cluster.spec.kafka;
    let asked = kafka.topic.deletion_policy == DeletionPolicy::Delete && kafka.external.is_some();
    let meta = &cluster.metadata;
    let names = ClusterNames::new(
        meta.namespace.as_deref().unwrap_or("default"),
        meta.name.as_deref().unwrap_or_default(),
    );
    asked.then(|| name(&names, &kafka.topic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_only_what_differs() {
        let topic = Topic {
            partitions: 6,
            retention_hours: 1,
            ..Topic::default()
        };
        let present = |partitions, retention_ms| TopicObserved::Present {
            partitions,
            replication_factor: 1,
            retention_ms,
        };
        let alter = |partitions, retention_ms| {
            Some(TopicPlan::Alter {
                name: "t".into(),
                partitions,
                retention_ms,
            })
        };
        let create = TopicPlan::Create {
            name: "t".into(),
            partitions: 6,
            replication_factor: 1,
            retention_ms: MS_PER_HOUR,
        };
        let table = [
            (
                TopicObserved::Unknown {
                    why: Some("refused".into()),
                },
                None,
            ),
            (TopicObserved::Absent, Some(create)),
            (present(6, Some(MS_PER_HOUR)), None),
            (present(8, Some(MS_PER_HOUR)), None),
            (present(3, Some(MS_PER_HOUR)), alter(Some(6), None)),
            (present(6, None), alter(None, Some(MS_PER_HOUR))),
            (present(3, Some(1)), alter(Some(6), Some(MS_PER_HOUR))),
        ];
        for (seen, expected) in table {
            assert_eq!(plan("t", &topic, &seen), expected, "{seen:?}");
            let wished = wish("t", &topic, &seen);
            assert_eq!(wished.is_some(), expected.is_some(), "{seen:?}");
        }
    }
}
