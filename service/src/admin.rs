//! The admin server of every program: `/live`, `/ready` and `/metrics`, and the routes that a program adds.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{encoding::text, registry::Registry};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::readiness::Readiness;

/// The content type of OpenMetrics, which Prometheus negotiates.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone)]
struct Admin {
    readiness: Readiness,
    registry: Arc<Registry>,
}

/// The routes that every program has; merge others into it.
pub fn router(readiness: Readiness, registry: Arc<Registry>) -> Router {
    Router::new()
        .route("/live", get(async || "live\n"))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Admin { readiness, registry })
}

/// Serves `router` until `stop`.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> anyhow::Result<()> {
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await?;
    Ok(())
}

async fn ready(State(admin): State<Admin>) -> Response {
    let pending = admin.readiness.pending();
    let status = match pending.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body = json!({ "ready": pending.is_empty(), "pending": pending });
    (status, Json(body)).into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let mut encoded = String::new();
    match text::encode(&mut encoded, &admin.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPENMETRICS)], encoded).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use prometheus_client::metrics::counter::Counter;
    use tower::ServiceExt;

    async fn get_text(router: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn ready_lists_what_is_pending() {
        let readiness = Readiness::default();
        let router = router(readiness.clone(), Arc::default());
        readiness.wait_for("store", "the store is not reachable");
        let (status, text) = get_text(&router, "/ready").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            text,
            r#"{"pending":["the store is not reachable"],"ready":false}"#
        );
        readiness.done("store");
        assert_eq!(get_text(&router, "/ready").await.0, StatusCode::OK);
        assert_eq!(get_text(&router, "/live").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn metrics_are_those_of_the_registry() {
        let mut registry = Registry::default();
        let writes = Counter::<u64>::default();
        registry.register("writes", "Writes", writes.clone());
        writes.inc();
        let router = router(Readiness::default(), Arc::new(registry));
        let (_, text) = get_text(&router, "/metrics").await;
        assert!(text.contains("writes_total 1"), "{text}");
    }
}
