//! PodDisruptionBudgets: a node drain evicts one gateway and one shard at a time.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use poker_operator_api::Component;

use super::meta::Context;

pub fn pod_disruption_budgets(context: &Context) -> Vec<PodDisruptionBudget> {
    [Component::Gateway, Component::Shard]
        .map(|component| budget(context, component))
        .to_vec()
}

fn budget(context: &Context, component: Component) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: context.meta(context.names.component(component), context.selector(component)),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(context.label_selector(component)),
            // A pod that is not ready serves no user and must not block a node drain.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}
