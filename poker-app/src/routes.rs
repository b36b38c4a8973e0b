//! Follows the routing table: watched in a ConfigMap, polled from a file, or set in the process.

use std::{path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::{WatchStreamExt, watcher};
use poker_routing::RoutingTable;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use poker_service::readiness::Readiness;

/// The newest routing table; version 0 and no shards until the first one is known.
pub type Routes = watch::Receiver<Arc<RoutingTable>>;
/// Sets the routing table.
pub type RoutesSender = watch::Sender<Arc<RoutingTable>>;

/// Key of the table in the ConfigMap.
pub const ROUTES_KEY: &str = "routes.json";
/// Pending in [`Readiness`] until a table is known.
pub const PENDING: &str = "routing table";
const FILE_POLL_PERIOD: Duration = Duration::from_secs(1);
const CLIENT_RETRY_PERIOD: Duration = Duration::from_secs(2);

/// Where the table comes from: `configmap:NAME` or `file:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoutesSource {
    ConfigMap(String),
    File(PathBuf),
}

impl FromStr for RoutesSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("configmap", name)) if !name.is_empty() => Ok(Self::ConfigMap(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            _ => Err("write configmap:NAME or file:PATH".to_owned()),
        }
    }
}

/// A table set in the process, for the standalone role and tests. The sender must outlive the receivers.
pub fn in_process(table: RoutingTable) -> (RoutesSender, Routes) {
    watch::channel(Arc::new(table))
}

/// Follows `source` in the background until `stop`. Pending in `readiness` until a table is known. Ignores tables that are
/// malformed or older than the current one.
pub fn follow(
    source: RoutesSource,
    namespace: String,
    version: Gauge,
    readiness: Readiness,
    stop: CancellationToken,
) -> Routes {
    readiness.wait_for(PENDING, PENDING);
    let (sender, routes) = in_process(RoutingTable::default());
    let feed = Feed {
        sender,
        version,
        readiness,
    };
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = feed.run(source, namespace) => {}
        }
    });
    routes
}

struct Feed {
    sender: RoutesSender,
    version: Gauge,
    readiness: Readiness,
}

impl Feed {
    async fn run(self, source: RoutesSource, namespace: String) {
        match source {
            RoutesSource::File(path) => self.poll_file(path).await,
            RoutesSource::ConfigMap(name) => self.watch_config_map(&namespace, &name).await,
        }
    }

    async fn poll_file(self, path: PathBuf) {
        let mut last = String::new();
        let mut missing = false;
        loop {
            match tokio::fs::read_to_string(&path).await {
                Ok(text) => {
                    missing = false;
                    if text != last {
                        self.offer(&text);
                        last = text;
                    }
                }
                Err(cause) if !missing => {
                    missing = true;
                    tracing::warn!(path = %path.display(), %cause, "waiting for the routing table file");
                }
                Err(_) => {}
            }
            tokio::time::sleep(FILE_POLL_PERIOD).await;
        }
    }

    async fn watch_config_map(self, namespace: &str, name: &str) {
        let client = kubernetes_client().await;
        let api = kube::Api::<ConfigMap>::namespaced(client, namespace);
        let field = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let changes = watcher(api, field).default_backoff().applied_objects();
        pin_mut!(changes);
        while let Some(change) = changes.next().await {
            match change {
                Ok(map) => match map.data.as_ref().and_then(|data| data.get(ROUTES_KEY)) {
                    Some(text) => self.offer(text),
                    None => tracing::warn!(name, key = ROUTES_KEY, "the ConfigMap has no routing table"),
                },
                Err(cause) => tracing::warn!(name, %cause, "watch of the routing table failed, retrying"),
            }
        }
    }

    fn offer(&self, text: &str) {
        let table = match RoutingTable::parse(text) {
            Ok(table) => table,
            Err(cause) => {
                tracing::warn!(%cause, "ignored a malformed routing table");
                return;
            }
        };
        self.readiness.done(PENDING);
        let taken = self.sender.send_if_modified(|current| {
            let newer = table.version > current.version;
            if newer {
                *current = Arc::new(table.clone());
            }
            newer
        });
        if taken {
            self.version.set(i64::try_from(table.version).unwrap_or(i64::MAX));
            tracing::info!(
                version = table.version,
                shards = table.shards.len(),
                "routing table"
            );
        }
    }
}

async fn kubernetes_client() -> kube::Client {
    loop {
        match kube::Client::try_default().await {
            Ok(client) => return client,
            Err(cause) => tracing::warn!(%cause, "cannot create a Kubernetes client, retrying"),
        }
        tokio::time::sleep(CLIENT_RETRY_PERIOD).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(version: u64) -> String {
        let shard = r#"{"id":0,"revision":"a","address":"127.0.0.1:1","state":"Active"}"#;
        format!(r#"{{"version":{version},"shards":[{shard}]}}"#)
    }

    fn feed() -> (Feed, Routes) {
        let (sender, routes) = in_process(RoutingTable::default());
        let feed = Feed {
            sender,
            version: Gauge::default(),
            readiness: Readiness::default(),
        };
        feed.readiness.wait_for(PENDING, PENDING);
        (feed, routes)
    }

    #[test]
    fn sources_are_parsed() {
        assert_eq!(
            "configmap:demo-routes".parse(),
            Ok(RoutesSource::ConfigMap("demo-routes".into()))
        );
        assert_eq!("file:/a".parse(), Ok(RoutesSource::File("/a".into())));
        assert!("file:".parse::<RoutesSource>().is_err());
        assert!("elsewhere".parse::<RoutesSource>().is_err());
    }

    #[test]
    fn only_newer_and_valid_tables_are_accepted() {
        let (feed, mut routes) = feed();
        feed.offer(&table(5));
        assert!(feed.readiness.pending().is_empty());
        assert_eq!(routes.borrow_and_update().version, 5);
        feed.offer(&table(4));
        feed.offer("{");
        assert!(!routes.has_changed().unwrap());
        feed.offer(&table(6));
        assert_eq!(routes.borrow_and_update().version, 6);
        assert_eq!(feed.version.get(), 6);
    }

    #[tokio::test]
    async fn a_file_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("routes.json");
        std::fs::write(&path, table(1)).unwrap();
        let stop = CancellationToken::new();
        let mut routes = follow(
            RoutesSource::File(path.clone()),
            String::new(),
            Gauge::default(),
            Readiness::default(),
            stop.clone(),
        );
        routes.wait_for(|table| table.version == 1).await.unwrap();
        std::fs::write(&path, table(2)).unwrap();
        routes.wait_for(|table| table.version == 2).await.unwrap();
        stop.cancel();
    }
}
