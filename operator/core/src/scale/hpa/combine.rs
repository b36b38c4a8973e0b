//! Decides whether metrics count, and which metric wins.

use super::error::MetricError;
use super::metric::Proposal;
use super::rate::Bounds;

/// How to proceed, from the current count alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// A user scaled the target to zero.
    Disabled,
    /// The current count is outside the bounds. Metrics do not count.
    Bound {
        replicas: i32,
        cause: &'static str,
    },
    Metrics,
}

/// `scaled_to_zero`: the autoscaler itself scaled the target to zero and may scale it out again.
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

/// The largest proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Winner {
    /// Its index in the list of metrics.
    pub index: usize,
    pub replicas: i32,
}

/// Returns the largest proposal. There is none if every metric failed, or if one failed and the largest
/// proposal of the others would scale down: the failed one might have proposed more.
///
/// # Errors
/// The index of the first metric that failed, or `None` if there are no metrics.
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
