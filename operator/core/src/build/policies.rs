//! PodDisruptionBudgets: a node drain evicts one gateway and one shard of a revision at a time. Each revision has its
//! own, so that pods of a revision that cannot run do not count against those of the revision that serves.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use poker_operator_api::Component;

use super::meta::Context;

pub fn gateway_budget(context: &Context, revision: &str) -> PodDisruptionBudget {
    let name = context.names.gateway(revision);
    budget(context, Component::Gateway, name, revision)
}

pub fn shard_budget(context: &Context, revision: &str) -> PodDisruptionBudget {
    let name = context.names.shards(revision);
    budget(context, Component::Shard, name, revision)
}

fn budget(context: &Context, component: Component, name: String, revision: &str) -> PodDisruptionBudget {
    let selector = context.revision_selector(component, revision, None);
    PodDisruptionBudget {
        metadata: context.meta(name, selector.clone()),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector {
                match_labels: Some(selector),
                ..LabelSelector::default()
            }),
            // A pod that is not ready serves no user and must not block a node drain.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}
