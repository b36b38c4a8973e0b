//! Deployments of gateways, shards and workers.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use poker_operator_api::Component;
use poker_operator_api::names::ANNOTATION_VERSION;

use super::meta::{Context, Labels};
use super::template::{gateway_template, shard_template, worker_template};
use crate::limits::PROGRESS_DEADLINE_SECONDS;

/// The gateways of a revision. `replicas` is absent if autoscaling owns the count.
pub fn gateway(context: &Context, revision: &str, replicas: Option<i32>) -> Deployment {
    let labels = context.revision_selector(Component::Gateway, revision, None);
    let template = gateway_template(context, revision);
    deployment(
        context,
        context.names.gateway(revision),
        labels,
        replicas,
        rolling(),
        template,
    )
}

/// One shard of a revision. Two pods of a shard never run at the same time.
pub fn shard(context: &Context, id: u32, revision: &str) -> Deployment {
    let labels = context.revision_selector(Component::Shard, revision, Some(id));
    let strategy = DeploymentStrategy {
        type_: Some("Recreate".to_owned()),
        rolling_update: None,
    };
    let template = shard_template(context, id, revision);
    deployment(
        context,
        context.names.shard(id, revision),
        labels,
        Some(1),
        strategy,
        template,
    )
}

/// The workers. They have no revisions: a rolling update replaces them.
pub fn worker(context: &Context, revision: &str) -> Deployment {
    let labels = context.selector(Component::Worker);
    let name = context.names.component(Component::Worker);
    let template = worker_template(context, revision);
    deployment(
        context,
        name,
        labels,
        Some(context.spec.worker.replicas),
        rolling(),
        template,
    )
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
    template: PodTemplateSpec,
) -> Deployment {
    let version = Labels::from([(ANNOTATION_VERSION.to_owned(), context.spec.version.clone())]);
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
