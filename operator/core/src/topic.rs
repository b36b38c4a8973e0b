//! The Kafka topic for the history.

use poker_operator_api::servers::{DeletionPolicy, Topic};
use poker_operator_api::{ClusterNames, PokerCluster};

use crate::observed::TopicObserved;
use crate::plan_result::{DesiredTopic, TopicPlan};

const MS_PER_HOUR: i64 = 3_600_000;

/// The name of the topic.
pub fn name(names: &ClusterNames, topic: &Topic) -> String {
    topic.name.clone().unwrap_or_else(|| names.topic())
}

/// The desired topic. `None` if the topic matches it, has too many partitions, or its state is unknown.
pub fn desired(name: &str, topic: &Topic, observed: &TopicObserved) -> Option<DesiredTopic> {
    plan(name, topic, observed).map(|_| DesiredTopic {
        name: name.to_owned(),
        settings: topic.clone(),
    })
}

/// The change of the topic. `None` if it matches the spec, or its state is unknown.
pub fn plan(name: &str, topic: &Topic, observed: &TopicObserved) -> Option<TopicPlan> {
    let retention_ms = i64::from(topic.retention_hours) * MS_PER_HOUR;
    match observed {
        TopicObserved::Unknown { .. } => None,
        TopicObserved::Absent => Some(TopicPlan::Create {
            name: name.to_owned(),
            partitions: topic.partitions,
            replication_factor: topic.replication_factor,
            retention_ms,
        }),
        TopicObserved::Present {
            partitions,
            retention_ms: current,
            ..
        } => {
            let more = (*partitions < topic.partitions).then_some(topic.partitions);
            let retention = (*current != Some(retention_ms)).then_some(retention_ms);
            (more.is_some() || retention.is_some()).then(|| TopicPlan::Alter {
                name: name.to_owned(),
                partitions: more,
                retention_ms: retention,
            })
        }
    }
}

/// The topic to delete before the cluster, if the spec requires it. A managed Kafka is deleted with the cluster, including
/// its topic.
pub fn to_delete(cluster: &PokerCluster) -> Option<String> {
    let kafka = &cluster.spec.kafka;
    let is_deleted = kafka.topic.deletion_policy == DeletionPolicy::Delete && kafka.external.is_some();
    let meta = &cluster.metadata;
    let names = ClusterNames::new(
        meta.namespace.as_deref().unwrap_or("default"),
        meta.name.as_deref().unwrap_or_default(),
    );
    is_deleted.then(|| name(&names, &kafka.topic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_changes_only_what_differs() {
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
        for (observed, expected) in table {
            assert_eq!(plan("t", &topic, &observed), expected, "{observed:?}");
            let desired = desired("t", &topic, &observed);
            assert_eq!(desired.is_some(), expected.is_some(), "{observed:?}");
        }
    }
}
