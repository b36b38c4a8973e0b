//! Limits and defaults of the API. The schema and its CEL rules are generated from them.

/// The longest name of a `PokerCluster`. The names of its Services add up to 23 characters, and a DNS label
/// has at most 63.
pub const CLUSTER_NAME_CHARS_MAX: usize = 40;

pub const SHARDS_DEFAULT: i32 = 3;
pub const SHARDS_MAX: i32 = 256;
pub const GATEWAYS_DEFAULT: i32 = 2;
pub const GATEWAYS_MAX: i32 = 500;
pub const WORKERS_DEFAULT: i32 = 1;
pub const WORKERS_MAX: i32 = 64;
/// As for a Deployment.
pub const REVISION_HISTORY_LIMIT_DEFAULT: i32 = 10;
pub const REVISION_HISTORY_LIMIT_MAX: i32 = 100;

pub const DRAIN_DEADLINE_SECONDS_DEFAULT: i32 = 600;
pub const DRAIN_DEADLINE_SECONDS_MAX: i32 = 86_400;

pub const APP_REPOSITORY_DEFAULT: &str = "planningpoker/poker-app";
pub const REDIS_IMAGE_DEFAULT: &str = "redis:7.2";
pub const KAFKA_IMAGE_DEFAULT: &str = "apache/kafka:4.1.0";
pub const POSTGRES_IMAGE_DEFAULT: &str = "postgres:15";
pub const REDIS_MEMORY_DEFAULT: &str = "64Mi";

pub const TOPIC_PARTITIONS_DEFAULT: i32 = 12;
pub const TOPIC_PARTITIONS_MAX: i32 = 1_000;
pub const TOPIC_REPLICATION_DEFAULT: i32 = 1;
pub const TOPIC_RETENTION_HOURS_DEFAULT: i32 = 168;
pub const TOPIC_RETENTION_HOURS_MAX: i32 = 87_600;

pub const PROMETHEUS_INTERVAL_SECONDS_DEFAULT: i32 = 5;
pub const PROMETHEUS_HEADERS_MAX: usize = 16;
pub const PROMETHEUS_MATCHERS_MAX: usize = 16;

pub const METRICS_MAX: usize = 10;
pub const POLICIES_MAX: usize = 10;
pub const SCHEDULES_MAX: usize = 32;
pub const PINS_MAX: usize = 256;
pub const PULL_SECRETS_MAX: usize = 16;

/// As in the HorizontalPodAutoscaler.
pub const STABILIZATION_SECONDS_MAX: i32 = 3_600;
/// As in the HorizontalPodAutoscaler.
pub const POLICY_PERIOD_SECONDS_MAX: i32 = 1_800;

/// How far ahead a scaling decision may use a forecast.
pub const LEAD_SECONDS_MAX: i32 = 1800;
