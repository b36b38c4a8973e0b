//! Compares a result with the expectation of a vector.

use serde_json::Value;

/// Upstream's texts, which are not compared.
const NOT_COMPARED: [&str; 2] = ["cause", "contains"];
const RATIO_ERROR_MAX: f64 = 1e-9;

/// Every expected key must be in the result; other keys are ignored.
///
/// # Errors
/// A description of the first difference.
pub fn expect(expected: &Value, actual: &Value) -> Result<(), String> {
    let Value::Object(fields) = expected else {
        return Err("the vector expects nothing".to_owned());
    };
    if let (None, Some(error)) = (fields.get("error"), actual.get("error").filter(|e| !e.is_null())) {
        return Err(format!("unexpected error {error}"));
    }
    for (key, value) in fields {
        let found = actual.get(key).unwrap_or(&Value::Null);
        same(value, found).map_err(|why| format!("{key}{why}"))?;
    }
    Ok(())
}

fn same(expected: &Value, actual: &Value) -> Result<(), String> {
    let differ = || Err(format!(": expected {expected}, got {actual}"));
    match (expected, actual) {
        // Null instead of a list asserts nothing.
        (Value::Null, Value::Array(_)) => Ok(()),
        (Value::Object(fields), Value::Object(_)) => {
            for (key, value) in fields
                .iter()
                .filter(|(key, _)| !NOT_COMPARED.contains(&key.as_str()))
            {
                same(value, actual.get(key).unwrap_or(&Value::Null)).map_err(|why| format!(".{key}{why}"))?;
            }
            Ok(())
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            let mut pairs = sorted(expected).into_iter().zip(sorted(found)).enumerate();
            pairs.try_for_each(|(i, (w, f))| same(w, f).map_err(|why| format!("[{i}]{why}")))
        }
        (Value::Number(expected), Value::Number(found)) if !expected.is_i64() || !found.is_i64() => {
            match (expected.as_f64(), found.as_f64()) {
                (Some(w), Some(f)) if (w - f).abs() <= RATIO_ERROR_MAX * w.abs() => Ok(()),
                _ => differ(),
            }
        }
        _ if expected == actual => Ok(()),
        _ => differ(),
    }
}

/// Conditions are compared by type and sets by value; other lists keep their order.
fn sorted(list: &[Value]) -> Vec<&Value> {
    let mut list: Vec<&Value> = list.iter().collect();
    let is_condition = |v: &&Value| v.get("reason").is_some() && v.get("type").is_some();
    if list.iter().all(is_condition) {
        list.sort_by_key(|v| v["type"].to_string());
    } else if list.iter().all(|v| v.is_string()) {
        list.sort_by_key(|v| v.to_string());
    }
    list
}
