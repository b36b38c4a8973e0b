//! Which existing objects belong to a cluster.
//!
//! An object belongs to the cluster that controls it. An object without a living controller belongs to the cluster that
//! its labels name: its owner reference was removed, or it was restored from a backup, or it outlived a cluster that was
//! deleted with `--cascade=orphan`. The operator adopts such an object with its next write.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt;
use poker_operator_api::PokerCluster;
use poker_operator_api::names::{LABEL_INSTANCE, LABEL_MANAGED_BY, MANAGED_BY};

use crate::for_each_kind;
use crate::observed::Observed;

/// An existing object of another owner with a name that the operator may need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignObject {
    pub kind: &'static str,
    pub name: String,
    /// Its controller, such as `Deployment web`.
    pub controller: Option<String>,
}

impl ForeignObject {
    /// The conflict and its remedies. No remedy deletes the object: it may contain data.
    pub fn conflict(&self) -> String {
        let Self {
            kind,
            name,
            controller,
        } = self;
        match controller {
            Some(controller) => {
                format!("{kind} {name} exists and is controlled by {controller}: rename this PokerCluster")
            }
            None => format!(
                "{kind} {name} exists without the labels of this PokerCluster: rename this PokerCluster or that object, or add the labels {LABEL_MANAGED_BY}={MANAGED_BY} and {LABEL_INSTANCE} to let the operator adopt it"
            ),
        }
    }
}

impl Observed {
    /// Whether this cluster is the controller of the object.
    pub fn controls(&self, meta: &ObjectMeta) -> bool {
        controller(meta).is_some_and(|owner| owner.uid == self.uid())
    }

    /// Whether the object belongs to this cluster: it controls the object or may adopt it.
    pub fn owns(&self, meta: &ObjectMeta) -> bool {
        match controller(meta) {
            Some(owner) if owner.uid == self.uid() => true,
            Some(owner) => self.is_predecessor(owner) && self.has_labels(meta),
            None => self.has_labels(meta),
        }
    }

    /// The owner references of an adopted object: those that do not control it, without earlier clusters of this name.
    pub fn other_owners(&self, meta: &ObjectMeta) -> Vec<OwnerReference> {
        let owners = meta.owner_references.iter().flatten();
        let others = owners.filter(|owner| owner.controller != Some(true) && !self.is_predecessor(owner));
        others.filter(|owner| owner.uid != self.uid()).cloned().collect()
    }

    /// Moves the objects of other owners from `live` to `foreign`, so that no decision counts them.
    pub fn separate_foreign(&mut self) {
        let mut live = std::mem::take(&mut self.live);
        macro_rules! separate {
            ($($kind:ident: $type:ident,)*) => {
                $(live.$kind.retain(|object| {
                    let is_own = self.owns(&object.metadata);
                    if !is_own {
                        self.foreign.push(foreign(stringify!($type), object));
                    }
                    is_own
                });)*
            };
        }
        for_each_kind!(separate);
        self.live = live;
    }

    /// An earlier cluster of the same name. It no longer exists, because names are unique.
    fn is_predecessor(&self, owner: &OwnerReference) -> bool {
        let kind = <PokerCluster as kube::Resource>::kind(&());
        owner.kind == kind
            && Some(&owner.name) == self.cluster.metadata.name.as_ref()
            && owner.uid != self.uid()
    }

    fn has_labels(&self, meta: &ObjectMeta) -> bool {
        let label = |name: &str| meta.labels.as_ref()?.get(name);
        label(LABEL_MANAGED_BY).is_some_and(|manager| manager == MANAGED_BY)
            && label(LABEL_INSTANCE) == self.cluster.metadata.name.as_ref()
    }
}

fn controller(meta: &ObjectMeta) -> Option<&OwnerReference> {
    let mut owners = meta.owner_references.iter().flatten();
    owners.find(|owner| owner.controller == Some(true))
}

fn foreign(kind: &'static str, object: &impl ResourceExt) -> ForeignObject {
    let controller = controller(object.meta());
    ForeignObject {
        kind,
        name: object.name_any(),
        controller: controller.map(|owner| format!("{} {}", owner.kind, owner.name)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::testing::observed;

    fn owner(kind: &str, name: &str, uid: &str, controller: bool) -> OwnerReference {
        OwnerReference {
            kind: kind.to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
            controller: Some(controller),
            ..OwnerReference::default()
        }
    }

    fn meta(labels: &[(&str, &str)], owners: Vec<OwnerReference>) -> ObjectMeta {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        ObjectMeta {
            labels: Some(labels.collect::<BTreeMap<_, _>>()),
            owner_references: Some(owners),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn an_object_belongs_to_its_controller_and_without_one_to_the_cluster_that_its_labels_name() {
        let state = observed("demo", "{version: v1}");
        let uid = state.uid().to_owned();
        let ours = [(LABEL_MANAGED_BY, MANAGED_BY), (LABEL_INSTANCE, "demo")];
        let other = [(LABEL_MANAGED_BY, MANAGED_BY), (LABEL_INSTANCE, "other")];
        let cluster = |uid: &str, controller| owner("PokerCluster", "demo", uid, controller);
        let table = [
            ("controlled", meta(&ours, vec![cluster(&uid, true)]), true),
            ("labels removed", meta(&[], vec![cluster(&uid, true)]), true),
            ("owner reference removed", meta(&ours, vec![]), true),
            (
                "owned, not controlled",
                meta(&ours, vec![cluster(&uid, false)]),
                true,
            ),
            (
                "of a deleted cluster of this name",
                meta(&ours, vec![cluster("old", true)]),
                true,
            ),
            (
                "with a second owner",
                meta(&ours, vec![owner("ConfigMap", "a", "x", false)]),
                true,
            ),
            ("labels of another cluster", meta(&other, vec![]), false),
            ("neither label nor owner", meta(&[], vec![]), false),
            (
                "of another cluster",
                meta(&ours, vec![owner("PokerCluster", "other", "x", true)]),
                false,
            ),
            (
                "of another controller",
                meta(&ours, vec![owner("Deployment", "demo", "x", true)]),
                false,
            ),
        ];
        for (name, meta, expected) in table {
            assert_eq!(state.owns(&meta), expected, "{name}");
        }
    }

    #[test]
    fn adoption_keeps_only_owners_that_do_not_control_the_object() {
        let state = observed("demo", "{version: v1}");
        let other = owner("ConfigMap", "a", "x", false);
        let owners = vec![
            owner("PokerCluster", "demo", "old", true),
            owner("PokerCluster", "demo", "older", false),
            owner("PokerCluster", "demo", state.uid(), false),
            other.clone(),
        ];
        assert_eq!(state.other_owners(&meta(&[], owners)), [other]);
    }
}
