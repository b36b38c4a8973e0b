//! The revisions of a cluster, and which of them each component runs.
//!
//! The operator stores a revision before it creates the first Deployment of it, and renders the pods of that revision
//! from what it stored. So it can create an old Deployment again although the spec no longer describes it, and an
//! operator upgrade replaces no pods.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use poker_operator_api::names::{
    ANNOTATION_CREDENTIALS, ANNOTATION_RESTARTED_AT, ANNOTATION_VERSION, LABEL_REVISION,
};
use poker_operator_api::{ClusterNames, Component};
use serde_json::{Map, Value, json};

use crate::build::{self, Context};
use crate::credentials;
use crate::observed::Observed;
use crate::revision::{Release, Revision, RevisionData, RevisionPods};
use crate::settings::{revision_id, settings};

/// The revisions of a cluster.
#[derive(Clone, Debug)]
pub struct Revisions {
    /// The stored ones and those to store, in the order of their numbers.
    all: Vec<Revision>,
    /// How many of them are stored.
    stored: usize,
    /// The revision of the spec.
    pub current: String,
    settings: BTreeMap<Component, String>,
}

impl Revisions {
    /// Finds the revision of the spec, or creates it.
    pub fn resolve(observed: &Observed, context: &Context) -> Self {
        let annotations = observed.cluster.metadata.annotations.as_ref();
        let restarted_at = annotations.and_then(|a| a.get(ANNOTATION_RESTARTED_AT));
        let wanted = settings(context, restarted_at);
        let mut all = stored(observed, context.names);
        let stored = all.len();
        adopt(observed, context, &wanted, &mut all);
        let has_all = |r: &&Revision| wanted.iter().all(|(c, hash)| r.has_settings(*c, hash));
        let current = match all.iter().find(has_all) {
            Some(revision) => revision.id.clone(),
            None => {
                let id = free_id(observed, context.names, &wanted, &all);
                let pods = wanted.iter().map(|(c, hash)| (*c, pods(context, *c, hash, &id)));
                let data = RevisionData {
                    release: release(context),
                    pods: pods.collect(),
                    spec: fragment(context),
                };
                push(&mut all, id.clone(), data);
                id
            }
        };
        Self {
            all,
            stored,
            current,
            settings: wanted,
        }
    }

    /// The revisions if `current` is stored.
    pub fn stored(observed: &Observed, names: &ClusterNames, current: &str) -> Option<Self> {
        let all = stored(observed, names);
        let pods = &all.iter().find(|r| r.id == current)?.data.pods;
        let settings = pods
            .iter()
            .filter_map(|(c, pods)| Some((*c, pods.settings.clone()?)));
        Some(Self {
            settings: settings.collect(),
            stored: all.len(),
            current: current.to_owned(),
            all,
        })
    }

    pub fn get(&self, id: &str) -> Option<&Revision> {
        self.all.iter().find(|revision| revision.id == id)
    }

    /// Whether the pods of a component can be created from the revision.
    pub fn has_pods(&self, id: &str, component: Component) -> bool {
        self.get(id).is_some_and(|r| r.template(component).is_some())
    }

    /// The revision of a component's new pods: the first one with the same settings, because a change of what other
    /// components read replaces none of its pods.
    pub fn of(&self, component: Component) -> &str {
        let has_settings = |hash: &String| {
            let mut same = self.all.iter().filter(|r| r.has_settings(component, hash));
            same.next()
        };
        let found = self.settings.get(&component).and_then(has_settings);
        found.map_or(&self.current, |revision| &revision.id)
    }

    /// The revisions to store.
    pub fn new_ones(&self) -> &[Revision] {
        &self.all[self.stored..]
    }

    /// The revisions to keep: those in use, and the `limit` newest of the others.
    pub fn kept(&self, in_use: &BTreeSet<String>, limit: usize) -> BTreeSet<String> {
        let is_used = |id: &String| {
            in_use.contains(id) || *id == self.current || self.settings.keys().any(|c| self.of(*c) == id)
        };
        let ids = self.all.iter().map(|revision| revision.id.clone());
        let (mut kept, others): (Vec<_>, Vec<_>) = ids.partition(is_used);
        kept.extend(others.into_iter().rev().take(limit));
        kept.into_iter().collect()
    }
}

fn stored(observed: &Observed, names: &ClusterNames) -> Vec<Revision> {
    let objects = observed.live.controller_revisions.iter();
    let mut stored: Vec<_> = objects
        .filter(|object| observed.owns(&object.metadata))
        .filter_map(|object| Revision::decode(object, names))
        .collect();
    stored.sort_by(|a, b| (a.number, &a.id).cmp(&(b.number, &b.id)));
    stored
}

/// The first id of these settings that no revision has: not an adopted one with other pods, nor one that a newer operator
/// stored and this one cannot decode.
fn free_id(
    observed: &Observed,
    names: &ClusterNames,
    wanted: &BTreeMap<Component, String>,
    all: &[Revision],
) -> String {
    let is_free = |id: &String| !exists(observed, names, id) && all.iter().all(|revision| revision.id != *id);
    let mut ids = (0..).map(|attempt| revision_id(wanted, attempt));
    ids.find(is_free).unwrap_or_default() // the ids never end
}

/// Whether a ControllerRevision with this id exists.
fn exists(observed: &Observed, names: &ClusterNames, id: &str) -> bool {
    let name = names.revision(id);
    let mut objects = observed.live.controller_revisions.iter();
    objects.any(|object| object.metadata.name.as_ref() == Some(&name))
}

fn push(all: &mut Vec<Revision>, id: String, data: RevisionData) {
    let number = all.last().map_or(1, |last| last.number.saturating_add(1));
    all.push(Revision { id, number, data });
}

fn release(context: &Context) -> Release {
    Release {
        repository: context.spec.image.repository.clone(),
        version: context.spec.version.clone(),
    }
}

fn pods(context: &Context, component: Component, settings: &str, id: &str) -> RevisionPods {
    RevisionPods {
        settings: Some(settings.to_owned()),
        template: match component {
            Component::Gateway => build::gateway_template(context, id),
            Component::Shard => build::shard_template(context, 0, id),
            _ => build::worker_template(context, id),
        },
    }
}

/// The fields of the spec that reach a pod.
fn fragment(context: &Context) -> Value {
    let mut spec = serde_json::to_value(context.spec).unwrap_or_default(); // plain values: cannot fail
    let mut fragment = Map::new();
    for field in ["version", "image", "redis", "kafka", "database"] {
        fragment.insert(field.to_owned(), spec[field].take());
    }
    for part in ["gateway", "shards", "worker"] {
        let resources = spec[part]["resources"].take();
        if resources.is_object() {
            fragment.insert(part.to_owned(), json!({ "resources": resources }));
        }
    }
    fragment.retain(|_, value| value.as_object().is_none_or(|fields| !fields.is_empty()));
    Value::Object(fragment)
}

/// Adds the revisions of Deployments without a stored one: an operator that stored none created them, or another client
/// deleted their ControllerRevision. Their pods stay as they are.
fn adopt(
    observed: &Observed,
    context: &Context,
    wanted: &BTreeMap<Component, String>,
    all: &mut Vec<Revision>,
) {
    let mut adopted = BTreeMap::<String, BTreeMap<Component, &Deployment>>::new();
    let deployments = observed.live.deployments.iter();
    for deployment in deployments.filter(|d| observed.owns(&d.metadata)) {
        let Some((component, id)) = component_and_revision(context.names, deployment) else {
            continue;
        };
        if !exists(observed, context.names, &id) {
            adopted.entry(id).or_default().insert(component, deployment);
        }
    }
    for (id, deployments) in adopted {
        let is_current =
            id == revision_id(wanted, 0) || is_revision_of_spec(observed, context, &id, &deployments);
        let adopted = deployments.iter().filter_map(|(component, deployment)| {
            let pods = RevisionPods {
                settings: wanted.get(component).filter(|_| is_current).cloned(),
                template: deployment.spec.as_ref()?.template.clone(),
            };
            Some((*component, pods))
        });
        let mut all_pods: BTreeMap<_, _> = adopted.collect();
        if is_current {
            for (component, hash) in wanted {
                let new = || pods(context, *component, hash, &id);
                all_pods.entry(*component).or_insert_with(new);
            }
        }
        let release = if is_current {
            release(context)
        } else {
            adopted_release(deployments.values().next().copied())
        };
        let spec = if is_current {
            fragment(context)
        } else {
            let Release { repository, version } = &release;
            json!({"version": version, "image": {"repository": repository}})
        };
        let data = RevisionData {
            release,
            pods: all_pods,
            spec,
        };
        push(all, id, data);
    }
}

/// The component of a Deployment and the id of the revision that it runs.
pub fn component_and_revision(names: &ClusterNames, deployment: &Deployment) -> Option<(Component, String)> {
    let name = deployment.metadata.name.as_deref()?;
    if let Some(id) = names.parse_gateway(name) {
        return Some((Component::Gateway, id.to_owned()));
    }
    if let Some((_, id)) = names.parse_shard(name) {
        return Some((Component::Shard, id.to_owned()));
    }
    let is_worker = name == names.component(Component::Worker);
    let labels = template(deployment)?.metadata.as_ref()?.labels.as_ref()?;
    let id = labels.get(LABEL_REVISION).filter(|_| is_worker)?;
    Some((Component::Worker, id.clone()))
}

fn template(deployment: &Deployment) -> Option<&PodTemplateSpec> {
    Some(&deployment.spec.as_ref()?.template)
}

/// Whether the former operator created these Deployments for the spec and the credentials of now.
fn is_revision_of_spec(
    observed: &Observed,
    context: &Context,
    id: &str,
    deployments: &BTreeMap<Component, &Deployment>,
) -> bool {
    let Some(status) = &observed.cluster.status else {
        return false;
    };
    let reported = status.gateway.as_ref().and_then(|g| g.revision.as_deref());
    let annotated = |deployment: &Deployment| {
        let annotations = template(deployment)?.metadata.as_ref()?.annotations.as_ref()?;
        annotations.get(ANNOTATION_CREDENTIALS).cloned()
    };
    let now = credentials::combined(observed);
    let Release { repository, version } = release(context);
    let image = format!("{repository}:{version}");
    reported == Some(id)
        && status.observed_generation == observed.cluster.metadata.generation
        && deployments
            .values()
            .all(|d| annotated(d) == now && image_of(d) == Some(&image))
}

fn image_of(deployment: &Deployment) -> Option<&String> {
    let pod = template(deployment)?.spec.as_ref()?;
    pod.containers.first()?.image.as_ref()
}

fn adopted_release(deployment: Option<&Deployment>) -> Release {
    let image = deployment.and_then(image_of).cloned().unwrap_or_default();
    let annotations = deployment.and_then(|d| d.metadata.annotations.as_ref());
    let version = annotations.and_then(|a| a.get(ANNOTATION_VERSION)).cloned();
    let version = version.unwrap_or_default();
    let repository = image.strip_suffix(&format!(":{version}")).unwrap_or(&image);
    Release {
        repository: repository.to_owned(),
        version,
    }
}
