//! Condition types and reasons; they are API, so they are constants.

/// Types of conditions.
pub mod types {
    /// People can use the cluster: gateways, shards and Redis serve.
    pub const READY: &str = "Ready";
    /// Something is on its way to the wanted state.
    pub const PROGRESSING: &str = "Progressing";
    /// Something that should run does not.
    pub const DEGRADED: &str = "Degraded";
    /// kstatus: the latest spec is not yet reached.
    pub const RECONCILING: &str = "Reconciling";
    /// kstatus: it will not be reached without somebody's help.
    pub const STALLED: &str = "Stalled";
}

/// Reasons of conditions and events.
pub mod reasons {
    pub const AS_EXPECTED: &str = "AsExpected";
    pub const INVALID: &str = "Invalid";
    pub const FOREIGN_OWNED: &str = "ForeignOwned";
    pub const SECRET_MISSING: &str = "SecretMissing";
    pub const TOPIC_CANNOT_SHRINK: &str = "TopicCannotShrink";
    pub const PAUSED: &str = "Paused";
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
    pub const CANNOT_OBSERVE: &str = "CannotObserve";
    pub const METRICS_UNAVAILABLE: &str = "MetricsUnavailable";
    pub const UNSCHEDULABLE: &str = "Unschedulable";
    pub const IMAGE_PULL_FAILED: &str = "ImagePullFailed";
    pub const CONTAINER_CANNOT_START: &str = "ContainerCannotStart";
    pub const CRASH_LOOPING: &str = "CrashLooping";
    pub const CONTAINER_NOT_READY: &str = "ContainerNotReady";
    pub const REPLICAS_IGNORED: &str = "ReplicasIgnored";
    pub const TOPIC_REPLICATION_DIFFERS: &str = "TopicReplicationDiffers";
    pub const TOPIC_UNAVAILABLE: &str = "TopicUnavailable";
    pub const READY: &str = "Ready";
}
