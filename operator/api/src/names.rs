//! Names and labels of all objects that the operator creates.

use std::fmt;

use serde::{Deserialize, Serialize};

pub const GROUP: &str = "planningpoker.dev";
/// The finalizer for what owner references cannot delete: the Kafka topic.
pub const FINALIZER: &str = "planningpoker.dev/topic";

pub const APP_NAME: &str = "planning-poker";
pub const MANAGED_BY: &str = "poker-operator";

pub const LABEL_NAME: &str = "app.kubernetes.io/name";
pub const LABEL_INSTANCE: &str = "app.kubernetes.io/instance";
pub const LABEL_COMPONENT: &str = "app.kubernetes.io/component";
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
pub const LABEL_REVISION: &str = "planningpoker.dev/revision";
pub const LABEL_SHARD: &str = "planningpoker.dev/shard";
/// The version that a Deployment runs. The revision is only a hash.
pub const ANNOTATION_VERSION: &str = "planningpoker.dev/version";
/// A hash of the values that the pods read from Secrets, so that changed credentials replace the pods.
pub const ANNOTATION_CREDENTIALS: &str = "planningpoker.dev/credentials";

/// On a cluster: a change of its value, usually the time, replaces all pods of the app, one shard after another.
pub const ANNOTATION_RESTARTED_AT: &str = "planningpoker.dev/restartedAt";

/// Field managers, one for each concern.
pub mod managers {
    pub const WORKLOADS: &str = "poker-operator/workloads";
    pub const SCALE: &str = "poker-operator/scale";
    pub const ROUTES: &str = "poker-operator/routes";
    pub const STATUS: &str = "poker-operator/status";
}

/// The components of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Component {
    Gateway,
    Shard,
    Worker,
    Redis,
    Kafka,
    Database,
}

impl Component {
    pub const ALL: [Self; 6] = [
        Self::Gateway,
        Self::Shard,
        Self::Worker,
        Self::Redis,
        Self::Kafka,
        Self::Database,
    ];

    /// The value of the component label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Shard => "shard",
            Self::Worker => "worker",
            Self::Redis => "redis",
            Self::Kafka => "kafka",
            Self::Database => "database",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names of the objects of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterNames {
    pub namespace: String,
    pub cluster: String,
}

impl ClusterNames {
    pub fn new(namespace: &str, cluster: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            cluster: cluster.to_owned(),
        }
    }

    fn with(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.cluster)
    }

    /// The public Service and the Ingress.
    pub fn public(&self) -> String {
        self.cluster.clone()
    }

    pub fn routes(&self) -> String {
        self.with("routes")
    }

    /// The ServiceAccount of gateways and shards, and its Role and RoleBinding.
    pub fn app(&self) -> String {
        self.with("app")
    }

    /// The workload, Service and policies of a component without revisions.
    pub fn component(&self, component: Component) -> String {
        self.with(component.as_str())
    }

    pub fn gateway(&self, revision: &str) -> String {
        self.with(&format!("gateway-{revision}"))
    }

    pub fn shard(&self, id: u32, revision: &str) -> String {
        self.with(&format!("shard-{id}-{revision}"))
    }

    /// The PodDisruptionBudget of the shards of a revision.
    pub fn shards(&self, revision: &str) -> String {
        self.with(&format!("shard-{revision}"))
    }

    /// The ControllerRevision that stores a revision.
    pub fn revision(&self, revision: &str) -> String {
        self.with(revision)
    }

    /// The revision in the name of a ControllerRevision of this cluster.
    pub fn parse_revision<'a>(&self, name: &'a str) -> Option<&'a str> {
        let revision = name.strip_prefix(&self.cluster)?.strip_prefix('-')?;
        is_revision(revision).then_some(revision)
    }

    /// The DNS name of a Service inside the Kubernetes cluster.
    pub fn host(&self, service: &str) -> String {
        format!("{service}.{}.svc", self.namespace)
    }

    /// The revision in the name of a gateway Deployment of this cluster.
    pub fn parse_gateway<'a>(&self, name: &'a str) -> Option<&'a str> {
        let revision = name.strip_prefix(&self.cluster)?.strip_prefix("-gateway-")?;
        is_revision(revision).then_some(revision)
    }

    /// The shard number and revision in the name of a shard Deployment of this cluster.
    pub fn parse_shard<'a>(&self, name: &'a str) -> Option<(u32, &'a str)> {
        let rest = name.strip_prefix(&self.cluster)?.strip_prefix("-shard-")?;
        let (id, revision) = rest.split_once('-')?;
        let id = id.parse().ok()?;
        // `01` parses as a number, but the operator never writes it.
        (is_revision(revision) && self.shard(id, revision) == name).then_some((id, revision))
    }

    /// The default name of the topic.
    pub fn topic(&self) -> String {
        format!("{}.{}.history", self.namespace, self.cluster)
    }

    pub fn kafka_group(&self) -> String {
        format!("{}.{}.worker", self.namespace, self.cluster)
    }

    pub fn redis_prefix(&self) -> String {
        format!("poker:{}:{}", self.namespace, self.cluster)
    }
}

fn is_revision(text: &str) -> bool {
    text.len() == 8
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn names_parse_to_what_they_were_made_from(cluster in "[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?", id: u32, revision in "[0-9a-f]{8}") {
            let names = ClusterNames::new("poker", &cluster);
            let (gateway, shard) = (names.gateway(&revision), names.shard(id, &revision));
            prop_assert_eq!(names.parse_gateway(&gateway), Some(revision.as_str()));
            prop_assert_eq!(names.parse_shard(&shard), Some((id, revision.as_str())));
            prop_assert_eq!(names.parse_gateway(&shard), None);
            let (stored, shards) = (names.revision(&revision), names.shards(&revision));
            prop_assert_eq!(names.parse_revision(&stored), Some(revision.as_str()));
            prop_assert_eq!(names.parse_shard(&shards), None);
            prop_assert_eq!(names.parse_shard(&gateway), None);
        }

        #[test]
        fn foreign_names_do_not_parse(rest in "-(shard|gateway)?-?[-+0-9a-f]{0,14}|.{0,20}") {
            let names = ClusterNames::new("poker", "demo");
            let name = format!("demo{rest}");
            if let Some(revision) = names.parse_gateway(&name) {
                prop_assert_eq!(names.gateway(revision), name.clone());
            }
            if let Some((id, revision)) = names.parse_shard(&name) {
                prop_assert_eq!(names.shard(id, revision), name);
            }
        }
    }
}
