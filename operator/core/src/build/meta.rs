//! The metadata of all child objects.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use poker_operator_api::names::{
    APP_NAME, LABEL_COMPONENT, LABEL_INSTANCE, LABEL_MANAGED_BY, LABEL_NAME, LABEL_REVISION, LABEL_SHARD,
    MANAGED_BY,
};
use poker_operator_api::{ClusterNames, Component, PokerClusterSpec};

use crate::credentials::Credentials;
use crate::servers::Servers;

/// The common inputs of all builders.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub names: &'a ClusterNames,
    pub uid: &'a str,
    pub spec: &'a PokerClusterSpec,
    pub servers: &'a Servers,
    pub credentials: &'a Credentials,
}

pub type Labels = BTreeMap<String, String>;

impl Context<'_> {
    /// The labels that select the pods of a component.
    pub fn selector(&self, component: Component) -> Labels {
        Labels::from([
            (LABEL_NAME.to_owned(), APP_NAME.to_owned()),
            (LABEL_INSTANCE.to_owned(), self.names.cluster.clone()),
            (LABEL_COMPONENT.to_owned(), component.as_str().to_owned()),
        ])
    }

    pub fn label_selector(&self, component: Component) -> LabelSelector {
        LabelSelector {
            match_labels: Some(self.selector(component)),
            ..LabelSelector::default()
        }
    }

    /// The labels that select the pods of one revision of a component, or of one shard.
    pub fn revision_selector(&self, component: Component, revision: &str, shard: Option<u32>) -> Labels {
        let mut labels = self.selector(component);
        labels.insert(LABEL_REVISION.to_owned(), revision.to_owned());
        if let Some(id) = shard {
            labels.insert(LABEL_SHARD.to_owned(), id.to_string());
        }
        labels
    }

    /// The metadata of a child object with these labels, owned by the cluster.
    pub fn meta(&self, name: String, mut labels: Labels) -> ObjectMeta {
        labels.insert(LABEL_NAME.to_owned(), APP_NAME.to_owned());
        labels.insert(LABEL_INSTANCE.to_owned(), self.names.cluster.clone());
        labels.insert(LABEL_MANAGED_BY.to_owned(), MANAGED_BY.to_owned());
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.names.namespace.clone()),
            labels: Some(labels),
            owner_references: Some(vec![self.owner()]),
            ..ObjectMeta::default()
        }
    }

    fn owner(&self) -> OwnerReference {
        OwnerReference {
            api_version: "planningpoker.dev/v1alpha1".to_owned(),
            kind: "PokerCluster".to_owned(),
            name: self.names.cluster.clone(),
            uid: self.uid.to_owned(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }
}
