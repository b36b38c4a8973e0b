//! StatefulSets of the managed servers, for development: each has one pod, which also stores the data.

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy};
use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EnvVar, PodSpec, PodTemplateSpec, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use poker_operator_api::Component;
use poker_operator_api::servers::{AppendFsync, ManagedDatabase, ManagedKafka, ManagedRedis};

use super::env;
use super::meta::Context;
use super::pod::{self, Ask, USER_KAFKA, USER_POSTGRES, USER_REDIS, User};
use super::secrets::{DATABASE_NAME, DATABASE_USER, PASSWORD_KEY};
use crate::limits::{
    KAFKA_SESSION_TIMEOUT_SECONDS, PORT_KAFKA, PORT_KAFKA_CONTROLLER, PORT_POSTGRES, PORT_REDIS,
    SERVER_GRACE_SECONDS,
};
use crate::servers::{DatabaseServer, KafkaServer, RedisServer};

/// Any valid id works, because a broker only compares it with the id on its own disk.
const KAFKA_CLUSTER_ID: &str = "5L6g3nShT-eMCtK--X86sw";

struct Server<'a> {
    component: Component,
    image: &'a str,
    user: User,
    command: Option<Vec<String>>,
    env: Vec<EnvVar>,
    port: ContainerPort,
    resources: ResourceRequirements,
    /// Writable directories as (volume, path).
    folders: &'a [(&'a str, &'a str)],
}

/// The managed servers of the cluster.
pub fn stateful_sets(context: &Context) -> Vec<StatefulSet> {
    let mut sets = Vec::new();
    if let RedisServer::Managed(redis) = &context.servers.redis {
        sets.push(stateful_set(context, redis_server(redis)));
    }
    if let KafkaServer::Managed(kafka) = &context.servers.kafka {
        sets.push(stateful_set(context, kafka_server(context, kafka)));
    }
    if let DatabaseServer::Managed(database) = &context.servers.database {
        sets.push(stateful_set(context, database_server(context, database)));
    }
    sets
}

fn redis_server(redis: &ManagedRedis) -> Server<'_> {
    const MEBIBYTE: i128 = 1 << 20;
    let bytes = redis.memory.ceil().unwrap_or_default();
    let fsync = match redis.append_fsync {
        AppendFsync::EverySec => "everysec",
        AppendFsync::Always => "always",
    };
    let maxmemory = bytes.to_string();
    let port = PORT_REDIS.to_string();
    let arguments = [
        "redis-server",
        "--port",
        &port,
        "--dir",
        "/data",
        "--appendonly",
        "yes",
        "--appendfsync",
        fsync,
        "--save",
        "",
        "--maxmemory",
        &maxmemory,
        "--maxmemory-policy",
        "noeviction",
    ];
    // Redis forks to rewrite its append-only file, which copies every page in the worst case.
    let request = format!("{}Mi", bytes / MEBIBYTE + 16);
    let limit = format!("{}Mi", 2 * bytes / MEBIBYTE + 64);
    Server {
        component: Component::Redis,
        image: &redis.image,
        user: USER_REDIS,
        command: Some(arguments.map(str::to_owned).to_vec()),
        env: Vec::new(),
        port: pod::port("redis", PORT_REDIS),
        resources: pod::resources(&redis.resources, ("20m", &request, &limit)),
        folders: &[("data", "/data"), ("tmp", "/tmp")],
    }
}

fn kafka_server<'a>(context: &Context, kafka: &'a ManagedKafka) -> Server<'a> {
    let host = context.names.host(&context.names.component(Component::Kafka));
    let listeners =
        format!("PLAINTEXT://0.0.0.0:{PORT_KAFKA},CONTROLLER://127.0.0.1:{PORT_KAFKA_CONTROLLER}");
    let env = vec![
        env::plain("CLUSTER_ID", KAFKA_CLUSTER_ID),
        env::plain("KAFKA_NODE_ID", "1"),
        env::plain("KAFKA_PROCESS_ROLES", "broker,controller"),
        env::plain("KAFKA_LISTENERS", listeners),
        env::plain(
            "KAFKA_ADVERTISED_LISTENERS",
            format!("PLAINTEXT://{host}:{PORT_KAFKA}"),
        ),
        env::plain("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
        env::plain(
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        ),
        env::plain(
            "KAFKA_CONTROLLER_QUORUM_VOTERS",
            format!("1@localhost:{PORT_KAFKA_CONTROLLER}"),
        ),
        env::plain("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
        env::plain("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1"),
        env::plain("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1"),
        // The operator creates the topic with its partitions; a client must not create it before.
        env::plain("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false"),
        env::plain(
            "KAFKA_BROKER_SESSION_TIMEOUT_MS",
            (KAFKA_SESSION_TIMEOUT_SECONDS * 1_000).to_string(),
        ),
        env::plain("KAFKA_LOG_DIRS", "/var/lib/kafka/data"),
        env::plain("KAFKA_HEAP_OPTS", "-Xmx256m -Xms64m"),
    ];
    Server {
        component: Component::Kafka,
        image: &kafka.image,
        user: USER_KAFKA,
        command: None,
        env,
        port: pod::port("kafka", PORT_KAFKA),
        resources: pod::resources(&kafka.resources, ("200m", "256Mi", "768Mi")),
        // The public image writes settings and logs below /opt/kafka.
        folders: &[
            ("data", "/var/lib/kafka/data"),
            ("config", "/opt/kafka/config"),
            ("logs", "/opt/kafka/logs"),
            ("tmp", "/tmp"),
        ],
    }
}

fn database_server<'a>(context: &Context, database: &'a ManagedDatabase) -> Server<'a> {
    let secret = context.names.component(Component::Database);
    let env = vec![
        env::plain("POSTGRES_USER", DATABASE_USER),
        env::plain("POSTGRES_DB", DATABASE_NAME),
        env::secret("POSTGRES_PASSWORD", &secret, PASSWORD_KEY),
        env::plain("PGDATA", "/var/lib/postgresql/data/pgdata"),
    ];
    Server {
        component: Component::Database,
        image: &database.image,
        user: USER_POSTGRES,
        command: None,
        env,
        port: pod::port("postgres", PORT_POSTGRES),
        resources: pod::resources(&database.resources, ("20m", "64Mi", "512Mi")),
        folders: &[
            ("data", "/var/lib/postgresql/data"),
            ("run", "/var/run/postgresql"),
            ("tmp", "/tmp"),
        ],
    }
}

fn stateful_set(context: &Context, server: Server) -> StatefulSet {
    let labels = context.selector(server.component);
    let name = context.names.component(server.component);
    let image = &context.spec.image;
    let port = server.port.name.clone().unwrap_or_default();
    let mounts = server
        .folders
        .iter()
        .map(|(volume, path)| pod::mount(volume, path))
        .collect();
    let volumes = server
        .folders
        .iter()
        .map(|(volume, _)| pod::scratch(volume))
        .collect();
    let container = Container {
        name: server.component.as_str().to_owned(),
        image: Some(server.image.to_owned()),
        image_pull_policy: Some(image.pull_policy.as_str().to_owned()),
        command: server.command,
        env: (!server.env.is_empty()).then_some(server.env),
        ports: Some(vec![server.port]),
        resources: Some(server.resources),
        security_context: Some(pod::container_security()),
        startup_probe: Some(pod::probe(Ask::Tcp { port: &port }, 1, 120)),
        liveness_probe: Some(pod::probe(Ask::Tcp { port: &port }, 10, 6)),
        readiness_probe: Some(pod::probe(Ask::Tcp { port: &port }, 2, 2)),
        volume_mounts: Some(mounts),
        ..Container::default()
    };
    let template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels.clone()),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            containers: vec![container],
            image_pull_secrets: pod::pull_secrets(image),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            security_context: Some(pod::pod_security(server.user)),
            termination_grace_period_seconds: Some(SERVER_GRACE_SECONDS),
            topology_spread_constraints: Some(pod::spread(&labels)),
            volumes: Some(volumes),
            ..PodSpec::default()
        }),
    };
    StatefulSet {
        metadata: context.meta(name.clone(), labels),
        spec: Some(StatefulSetSpec {
            replicas: Some(1),
            service_name: Some(name),
            selector: context.label_selector(server.component),
            template,
            // The data is lost with the pod, so a changed setting applies only once the user deletes the pod.
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                rolling_update: None,
            }),
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}
