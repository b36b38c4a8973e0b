//! The resource requests of each pod: the denominator of utilization.

use std::collections::BTreeMap;

use super::error::MetricError;
use super::pods::Pod;

/// Requests in thousandths by pod name: of the named container; else at pod level, if set and `pod_level` is true;
/// else the sum over the containers.
///
/// # Errors
/// A pod lacks the request or the container, even if it does not count for scaling.
pub fn by_pod(
    pods: &[Pod],
    container: Option<&str>,
    resource: &str,
    pod_level: bool,
) -> Result<BTreeMap<String, i64>, MetricError> {
    pods.iter()
        .map(|pod| {
            let request = match container {
                Some(name) => of_container(pod, name, resource),
                None if pod_level && !pod.requests_milli.is_empty() => of_pod(pod, resource),
                None => sum_of_containers(pod, resource),
            };
            request.map(|milli| (pod.name.clone(), milli))
        })
        .collect()
}

fn of_container(pod: &Pod, name: &str, resource: &str) -> Result<i64, MetricError> {
    let container =
        pod.containers
            .iter()
            .find(|c| c.name == name)
            .ok_or_else(|| MetricError::ContainerNotFound {
                container: name.to_owned(),
                pod: pod.name.clone(),
            })?;
    container
        .requests_milli
        .get(resource)
        .copied()
        .ok_or_else(|| missing(pod, name, resource))
}

fn of_pod(pod: &Pod, resource: &str) -> Result<i64, MetricError> {
    pod.requests_milli
        .get(resource)
        .copied()
        .ok_or_else(|| MetricError::MissingPodRequest {
            resource: resource.to_owned(),
            pod: pod.name.clone(),
        })
}

fn sum_of_containers(pod: &Pod, resource: &str) -> Result<i64, MetricError> {
    pod.containers.iter().try_fold(0_i64, |sum, container| {
        let request = container
            .requests_milli
            .get(resource)
            .ok_or_else(|| missing(pod, &container.name, resource))?;
        Ok(sum.saturating_add(*request))
    })
}

fn missing(pod: &Pod, container: &str, resource: &str) -> MetricError {
    MetricError::MissingRequest {
        resource: resource.to_owned(),
        container: container.to_owned(),
        pod: pod.name.clone(),
    }
}
