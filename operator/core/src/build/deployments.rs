//! Deployments of gateways, shards and workers.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use poker_operator_api::Component;
use poker_operator_api::names::ANNOTATION_VERSION;

use super::meta::{Context, Labels};
use super::template::for_shard;
use crate::limits::PROGRESS_DEADLINE_SECONDS;
use crate::revision::Revision;

/// The gateways of a revision. `replicas` is absent if autoscaling owns the count.
pub fn gateway(context: &Context, revision: &Revision, replicas: Option<i32>) -> Option<Deployment> {
    Some(deployment(
        context,
        context.names.gateway(&revision.id),
        context.revision_selector(Component::Gateway, &revision.id, None),
        replicas,
        rolling(),
        revision,
        revision.template(Component::Gateway)?.clone(),
    ))
}

/// One shard of a revision. Two pods of a shard never run at the same time.
pub fn shard(context: &Context, id: u32, revision: &Revision) -> Option<Deployment> {
    let strategy = DeploymentStrategy {
        type_: Some("Recreate".to_owned()),
        rolling_update: None,
    };
    let template = revision.template(Component::Shard)?.clone();
    Some(deployment(
        context,
        context.names.shard(id, &revision.id),
        context.revision_selector(Component::Shard, &revision.id, Some(id)),
        Some(1),
        strategy,
        revision,
        for_shard(context, template, id, &revision.id),
    ))
}

/// The workers. All revisions share one Deployment: a rolling update replaces its pods.
pub fn worker(context: &Context, revision: &Revision) -> Option<Deployment> {
    Some(deployment(
        context,
        context.names.component(Component::Worker),
        context.selector(Component::Worker),
        Some(context.spec.worker.replicas),
        rolling(),
        revision,
        revision.template(Component::Worker)?.clone(),
    ))
}

fn rolling() -> DeploymentStrategy {
    DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(1)),
            max_unavailable: Some(IntOrString::Int(0)),
        }),
    }
}

fn deployment(
    context: &Context,
    name: String,
    selector: Labels,
    replicas: Option<i32>,
    strategy: DeploymentStrategy,
    revision: &Revision,
    template: PodTemplateSpec,
) -> Deployment {
    let version = Labels::from([(
        ANNOTATION_VERSION.to_owned(),
        revision.data.release.version.clone(),
    )]);
    Deployment {
        metadata: ObjectMeta {
            annotations: Some(version),
            ..context.meta(name, selector.clone())
        },
        spec: Some(DeploymentSpec {
            replicas,
            revision_history_limit: Some(2),
            progress_deadline_seconds: Some(PROGRESS_DEADLINE_SECONDS),
            selector: LabelSelector {
                match_labels: Some(selector),
                ..LabelSelector::default()
            },
            strategy: Some(strategy),
            template,
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}
