//! The images under test, from the environment.

use serde_json::{Value, json};

/// The version of a new cluster.
pub fn version() -> String {
    std::env::var("E2E_VERSION").unwrap_or_else(|_| env!("CARGO_PKG_VERSION").to_owned())
}

/// The version that a cluster is upgraded to.
pub fn next_version() -> String {
    std::env::var("E2E_NEXT_VERSION")
        .unwrap_or_else(|_| concat!(env!("CARGO_PKG_VERSION"), "-next").to_owned())
}

/// The repository of the app's image.
pub fn app_repository() -> String {
    std::env::var("E2E_APP_REPOSITORY").unwrap_or_else(|_| "planningpoker/poker-app".to_owned())
}

/// The URL of the tests' Prometheus, as the operator reaches it.
pub fn prometheus_url() -> String {
    std::env::var("E2E_PROMETHEUS_URL")
        .unwrap_or_else(|_| "http://prometheus.poker-monitoring.svc:9090".to_owned())
}

/// The part of a spec that names images.
pub fn spec() -> Value {
    let managed = |variable: &str| match std::env::var(variable) {
        Ok(image) => json!({"managed": {"image": image}}),
        Err(_) => json!({"managed": {}}),
    };
    json!({
        "version": version(),
        "image": {"repository": app_repository()},
        "redis": managed("E2E_REDIS_IMAGE"),
        "kafka": managed("E2E_KAFKA_IMAGE"),
        "database": managed("E2E_POSTGRES_IMAGE"),
    })
}

/// Merges `over` into `base`, as a JSON merge patch: null removes a field.
pub fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                if value.is_null() {
                    base.remove(key);
                } else {
                    merge(base.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (base, over) => *base = over.clone(),
    }
}
