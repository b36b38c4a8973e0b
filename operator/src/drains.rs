//! `/drain` of the pods of Deployments that take part in a handover: what they hold, and who is connected.

use crate::context::Context;
use futures::future::join_all;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{ResourceExt, api::ListParams, core::Selector};
use poker_operator_api::ClusterNames;
use poker_operator_core::{
    limits::PORT_ADMIN,
    observed::{Held, LiveChildren},
    plan,
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Answer of `/drain`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    held: u64,
    /// Absent in answers of older versions of the app.
    #[serde(default)]
    links: u64,
    routes_version: u64,
}

/// What Deployments on their way in or out say. Without an entry: not all of its pods could be asked.
pub async fn ask(ctx: &Context, live: &LiveChildren, names: &ClusterNames) -> BTreeMap<String, Held> {
    let drains = plan::drains(live, names);
    let asked = drains
        .iter()
        .filter_map(|name| live.deployment(name))
        .map(async |deployment| Some((deployment.name_any(), held(ctx, deployment).await?)));
    join_all(asked).await.into_iter().flatten().collect()
}

/// The sum over the pods of a Deployment.
async fn held(ctx: &Context, deployment: &Deployment) -> Option<Held> {
    let namespace = deployment.namespace()?;
    let selector = Selector::try_from(deployment.spec.as_ref()?.selector.clone()).ok()?;
    let pods = ctx
        .api::<Pod>(&namespace)
        .list(&ListParams::default().labels_from(&selector))
        .await;
    let pods = pods
        .inspect_err(|error| tracing::info!(%error, "cannot list pods that drain"))
        .ok()?
        .items;
    let running: Vec<_> = pods.iter().filter(|pod| !has_ended(pod)).collect();
    let answers = join_all(running.iter().map(|pod| ask_pod(ctx, pod))).await;
    let answers = answers.into_iter().collect::<Option<Vec<_>>>()?;
    Some(Held {
        held: answers.iter().map(|answer| answer.held).sum(),
        links: answers.iter().map(|answer| answer.links).sum(),
        // Without pods nothing is held, whatever the table.
        routes_version: answers
            .iter()
            .map(|answer| answer.routes_version)
            .min()
            .unwrap_or(u64::MAX),
    })
}

fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

async fn ask_pod(ctx: &Context, pod: &Pod) -> Option<Answer> {
    let ip = pod.status.as_ref()?.pod_ip.as_ref()?;
    let host = if ip.contains(':') {
        format!("[{ip}]")
    } else {
        ip.clone()
    };
    let response = ctx
        .http
        .get(format!("http://{host}:{PORT_ADMIN}/drain"))
        .send()
        .await
        .ok()?;
    response.error_for_status().ok()?.json().await.ok()
}
