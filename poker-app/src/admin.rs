//! The admin server of every role: /live /ready /metrics /drain-status.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use poker_service::readiness::Readiness;
use prometheus_client::registry::Registry;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The work that a process must hand off before it can be deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DrainStatus {
    /// Rooms of a shard, sockets of a gateway.
    pub active: u64,
    /// Gateways connected to a shard.
    pub gateway_links: u64,
    pub routes_version: u64,
}

/// The state that the admin server shows.
#[derive(Clone)]
pub struct Admin {
    pub readiness: Readiness,
    pub registry: Arc<Registry>,
    /// Answers `/live`; `None` for roles that are live as long as they answer.
    pub is_live: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
    /// Answers `/drain-status`; `None` for roles without work to hand off.
    pub drain_status: Option<Arc<dyn Fn() -> DrainStatus + Send + Sync>>,
}

/// Serves until `stop`.
pub async fn serve(address: SocketAddr, admin: Admin, stop: CancellationToken) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}: choose another --admin-listen"))?;
    poker_service::admin::serve(listener, router(admin), stop).await
}

/// The admin routes.
pub fn router(admin: Admin) -> Router {
    let common = poker_service::admin::router(admin.readiness.clone(), admin.registry.clone());
    // Its own `/live` precedes the common one.
    Router::new()
        .route("/live", get(live))
        .route("/drain-status", get(drain_status))
        .with_state(admin)
        .fallback_service(common)
}

async fn live(State(admin): State<Admin>) -> Response {
    match admin.is_live.is_none_or(|is_live| is_live()) {
        true => "live\n".into_response(),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the engine does not take turns\n",
        )
            .into_response(),
    }
}

async fn drain_status(State(admin): State<Admin>) -> Response {
    match &admin.drain_status {
        Some(drain_status) => Json(drain_status()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;
    use crate::metrics;

    fn admin() -> (Admin, metrics::ShardMetrics) {
        let common = crate::cli::Common {
            namespace: "teams".into(),
            cluster: "demo".into(),
            revision: "abc".into(),
            pod: "demo-shard-7".into(),
            log: poker_service::logs::LogFormat::Text,
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let mut registry = metrics::registry(&common);
        let shard = metrics::ShardMetrics::register(metrics::shard_registry(&mut registry, 7));
        let admin = Admin {
            readiness: Readiness::default(),
            registry: Arc::new(registry),
            is_live: None,
            drain_status: Some(Arc::new(|| DrainStatus {
                active: 3,
                gateway_links: 2,
                routes_version: 9,
            })),
        };
        (admin, shard)
    }

    async fn get_text(admin: &Admin, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(admin.clone()).oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn ready_lists_what_is_pending() {
        let (admin, _) = admin();
        admin.readiness.wait_for("store", "store");
        admin.readiness.wait_for("routing table", "routing table");
        let (status, text) = get_text(&admin, "/ready").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text, r#"{"pending":["routing table","store"],"ready":false}"#);
        admin.readiness.done("store");
        admin.readiness.done("routing table");
        assert_eq!(get_text(&admin, "/ready").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn metrics_have_the_documented_names_and_labels() {
        let (admin, shard) = admin();
        shard.commands("acked").inc();
        let (_, text) = get_text(&admin, "/metrics").await;
        let line = text
            .lines()
            .find(|line| line.starts_with("poker_shard_commands_total"))
            .unwrap();
        for part in [
            r#"namespace="teams""#,
            r#"cluster="demo""#,
            r#"revision="abc""#,
            r#"shard="7""#,
            r#"result="acked""#,
        ] {
            assert!(line.contains(part), "{line}");
        }
        assert!(text.contains("poker_shard_commit_seconds_bucket"));
    }

    #[tokio::test]
    async fn live_fails_when_the_engine_stands_still() {
        let (mut admin, _) = admin();
        assert_eq!(get_text(&admin, "/live").await.0, StatusCode::OK);
        for (is_live, status) in [(true, StatusCode::OK), (false, StatusCode::SERVICE_UNAVAILABLE)] {
            admin.is_live = Some(Arc::new(move || is_live));
            assert_eq!(get_text(&admin, "/live").await.0, status);
        }
    }

    #[tokio::test]
    async fn drain_status_reports_active_work_and_links() {
        let (admin, _) = admin();
        let (_, text) = get_text(&admin, "/drain-status").await;
        assert_eq!(text, r#"{"active":3,"gatewayLinks":2,"routesVersion":9}"#);
    }
}
