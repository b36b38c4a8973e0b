//! `/drain-status` of the pods of Deployments that take part in a handover: what they hold, and who is connected.

use crate::{context::Context, error::Error};
use futures::future::join_all;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{ResourceExt, api::ListParams, core::Selector};
use poker_operator_api::ClusterNames;
use poker_operator_core::{
    limits::PORT_ADMIN,
    observed::{DrainStatus, LiveChildren},
    plan,
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Answer of `/drain-status`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodDrainStatus {
    active: u64,
    gateway_links: u64,
    routes_version: u64,
}

/// What Deployments on their way in or out say, and why they cannot be asked where that lasts. Without an entry: not
/// all of its pods could be asked.
pub async fn ask(
    ctx: &Context,
    live: &LiveChildren,
    names: &ClusterNames,
) -> (BTreeMap<String, DrainStatus>, Option<Error>) {
    let drains = plan::drains(live, names);
    let asked = drains.iter().filter_map(|name| live.deployment(name));
    let asked = asked.map(async |deployment| (deployment.name_any(), held(ctx, deployment).await));
    let (mut found, mut refused) = (BTreeMap::new(), None);
    for (name, answer) in join_all(asked).await {
        match answer {
            Ok(held) => found.extend(held.map(|held| (name, held))),
            Err(error) if error.label() == "Forbidden" => refused = Some(error),
            Err(error) => tracing::info!(error = error.line(), "asked again soon"),
        }
    }
    (found, refused)
}

/// The sum over the pods of a Deployment; `None` when one of them does not answer.
async fn held(ctx: &Context, deployment: &Deployment) -> Result<Option<DrainStatus>, Error> {
    let selector = deployment.spec.as_ref().map(|spec| spec.selector.clone());
    let selector = selector.and_then(|selector| Selector::try_from(selector).ok());
    let (Some(namespace), Some(selector)) = (deployment.namespace(), selector) else {
        return Ok(None);
    };
    let of = ListParams::default().labels_from(&selector);
    let pods = ctx.api::<Pod>(&namespace).list(&of).await;
    let pods = pods.map_err(Error::api("list pods"))?.items;
    let running: Vec<_> = pods.iter().filter(|pod| !has_ended(pod)).collect();
    let answers = join_all(running.iter().map(|pod| ask_pod(ctx, pod))).await;
    let answers: Option<Vec<_>> = answers.into_iter().collect();
    Ok(answers.map(|answers| DrainStatus {
        held: answers.iter().map(|answer| answer.active).sum(),
        links: answers.iter().map(|answer| answer.gateway_links).sum(),
        // Without pods nothing is held, whatever the table.
        routes_version: answers
            .iter()
            .map(|answer| answer.routes_version)
            .min()
            .unwrap_or(u64::MAX),
    }))
}

fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

async fn ask_pod(ctx: &Context, pod: &Pod) -> Option<PodDrainStatus> {
    let ip = pod.status.as_ref()?.pod_ip.as_ref()?;
    let host = if ip.contains(':') {
        format!("[{ip}]")
    } else {
        ip.clone()
    };
    let response = ctx
        .http
        .get(format!("http://{host}:{PORT_ADMIN}/drain-status"))
        .send()
        .await
        .ok()?;
    response.error_for_status().ok()?.json().await.ok()
}
