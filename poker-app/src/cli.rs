//! The command line. Every flag is also an environment variable, which the operator sets.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use poker_service::logs::LogFormat;

use crate::{load::LoadArgs, routes::RoutesSource};

/// Planning poker server.
#[derive(Parser)]
#[command(
    name = "poker-app",
    version,
    about = "Planning poker for teams: one process for a small team, or gateways, shards and workers for thousands.",
    long_about = "Planning poker for teams.\n\nWithout a role it runs standalone: one process that stores its data \
                  in a folder and needs no other server. The Kubernetes operator runs the roles gateway, shard \
                  and worker.",
    after_help = "Example: start a server for your team and open http://127.0.0.1:8080\n  poker-app --data ./poker-data",
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub role: Option<Role>,
    #[command(flatten)]
    pub standalone: StandaloneArgs,
}

/// Open sockets of a gateway. A process may have 20,000 file descriptors on common machines.
pub const CONNECTIONS_MAX_DEFAULT: u32 = 18_000;

#[derive(Subcommand)]
pub enum Role {
    /// Run gateway and shard in one process, with the data in a folder (the default).
    #[command(
        after_help = "Example: reachable from other machines, data in /var/lib/poker\n  poker-app standalone --listen 0.0.0.0:8080 --data /var/lib/poker"
    )]
    Standalone(StandaloneArgs),
    /// Serve browsers: the page, WebSockets and the history. Rooms are on shards.
    #[command(
        after_help = "Example: a gateway that reads its routing table from a file\n  poker-app gateway --listen 0.0.0.0:8080 --routes file:/etc/poker/routes.json"
    )]
    Gateway(GatewayArgs),
    /// Own a share of the rooms and store them in Redis.
    #[command(
        after_help = "Example: shard 0 of a table in a file, without history\n  poker-app shard --shard 0 --listen 0.0.0.0:7000 --advertise 127.0.0.1:7000 \\\n    --redis-url redis://127.0.0.1:6379 --routes file:/etc/poker/routes.json"
    )]
    Shard(ShardArgs),
    /// Copy history events from Kafka to PostgreSQL.
    #[command(
        after_help = "Example:\n  poker-app worker --kafka-brokers 127.0.0.1:9092 \\\n    --database-url postgres://poker@127.0.0.1/poker"
    )]
    Worker(WorkerArgs),
    /// Generate load on a gateway with teams of real WebSockets; report latencies and losses.
    #[command(
        after_help = "Example: 100 teams of 10, 200 votes a second, for half a minute\n  poker-app load --url ws://127.0.0.1:8080 --teams 100 --participants 10 --rate 200 --seconds 30"
    )]
    Load(LoadArgs),
}

/// Flags of the roles that run in a cluster.
#[derive(Args, Clone)]
pub struct Common {
    /// Kubernetes namespace: label of all metrics, and namespace of the routing table.
    #[arg(long, env = "POKER_NAMESPACE", default_value = "default")]
    pub namespace: String,
    /// Name of the PokerCluster: label of all metrics.
    #[arg(long, env = "POKER_CLUSTER", default_value = "poker")]
    pub cluster: String,
    /// Revision of the app and its settings: label of all metrics.
    #[arg(long, env = "POKER_REVISION", default_value = "local")]
    pub revision: String,
    /// Name of the pod: label of all metrics, so that a pod that is scraped twice counts once.
    #[arg(long, env = "POKER_POD", default_value = "")]
    pub pod: String,
    /// Format of the logs; POKER_LOG_FILTER sets the level, e.g. `info,poker_app=debug`.
    #[arg(long, env = "POKER_LOG", value_enum, default_value = "json")]
    pub log: LogFormat,
    /// Address of the admin server: /live /ready /metrics /drain-status.
    #[arg(long, env = "POKER_ADMIN_LISTEN", default_value = "0.0.0.0:9090")]
    pub admin_listen: SocketAddr,
}

#[derive(Args, Clone)]
pub struct StandaloneArgs {
    /// Address for browsers.
    #[arg(long, env = "POKER_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Data folder; created if missing.
    #[arg(long, env = "POKER_DATA", default_value = "./poker-data")]
    pub data: PathBuf,
    /// Address of the admin server (/live /ready /metrics /drain-status); without it there is none.
    #[arg(long, env = "POKER_ADMIN_LISTEN")]
    pub admin_listen: Option<SocketAddr>,
    /// Format of the logs; POKER_LOG_FILTER sets the level, e.g. `info,poker_app=debug`.
    #[arg(long, env = "POKER_LOG", value_enum, default_value = "text")]
    pub log: LogFormat,
}

#[derive(Args, Clone)]
pub struct GatewayArgs {
    #[command(flatten)]
    pub common: Common,
    /// Address for browsers.
    #[arg(long, env = "POKER_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// Source of the routing table: configmap:NAME or file:PATH.
    #[arg(long, env = "POKER_ROUTES")]
    pub routes: RoutesSource,
    /// PostgreSQL with the history, e.g. postgres://user:password@host/name; without it there is no history.
    #[arg(long, env = "POKER_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// On SIGTERM, the sockets are closed evenly over this many seconds.
    #[arg(long, env = "POKER_DRAIN_WINDOW_SECONDS", default_value_t = 20)]
    pub drain_window_seconds: u32,
    /// Further sockets are refused with 503.
    #[arg(long, env = "POKER_CONNECTIONS_MAX", default_value_t = CONNECTIONS_MAX_DEFAULT)]
    pub connections_max: u32,
}

#[derive(Args, Clone)]
pub struct ShardArgs {
    #[command(flatten)]
    pub common: Common,
    /// Address for the links of gateways.
    #[arg(long, env = "POKER_LISTEN", default_value = "0.0.0.0:7000")]
    pub listen: SocketAddr,
    /// This shard's id in the routing table.
    #[arg(long, env = "POKER_SHARD")]
    pub shard: u32,
    /// This shard's address in the routing table, host:port.
    #[arg(long, env = "POKER_ADVERTISE")]
    pub advertise: String,
    /// Source of the routing table: configmap:NAME or file:PATH.
    #[arg(long, env = "POKER_ROUTES")]
    pub routes: RoutesSource,
    /// Redis with the rooms, e.g. redis://host:6379.
    #[arg(long, env = "POKER_REDIS_URL", hide_env_values = true)]
    pub redis_url: String,
    /// Prefix of every key in Redis.
    #[arg(long, env = "POKER_REDIS_PREFIX", default_value = "poker")]
    pub redis_prefix: String,
    /// Kafka brokers for history events, host:port,…; without them there is no history.
    #[arg(long, env = "POKER_KAFKA_BROKERS")]
    pub kafka_brokers: Option<String>,
    /// Kafka topic of the history events.
    #[arg(long, env = "POKER_KAFKA_TOPIC")]
    pub kafka_topic: Option<String>,
}

#[derive(Args, Clone)]
pub struct WorkerArgs {
    #[command(flatten)]
    pub common: Common,
    /// Kafka brokers, host:port,…
    #[arg(long, env = "POKER_KAFKA_BROKERS")]
    pub kafka_brokers: String,
    /// Kafka topic of the history events.
    #[arg(long, env = "POKER_KAFKA_TOPIC", default_value = "poker-history")]
    pub kafka_topic: String,
    /// Consumer group: the workers of a group share the partitions.
    #[arg(long, env = "POKER_KAFKA_GROUP", default_value = "poker-worker")]
    pub kafka_group: String,
    /// PostgreSQL for the history; tables are created if missing.
    #[arg(long, env = "POKER_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_without_a_role_are_those_of_standalone() {
        let cli = Cli::try_parse_from(["poker-app", "--listen", "127.0.0.1:0"]).unwrap();
        assert!(cli.role.is_none());
        assert_eq!(cli.standalone.listen.port(), 0);
    }

    #[test]
    fn every_role_has_an_example_in_its_help() {
        for role in Cli::command().get_subcommands() {
            let help = role.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "{}", role.get_name());
        }
    }

    #[test]
    fn an_invalid_routes_source_is_refused_with_the_valid_forms() {
        let wrong = ["poker-app", "gateway", "--routes", "routes.json"];
        let error = Cli::try_parse_from(wrong).err().unwrap().to_string();
        assert!(error.contains("file:"), "{error}");
    }
}
