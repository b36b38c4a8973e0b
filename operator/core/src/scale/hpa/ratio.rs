//! The ratio of use to target.

use std::collections::BTreeMap;

use super::error::MetricError;
use super::pods::PodSamples;

/// Use as a share of requests, against a target share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UtilizationRatio {
    pub ratio: f64,
    /// Whole percent of the requests.
    pub utilization_percent: i32,
    /// Average use of a pod, in thousandths.
    pub raw_milli: i64,
}

/// Average use against a target value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UsageRatio {
    pub ratio: f64,
    /// Average over the samples, in thousandths.
    pub usage_milli: i64,
}

/// Utilization over the pods that have both a sample and a request.
///
/// # Errors
/// No pod has both.
pub fn utilization(
    samples: &PodSamples,
    requests_milli: &BTreeMap<String, i64>,
    target_percent: i32,
) -> Result<UtilizationRatio, MetricError> {
    let (mut used, mut requested, mut pods) = (0_i128, 0_i128, 0_i128);
    for (pod, sample) in samples {
        if let Some(request) = requests_milli.get(pod) {
            used += i128::from(sample.value_milli);
            requested += i128::from(*request);
            pods += 1;
        }
    }
    if requested == 0 {
        return Err(MetricError::NoMatchingPods);
    }
    let utilization_percent = clamp_i32(used * 100 / requested);
    Ok(UtilizationRatio {
        ratio: f64::from(utilization_percent) / f64::from(target_percent),
        utilization_percent,
        raw_milli: clamp_i64(used / pods),
    })
}

/// The average over all samples, including those of unknown pods. `samples` must not be empty.
pub fn usage(samples: &PodSamples, target_milli: i64) -> UsageRatio {
    let total: i128 = samples.values().map(|s| i128::from(s.value_milli)).sum();
    let usage_milli = clamp_i64(total / i128::try_from(samples.len().max(1)).unwrap_or(1));
    UsageRatio {
        ratio: usage_milli as f64 / target_milli as f64,
        usage_milli,
    }
}

fn clamp_i32(value: i128) -> i32 {
    value.clamp(i128::from(i32::MIN), i128::from(i32::MAX)) as i32
}

fn clamp_i64(value: i128) -> i64 {
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}
