//! Validates a new PokerCluster as the API server does: against the schema of the CRD and its CEL rules. Transition
//! rules (`oldSelf`) do not apply to a new object.

mod schema;

use kube_cel::{Validator, apply_defaults, compile_schema};
use serde_json::{Value, json};
use std::fmt;

/// An error in a file: what to correct, and in which field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// For example `spec.shards.replicas`; empty for the object itself.
    pub path: String,
    pub message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

/// All errors of a new object, without its status. As on the server, rules are evaluated only if the object matches the
/// schema.
///
/// # Errors
/// The CRD cannot be serialized as JSON.
pub fn field_errors(object: &Value) -> serde_json::Result<Vec<FieldError>> {
    let schema = schema()?;
    let mut object = object.clone();
    if let Value::Object(fields) = &mut object {
        fields.remove("status");
    }
    schema::drop_nulls(&schema, &mut object);
    let mut object = apply_defaults(&schema, &object);
    let malformed = schema::check(&schema, &object);
    if !malformed.is_empty() {
        return Ok(malformed);
    }
    schema::drop_all_nulls(&mut object);
    let validated = Validator::new().validate_compiled(&compile_schema(&schema), &object, None);
    let broken = validated
        .err()
        .map(|errors| errors.into_vec())
        .unwrap_or_default();
    let field_error = |error: kube_cel::ValidationError| FieldError {
        path: error.field_path,
        message: error.message,
    };
    Ok(broken.into_iter().map(field_error).collect())
}

/// The schema of a whole object.
fn schema() -> serde_json::Result<Value> {
    let definition = serde_json::to_value(poker_operator_api::crd())?;
    let mut schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    // Every object has these fields, though the schema does not name them; the server validates the metadata itself.
    for field in ["apiVersion", "kind"] {
        schema["properties"][field] = json!({"type": "string"});
    }
    schema["properties"]["metadata"] = json!({"type": "object", schema::ANY_FIELD: true});
    Ok(schema)
}

#[cfg(test)]
mod tests;
