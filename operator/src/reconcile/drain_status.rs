//! The drain status of Deployments that join or leave: what their pods hold, and how many gateways are connected.

use super::context::Context;
use crate::cluster_key::ClusterKey;
use futures::future::join_all;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    ResourceExt,
    core::{Selector, SelectorExt},
};
use poker_operator_core::{
    limits::PORT_ADMIN,
    observed::{DrainStatus, LiveChildren},
    plan,
};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

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

/// By Deployment that joins or leaves; absent when not all of its pods answered.
pub async fn read(ctx: &Context, live: &LiveChildren, key: &ClusterKey) -> BTreeMap<String, DrainStatus> {
    let failing = ctx.watch_health.failing(Instant::now());
    if failing.iter().any(|(kind, _)| *kind == "Pod") {
        return BTreeMap::new(); // the cache may lack pods
    }
    let pods = ctx.stores.pods(key);
    let drains = plan::drains(live, &key.object_names());
    let deployments = drains.iter().filter_map(|name| live.deployment(name));
    let read = deployments.map(async |deployment| {
        Some((
            deployment.name_any(),
            of_deployment(ctx, &pods, deployment).await?,
        ))
    });
    join_all(read).await.into_iter().flatten().collect()
}

/// The sum over the pods of a Deployment; `None` when one of them does not answer or is not in the cache yet.
async fn of_deployment(ctx: &Context, pods: &[Pod], deployment: &Deployment) -> Option<DrainStatus> {
    let selector = Selector::try_from(deployment.spec.as_ref()?.selector.clone()).ok()?;
    let own = pods.iter().filter(|pod| selector.matches(pod.labels()));
    let running: Vec<_> = own.filter(|pod| !has_ended(pod)).collect();
    let expected = deployment.status.as_ref().and_then(|status| status.replicas);
    if running.len() < usize::try_from(expected.unwrap_or(0)).ok()? {
        return None;
    }
    let answers = join_all(running.into_iter().map(|pod| of_pod(ctx, pod))).await;
    let answers: Option<Vec<_>> = answers.into_iter().collect();
    answers.map(|answers| DrainStatus {
        active: answers.iter().map(|answer| answer.active).sum(),
        gateway_links: answers.iter().map(|answer| answer.gateway_links).sum(),
        // Without pods nothing is active, and no table is in use.
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
