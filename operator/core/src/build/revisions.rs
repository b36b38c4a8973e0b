//! The ControllerRevisions that store revisions.

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use poker_operator_api::names::LABEL_REVISION;

use super::meta::{Context, Labels};
use crate::revision::Revision;

pub fn controller_revision(context: &Context, revision: &Revision) -> ControllerRevision {
    let labels = Labels::from([(LABEL_REVISION.to_owned(), revision.id.clone())]);
    let data = serde_json::to_value(&revision.data).unwrap_or_default(); // plain structs: cannot fail
    ControllerRevision {
        metadata: context.meta(context.names.revision(&revision.id), labels),
        revision: revision.number,
        data: Some(RawExtension(data)),
    }
}
