//! What the API server would refuse of a PokerCluster that is made: by the schema of its definition, and by the rules
//! between fields that stand in it. Rules about changes (`oldSelf`) have nothing to say of a new one.

mod schema;

use kube_cel::{Validator, apply_defaults, compile_schema};
use serde_json::{Value, json};
use std::fmt;

/// Something to put right, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// As `spec.shards.replicas`; empty for the object as a whole.
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

/// Everything that is refused of a new object; nothing of its status is looked at. As on the server, rules are asked
/// only about what has the right form.
///
/// # Errors
/// When the definition cannot be written as JSON.
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
    let ruled = Validator::new().validate_compiled(&compile_schema(&schema), &object, None);
    let broken = ruled.err().map(|errors| errors.into_vec()).unwrap_or_default();
    let refusal = |error: kube_cel::ValidationError| FieldError {
        path: error.field_path,
        message: error.message,
    };
    Ok(broken.into_iter().map(refusal).collect())
}

/// The schema of a whole object.
fn schema() -> serde_json::Result<Value> {
    let definition = serde_json::to_value(poker_operator_api::crd())?;
    let mut schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    // They stand in every object; the server checks their inside itself.
    for field in ["apiVersion", "kind"] {
        schema["properties"][field] = json!({"type": "string"});
    }
    schema["properties"]["metadata"] = json!({"type": "object", schema::ANY_FIELD: true});
    Ok(schema)
}

#[cfg(test)]
mod tests;
