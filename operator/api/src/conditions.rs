//! Types and reasons of conditions. They are part of the API.

/// Types of conditions.
pub mod types {
    /// The cluster serves users: gateways, shards and Redis are available.
    pub const READY: &str = "Ready";
    /// The operator is changing the cluster towards the desired state.
    pub const PROGRESSING: &str = "Progressing";
    /// A part of the cluster that should run does not.
    pub const DEGRADED: &str = "Degraded";
    /// Prometheus has the metrics that autoscaling needs. Absent without autoscaling.
    pub const METRICS_AVAILABLE: &str = "MetricsAvailable";
    /// kstatus: the cluster has not reached the latest spec yet.
    pub const RECONCILING: &str = "Reconciling";
    /// kstatus: the cluster cannot reach the latest spec without a change by the user.
    pub const STALLED: &str = "Stalled";
}

/// Reasons of conditions and events.
pub mod reasons {
    pub const AS_EXPECTED: &str = "AsExpected";
    pub const INVALID_SPEC: &str = "InvalidSpec";
    pub const NAME_CONFLICT: &str = "NameConflict";
    pub const SECRET_MISSING: &str = "SecretMissing";
    pub const TOPIC_SHRINK_UNSUPPORTED: &str = "TopicShrinkUnsupported";
    pub const PAUSED: &str = "Paused";
    pub const OVERRIDDEN: &str = "Overridden";
    pub const APPLY_FAILED: &str = "ApplyFailed";
    pub const STARTING: &str = "Starting";
    pub const ROLLING_OUT: &str = "RollingOut";
    pub const ROLLED_OUT: &str = "RolledOut";
    pub const SCALING: &str = "Scaling";
    pub const DRAINING: &str = "Draining";
    pub const DRAINED: &str = "Drained";
    pub const GATEWAYS_UNAVAILABLE: &str = "GatewaysUnavailable";
    pub const SHARDS_UNAVAILABLE: &str = "ShardsUnavailable";
    pub const SERVERS_UNAVAILABLE: &str = "ServersUnavailable";
    pub const OBSERVE_FAILED: &str = "ObserveFailed";
    pub const METRICS_UNAVAILABLE: &str = "MetricsUnavailable";
    pub const POD_CREATION_FAILED: &str = "PodCreationFailed";
    pub const RESIZE_INFEASIBLE: &str = "ResizeInfeasible";
    pub const METRICS_PENDING: &str = "MetricsPending";
    pub const METRICS_QUERY_FAILED: &str = "MetricsQueryFailed";
    pub const METRICS_NO_VALUE: &str = "MetricsNoValue";
    pub const METRICS_TOO_MANY_SERIES: &str = "MetricsTooManySeries";
    pub const METRICS_STALE: &str = "MetricsStale";
    pub const METRICS_PARTIAL: &str = "MetricsPartial";
    pub const UNSCHEDULABLE: &str = "Unschedulable";
    pub const IMAGE_PULL_FAILED: &str = "ImagePullFailed";
    pub const CONTAINER_START_FAILED: &str = "ContainerStartFailed";
    pub const CRASH_LOOP_BACK_OFF: &str = "CrashLoopBackOff";
    pub const CONTAINER_NOT_READY: &str = "ContainerNotReady";
    pub const REPLICAS_IGNORED: &str = "ReplicasIgnored";
    pub const TOPIC_REPLICATION_MISMATCH: &str = "TopicReplicationMismatch";
    pub const TOPIC_UNAVAILABLE: &str = "TopicUnavailable";
    pub const READY: &str = "Ready";
}
