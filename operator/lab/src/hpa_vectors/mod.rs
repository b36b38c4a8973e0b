//! Runs language-neutral test vectors of the Kubernetes autoscaler (format `hpa-vectors/1`).
//!
//! A vector holds an input and the result that upstream's own tests expect. `operator/lab/testdata/hpa/README.md`
//! describes the format. The vectors of `hpa_random` are results of Kubernetes' own controller.

mod calculator;
mod compare;
mod input;
mod reconcile;
mod rules;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

pub const FORMAT: &str = "hpa-vectors/1";

#[derive(Debug, Error)]
pub enum VectorError {
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("not a vector file: format is {0:?}, expected {FORMAT:?}")]
    Format(String),
}

/// The result of one file. `upstream_broken` counts the vectors that upstream marks as broken; they are in `passed` or
/// `failed` like all others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FileReport {
    pub passed: usize,
    pub failed: usize,
    pub upstream_broken: usize,
    pub failures: Vec<Failure>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    pub name: String,
    pub why: String,
    /// Upstream marks this vector as broken: a failure is not an error.
    pub upstream_broken: bool,
}

impl FileReport {
    /// No vector failed except those that upstream marks as broken.
    pub fn is_ok(&self) -> bool {
        self.failures.iter().all(|f| f.upstream_broken)
    }
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    format: String,
    #[serde(default)]
    vectors: Vec<Value>,
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    name: String,
    #[serde(default)]
    upstream_broken: bool,
    #[serde(default)]
    kind: String,
}

/// Runs every vector of a file.
///
/// # Errors
/// The text is not JSON, or of another format.
pub fn run_file(text: &str) -> Result<FileReport, VectorError> {
    let file: File = serde_json::from_str(text)?;
    if file.format != FORMAT {
        return Err(VectorError::Format(file.format));
    }
    let mut report = FileReport::default();
    for vector in &file.vectors {
        let question = input::without_nulls(vector);
        let head = Head::deserialize(&question)?;
        report.upstream_broken += usize::from(head.upstream_broken);
        match run(&head.kind, &question, &vector["expect"]) {
            Ok(()) => report.passed += 1,
            Err(why) => {
                report.failed += 1;
                let Head {
                    name,
                    upstream_broken,
                    ..
                } = head;
                report.failures.push(Failure {
                    name,
                    why,
                    upstream_broken,
                });
            }
        }
    }
    Ok(report)
}

/// Computes the result of a vector and compares it with the expectation.
fn run(kind: &str, vector: &Value, expected: &Value) -> Result<(), String> {
    let actual = match kind {
        "resource" | "container_resource" => calculator::resource(vector),
        "pods" => calculator::pods(vector),
        "object" | "external" => calculator::total(vector),
        "object_per_pod" | "external_per_pod" => calculator::share(vector),
        "group_pods" => calculator::group(vector),
        "pod_requests" => calculator::requests(vector),
        "per_pod_usage" => calculator::per_pod_usage(vector),
        "utilization_ratio" => calculator::utilization_ratio(vector),
        "usage_ratio" => calculator::usage_ratio(vector),
        "behavior_rate" => rules::behavior_rate(vector),
        "legacy_limits" => rules::legacy_limits(vector),
        "scale_up_limit" => rules::scale_limit(vector, rules::Direction::Up),
        "scale_down_limit" => rules::scale_limit(vector, rules::Direction::Down),
        "behavior_windows" => rules::behavior_windows(vector),
        "downscale_window" => rules::downscale_window(vector),
        "store_event" => return rules::store_events(vector, expected),
        "behavior_defaults" => rules::defaults(vector),
        "status_quantity" => rules::status_quantity(vector),
        "reconcile" => reconcile::run(vector),
        other => return Err(format!("unknown kind {other:?}")),
    };
    let actual = actual.map_err(|e| format!("cannot read the vector: {e}"))?;
    compare::expect(expected, &actual)
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! vector_files {
        ($($test:ident: $file:literal, $count:literal;)*) => {$(
            #[test]
            fn $test() {
                let report = run_file(include_str!(concat!("../../testdata/", $file))).unwrap();
                assert_eq!(report.failures, []);
                assert_eq!(report.passed, $count);
            }
        )*};
    }

    vector_files! {
        behavior_defaults: "hpa/behavior_defaults.json", 7;
        controller: "hpa/controller.json", 65;
        replica_calculator: "hpa/replica_calculator.json", 80;
        scale_behavior: "hpa/scale_behavior.json", 32;
        scale_events: "hpa/scale_events.json", 5;
        stabilization: "hpa/stabilization.json", 10;
        status_quantity: "hpa/status_quantity.json", 5;
        tolerance: "hpa/tolerance.json", 3;
        random_counts: "hpa_random/counts.json", 40;
        random_limits: "hpa_random/limits.json", 40;
        random_passes: "hpa_random/passes.json", 40;
    }

    #[test]
    fn a_wrong_expectation_fails() {
        let text = r#"{"format": "hpa-vectors/1", "vectors": [{"name": "wrong", "kind": "per_pod_usage",
            "now": "2025-01-01T00:00:00Z", "usage": 1000, "status_replicas": 3, "expect": {"usage": 333}},
            {"name": "odd", "kind": "per_pod_usage", "upstream_broken": true, "expect": {}},
            {"name": "new", "kind": "unheard_of"}]}"#;
        let report = run_file(text).unwrap();
        assert_eq!((report.passed, report.failed, report.upstream_broken), (0, 3, 1));
        assert_eq!(report.failures[0].why, "usage: expected 333, got 334");
        assert!(!report.is_ok());
    }

    #[test]
    fn other_formats_are_rejected() {
        assert!(matches!(run_file("{}"), Err(VectorError::Format(_))));
        assert!(matches!(run_file("["), Err(VectorError::Json(_))));
    }
}
