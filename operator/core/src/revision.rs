//! A revision: an immutable version of what runs.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use poker_operator_api::{ClusterNames, Component};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The image of the app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub repository: String,
    pub version: String,
}

/// The pods of one component of a revision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RevisionPods {
    /// A hash of the settings that these pods read. Absent if they are unknown: the operator adopted the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
    /// As rendered when the revision was created. The template of a shard is that of shard 0.
    pub template: PodTemplateSpec,
}

/// The data of a ControllerRevision, which the API server keeps immutable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RevisionData {
    pub release: Release,
    pub pods: BTreeMap<Component, RevisionPods>,
    /// The fields of the spec that the revision was created from.
    pub spec: Value,
}

/// A revision.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    /// 8 hex digits.
    pub id: String,
    /// Its place in the history: a later revision has a higher number.
    pub number: i64,
    pub data: RevisionData,
}

impl Revision {
    /// A stored revision. `None` if the object is not a revision that this operator can decode.
    pub fn decode(object: &ControllerRevision, names: &ClusterNames) -> Option<Self> {
        let name = object.metadata.name.as_deref()?;
        let data = match &object.data.as_ref()?.0 {
            // As the cache keeps it.
            Value::String(text) => serde_json::from_str(text),
            data => RevisionData::deserialize(data),
        };
        Some(Self {
            id: names.parse_revision(name)?.to_owned(),
            number: object.revision,
            data: data.ok()?,
        })
    }

    pub fn template(&self, component: Component) -> Option<&PodTemplateSpec> {
        Some(&self.data.pods.get(&component)?.template)
    }

    /// Whether the pods of a component have these settings.
    pub fn has_settings(&self, component: Component, settings: &str) -> bool {
        let pods = self.data.pods.get(&component);
        pods.is_some_and(|pods| pods.settings.as_deref() == Some(settings))
    }
}
