//! Why a metric proposes no replica count.

use thiserror::Error;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MetricError {
    #[error("no metrics returned: {0}")]
    NoMetrics(String),
    /// The value is a lower bound and too small to add a replica.
    #[error("{0}")]
    LowerBound(String),
    #[error("no pods returned by the selector; check that the target has pods")]
    NoPods,
    #[error("did not receive metrics for targeted pods (pods might be unready)")]
    NoSamples,
    #[error("no metrics returned matched known pods")]
    NoMatchingPods,
    #[error("missing request for {resource} in container {container} of pod {pod}")]
    MissingRequest {
        resource: String,
        container: String,
        pod: String,
    },
    #[error("missing pod-level request for {resource} in pod {pod}")]
    MissingPodRequest { resource: String, pod: String },
    #[error("container {container} not found in pod {pod}")]
    ContainerNotFound { container: String, pod: String },
    #[error("invalid metric source: {0} target is not set")]
    TargetNotSet(&'static str),
    #[error("unknown metric source type {0:?}")]
    UnknownSource(String),
}
