//! `/live`, `/ready` and `/metrics`.

use crate::metrics::Metrics;
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the process still waits for, by part. Ready means that nothing is left.
#[derive(Debug, Default)]
pub struct Readiness {
    pending: Mutex<BTreeMap<String, String>>,
}

impl Readiness {
    /// Returns whether that is news.
    pub fn wait_for(&self, part: &str, why: &str) -> bool {
        self.lock().insert(part.to_owned(), why.to_owned()).as_deref() != Some(why)
    }

    pub fn done(&self, part: &str) {
        self.lock().remove(part);
    }

    pub fn is_pending(&self, part: &str) -> bool {
        self.lock().contains_key(part)
    }

    /// One sentence per pending part.
    pub fn pending(&self) -> Vec<String> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone)]
struct Admin {
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
}

fn router(readiness: Arc<Readiness>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/live", get(async || "live\n"))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics_text))
        .with_state(Admin { readiness, metrics })
}

/// Serves until `stop`.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    axum::serve(listener, router(readiness, metrics))
        .with_graceful_shutdown(stop.cancelled_owned())
        .await?;
    Ok(())
}

async fn ready(State(admin): State<Admin>) -> Response {
    let pending = admin.readiness.pending();
    let status = if pending.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(json!({ "ready": pending.is_empty(), "pending": pending })),
    )
        .into_response()
}

async fn metrics_text(State(admin): State<Admin>) -> Response {
    match admin.metrics.encode() {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_nothing_pending() {
        let readiness = Readiness::default();
        assert!(readiness.wait_for("crd", "install it"));
        assert!(!readiness.wait_for("crd", "install it"));
        assert!(readiness.wait_for("crd", "install it, please"));
        assert_eq!(readiness.pending(), ["install it, please"]);
        assert!(readiness.is_pending("crd"));
        readiness.done("crd");
        assert!(readiness.pending().is_empty());
    }
}
