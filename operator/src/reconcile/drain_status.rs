//! The drain status of Deployments that join or leave: what their pods hold, and how many gateways are connected.

use super::context::Context;
use crate::error::Error;
use futures::future::join_all;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{ResourceExt, api::ListParams, core::Selector};
use poker_operator_api::ClusterNames;
use poker_operator_core::{
    limits::PORT_ADMIN,
    observed::{DrainStatus, LiveChildren},
    plan,
};
use std::{collections::BTreeMap, time::Duration};

/// A pod that has not answered after this time is asked again in the next reconcile.
const DRAIN_STATUS_TIMEOUT: Duration = Duration::from_secs(1);

/// The client that reads drain statuses.
///
/// # Errors
/// When there is no TLS implementation.
pub fn http_client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .timeout(DRAIN_STATUS_TIMEOUT)
        .no_proxy()
        .build()
}

/// The drain status of each Deployment that joins or leaves; absent if one of its pods did not answer. Also the error, if
/// the API server forbids to list pods.
pub async fn read(
    ctx: &Context,
    live: &LiveChildren,
    names: &ClusterNames,
) -> (BTreeMap<String, DrainStatus>, Option<Error>) {
    let drains = plan::drains(live, names);
    let deployments = drains.iter().filter_map(|name| live.deployment(name));
    let read =
        deployments.map(async |deployment| (deployment.name_any(), of_deployment(ctx, deployment).await));
    let (mut found, mut forbidden) = (BTreeMap::new(), None);
    for (name, status) in join_all(read).await {
        match status {
            Ok(status) => found.extend(status.map(|status| (name, status))),
            Err(error) if error.is_forbidden() => forbidden = Some(error),
            Err(error) => tracing::info!(error = error.message(), "cannot read a drain status, retrying"),
        }
    }
    (found, forbidden)
}

/// The sum over the pods of a Deployment; `None` when one of them does not answer.
async fn of_deployment(ctx: &Context, deployment: &Deployment) -> Result<Option<DrainStatus>, Error> {
    let selector = deployment.spec.as_ref().map(|spec| spec.selector.clone());
    let selector = selector.and_then(|selector| Selector::try_from(selector).ok());
    let (Some(namespace), Some(selector)) = (deployment.namespace(), selector) else {
        return Ok(None);
    };
    let params = ListParams::default().labels_from(&selector);
    let pods = ctx.api::<Pod>(&namespace).list(&params).await;
    let pods = pods.map_err(Error::api("list pods"))?.items;
    let running = pods.iter().filter(|pod| !has_ended(pod));
    let answers = join_all(running.map(|pod| of_pod(ctx, pod))).await;
    let answers: Option<Vec<_>> = answers.into_iter().collect();
    Ok(answers.map(|answers| DrainStatus {
        active: answers.iter().map(|answer| answer.active).sum(),
        gateway_links: answers.iter().map(|answer| answer.gateway_links).sum(),
        // Without pods nothing is active, and no table is in use.
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

async fn of_pod(ctx: &Context, pod: &Pod) -> Option<DrainStatus> {
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
