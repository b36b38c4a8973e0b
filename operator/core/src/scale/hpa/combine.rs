//! Before the metrics: whether to look at them. After them: which one wins.

use super::error::MetricError;
use super::metric::Proposal;
use super::rate::Bounds;

/// Where the current count stands before any metric is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// The target stands at zero by someone's hand.
    Disabled,
    /// The current count is outside the bounds; metrics do not matter.
    Bound {
        replicas: i32,
        cause: &'static str,
    },
    Metrics,
}

/// `scaled_to_zero`: the autoscaler itself brought the target to zero and may wake it.
/// `works_from_zero`: a metric can be read without pods.
pub fn gate(current: i32, bounds: Bounds, scaled_to_zero: bool, works_from_zero: bool) -> Gate {
    if current == 0 {
        let wakes = scaled_to_zero && (bounds.min != 0 || works_from_zero);
        return if wakes { Gate::Metrics } else { Gate::Disabled };
    }
    if current > bounds.max {
        return Gate::Bound {
            replicas: bounds.max,
            cause: "Current number of replicas above Spec.MaxReplicas",
        };
    }
    if current < bounds.min {
        return Gate::Bound {
            replicas: bounds.min,
            cause: "Current number of replicas below Spec.MinReplicas",
        };
    }
    Gate::Metrics
}

/// The largest wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Winner {
    /// Its place in the list of metrics.
    pub index: usize,
    pub replicas: i32,
}

/// The largest wish wins. Nothing does when every metric failed, or when one failed and the
/// largest wish of the others would scale down: the failed one might have asked for more.
///
/// # Errors
/// The place of the first metric that failed, or `None` when there is no metric.
pub fn largest(proposals: &[Result<Proposal, MetricError>], current: i32) -> Result<Winner, Option<usize>> {
    let first_failed = proposals.iter().position(Result::is_err);
    let mut winner: Option<Winner> = None;
    for (index, proposal) in proposals.iter().enumerate() {
        let Ok(Proposal { replicas, .. }) = proposal else {
            continue;
        };
        if winner
            .as_ref()
            .is_none_or(|w| w.replicas == 0 || *replicas > w.replicas)
        {
            winner = Some(Winner {
                index,
                replicas: *replicas,
            });
        }
    }
    winner
        .filter(|w| first_failed.is_none() || w.replicas >= current)
        .ok_or(first_failed)
}
