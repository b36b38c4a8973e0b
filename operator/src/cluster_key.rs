//! What identifies a PokerCluster within this process.

use kube::ResourceExt;
use poker_operator_api::ClusterNames;

/// Namespace and name of a PokerCluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterKey {
    pub namespace: String,
    pub name: String,
}

impl ClusterKey {
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The key of a PokerCluster, decoded or not.
    pub fn of(cluster: &impl ResourceExt) -> Self {
        Self::new(cluster.namespace().unwrap_or_default(), cluster.name_any())
    }

    /// Names of the cluster's objects.
    pub fn object_names(&self) -> ClusterNames {
        ClusterNames::new(&self.namespace, &self.name)
    }
}
