//! Calculates a replica count from one metric.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::error::MetricError;
use super::pods::{self, Pod, PodGroups, PodSample, PodSamples, Warmup};
use super::tolerance::Tolerance;
use super::{ratio, requests};

/// The common inputs of calculations over pods.
#[derive(Clone, Copy, Debug)]
pub struct PodContext<'a> {
    pub current: i32,
    pub tolerance: Tolerance,
    pub pods: &'a [Pod],
    pub warmup: Warmup,
    pub pod_level_requests: bool,
    pub now: Timestamp,
}

/// A count from utilization. Utilization and raw value do not include assumptions about missing pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utilized {
    pub replicas: i32,
    pub utilization_percent: i32,
    pub raw_milli: i64,
}

/// A count from a plain value. Usage is in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    pub replicas: i32,
    pub usage_milli: i64,
}

/// Replicas for a target utilization of a resource, in percent of the requests.
///
/// # Errors
/// No usable sample, or a pod without a request.
pub fn by_utilization(
    context: &PodContext,
    resource: &str,
    container: Option<&str>,
    target_percent: i32,
    samples: &PodSamples,
) -> Result<Utilized, MetricError> {
    let (groups, mut samples) = usable(context, resource, samples)?;
    let requests = requests::by_pod(context.pods, container, resource, context.pod_level_requests)?;
    let first = ratio::utilization(&samples, &requests, target_percent)?;
    let answer = |replicas| Utilized {
        replicas,
        utilization_percent: first.utilization_percent,
        raw_milli: first.raw_milli,
    };
    if is_complete(&groups, first.ratio) {
        return Ok(answer(scale_ready(context, first.ratio, groups.ready)));
    }
    let fallback = i128::from(target_percent.max(100));
    refill(&mut samples, &groups, first.ratio, |pod| {
        let request = i128::from(requests.get(pod).copied().unwrap_or(0));
        i64::try_from(request * fallback / 100).unwrap_or(i64::MAX)
    });
    let second = ratio::utilization(&samples, &requests, target_percent)?;
    Ok(answer(scale_refilled(
        context,
        first.ratio,
        second.ratio,
        samples.len(),
    )))
}

/// Replicas for a target average over pods. `resource` is empty for pods metrics.
///
/// # Errors
/// No usable sample.
pub fn by_average(
    context: &PodContext,
    resource: &str,
    target_milli: i64,
    samples: &PodSamples,
) -> Result<Used, MetricError> {
    let (groups, mut samples) = usable(context, resource, samples)?;
    let first = ratio::usage(&samples, target_milli);
    let answer = |replicas| Used {
        replicas,
        usage_milli: first.usage_milli,
    };
    if is_complete(&groups, first.ratio) {
        return Ok(answer(scale_ready(context, first.ratio, groups.ready)));
    }
    refill(&mut samples, &groups, first.ratio, |_| target_milli);
    let second = ratio::usage(&samples, target_milli);
    Ok(answer(scale_refilled(
        context,
        first.ratio,
        second.ratio,
        samples.len(),
    )))
}

/// Replicas for one total (object and external metrics, target `value`): the ready pods times the ratio. At a
/// current count of zero there is no tolerance.
///
/// # Errors
/// There are no pods (`ready_pods` is `None`) although the current count is not zero.
pub fn by_total(
    current: i32,
    tolerance: Tolerance,
    total_milli: i64,
    target_milli: i64,
    ready_pods: Option<i64>,
) -> Result<Used, MetricError> {
    let ratio = total_milli as f64 / target_milli as f64;
    let replicas = if current == 0 {
        ceil_i32(ratio)
    } else if tolerance.contains(ratio) {
        current
    } else {
        ceil_i32(ratio * ready_pods.ok_or(MetricError::NoPods)? as f64)
    };
    Ok(Used {
        replicas,
        usage_milli: total_milli,
    })
}

/// Replicas for one total shared by the pods (object and external metrics, target `averageValue`). `reported` is
/// the count in the target's status.
pub fn by_share(reported: i32, tolerance: Tolerance, total_milli: i64, target_milli: i64) -> Used {
    let ratio = total_milli as f64 / (target_milli as f64 * f64::from(reported));
    let replicas = if tolerance.contains(ratio) {
        reported
    } else {
        ceil_i32(total_milli as f64 / target_milli as f64)
    };
    Used {
        replicas,
        usage_milli: share(total_milli, reported),
    }
}

/// A total divided by the replicas, rounded up. 0 for 0 replicas. The largest value is not divided.
pub fn share(total_milli: i64, replicas: i32) -> i64 {
    if total_milli as f64 >= i64::MAX as f64 {
        return i64::MAX;
    }
    if replicas == 0 {
        return 0;
    }
    (total_milli as f64 / f64::from(replicas)).ceil() as i64
}

/// Groups the pods and drops the samples of those that do not count.
fn usable(
    context: &PodContext,
    resource: &str,
    samples: &PodSamples,
) -> Result<(PodGroups, PodSamples), MetricError> {
    if context.pods.is_empty() {
        return Err(MetricError::NoPods);
    }
    let groups = pods::group(context.pods, samples, resource, context.warmup, context.now);
    let kept: PodSamples = samples
        .iter()
        .filter(|(pod, _)| !groups.ignored.contains(*pod) && !groups.unready.contains(*pod))
        .map(|(pod, sample)| (pod.clone(), *sample))
        .collect();
    if kept.is_empty() {
        return Err(MetricError::NoSamples);
    }
    Ok((groups, kept))
}

/// Whether the samples alone decide: no pod is missing, and no unready pod could lower a scale-up.
fn is_complete(groups: &PodGroups, ratio: f64) -> bool {
    let damped = ratio > 1.0 && !groups.unready.is_empty();
    groups.missing.is_empty() && !damped
}

fn scale_ready(context: &PodContext, ratio: f64, ready: usize) -> i32 {
    if context.tolerance.contains(ratio) {
        context.current
    } else {
        ceil_i32(ratio * ready as f64)
    }
}

/// Assumes the value for pods without a sample that changes the count least.
fn refill(samples: &mut PodSamples, groups: &PodGroups, ratio: f64, on_target: impl Fn(&str) -> i64) {
    let fill = |samples: &mut PodSamples, names: &BTreeSet<String>, value: &dyn Fn(&str) -> i64| {
        let filled: BTreeMap<String, PodSample> = names
            .iter()
            .map(|pod| (pod.clone(), assumed(value(pod))))
            .collect();
        samples.extend(filled);
    };
    if ratio < 1.0 {
        fill(samples, &groups.missing, &on_target);
    } else if ratio > 1.0 {
        fill(samples, &groups.missing, &|_| 0);
        fill(samples, &groups.unready, &|_| 0);
    }
}

fn assumed(value_milli: i64) -> PodSample {
    PodSample {
        value_milli,
        at: Timestamp::MIN,
        window: SignedDuration::ZERO,
    }
}

/// Keeps the count if the assumptions reverse the direction or move the ratio into the tolerance.
fn scale_refilled(context: &PodContext, first: f64, second: f64, samples: usize) -> i32 {
    let turned = (first < 1.0 && second > 1.0) || (first > 1.0 && second < 1.0);
    if context.tolerance.contains(second) || turned {
        return context.current;
    }
    let recommended = ceil_i32(second * samples as f64);
    let against =
        (second < 1.0 && recommended > context.current) || (second > 1.0 && recommended < context.current);
    if against { context.current } else { recommended }
}

/// Rounds up. Saturates at the 32-bit range, and returns 0 for an undefined value.
fn ceil_i32(value: f64) -> i32 {
    value.ceil() as i32
}
