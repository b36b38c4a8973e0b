//! Whether a live object is up to date, so that nothing has to be sent.
//!
//! The desired object carries a hash of itself in an annotation. A change of the desired object (also by leaving a
//! field out) changes the hash; a value that another writer changed differs in the comparison; a field that
//! another writer added belongs to that writer. Server-side apply would find the same, at the price of a request.

use poker_operator_api::Quantity;
use serde_json::{Map, Value};

/// Fields by which the API server identifies the entries of a list.
const LIST_KEYS: [&str; 5] = ["name", "containerPort", "port", "mountPath", "type"];

/// Every value in `desired` is in `live`. Entries that others added are ignored, except in plain lists.
pub fn is_up_to_date(live: &Value, desired: &Value) -> bool {
    match (live, desired) {
        (Value::Object(live), Value::Object(desired)) => desired.iter().all(|(key, value)| {
            live.get(key)
                .map_or(is_empty(value), |live| is_up_to_date(live, value))
        }),
        (Value::Array(live), Value::Array(desired)) => is_list_up_to_date(live, desired),
        (Value::Number(live), Value::Number(desired)) => live.as_f64() == desired.as_f64(),
        (live, desired) => live == desired || same_quantity(live, desired),
    }
}

fn is_list_up_to_date(live: &[Value], desired: &[Value]) -> bool {
    if live.len() == desired.len()
        && live
            .iter()
            .zip(desired)
            .all(|(live, desired)| is_up_to_date(live, desired))
    {
        return true;
    }
    let keyed = |entry: &Value| entry.as_object().and_then(list_key).is_some();
    live.len() > desired.len()
        && !desired.is_empty()
        && desired.iter().all(keyed)
        && desired.iter().all(|desired| {
            live.iter()
                .any(|live| same_key(live, desired) && is_up_to_date(live, desired))
        })
}

fn list_key(entry: &Map<String, Value>) -> Option<(&'static str, &Value)> {
    LIST_KEYS
        .iter()
        .find_map(|key| entry.get(*key).map(|value| (*key, value)))
}

fn same_key(live: &Value, desired: &Value) -> bool {
    let (Some(live), Some(desired)) = (live.as_object(), desired.as_object()) else {
        return false;
    };
    list_key(desired).is_some_and(|(key, value)| live.get(key) == Some(value))
}

/// The API server drops empty values.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().all(is_empty),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// The API server writes `1000m` as `1`, `0.5` as `500m` and `100000u` as `100m`.
fn same_quantity(live: &Value, desired: &Value) -> bool {
    let milli = |value: &Value| Quantity::from(value.as_str()?).milli();
    milli(live).is_some_and(|live| Some(live) == milli(desired))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_desired_values_are_compared() {
        let table = [
            ("equal", json!({"a": 1}), json!({"a": 1}), true),
            (
                "defaults were added",
                json!({"a": 1, "b": 2}),
                json!({"a": 1}),
                true,
            ),
            ("value was changed", json!({"a": 2}), json!({"a": 1}), false),
            ("value was removed", json!({}), json!({"a": 1}), false),
            (
                "empty values are left out",
                json!({}),
                json!({"a": {}, "b": [], "c": null, "d": {"e": {}}}),
                true,
            ),
            ("zero is not empty", json!({}), json!({"a": 0}), false),
            (
                "cpu is written otherwise",
                json!({"cpu": "1"}),
                json!({"cpu": "1000m"}),
                true,
            ),
            (
                "cpu as a fraction",
                json!({"cpu": "500m"}),
                json!({"cpu": "0.5"}),
                true,
            ),
            (
                "cpu in millionths",
                json!({"cpu": "100m"}),
                json!({"cpu": "100000u"}),
                true,
            ),
            (
                "memory with an exponent",
                json!({"m": "1G"}),
                json!({"m": "1e9"}),
                true,
            ),
            (
                "memory is written otherwise",
                json!({"m": "1Gi"}),
                json!({"m": "1024Mi"}),
                true,
            ),
            ("memory differs", json!({"m": "1Gi"}), json!({"m": "1G"}), false),
            ("text is no quantity", json!({"m": "b"}), json!({"m": "a"}), false),
            (
                "list entry with defaults",
                json!([{"name": "a", "x": 1}]),
                json!([{"name": "a"}]),
                true,
            ),
            (
                "entry of another",
                json!([{"name": "b"}, {"name": "a"}]),
                json!([{"name": "a"}]),
                true,
            ),
            (
                "entry removed",
                json!([{"name": "b"}]),
                json!([{"name": "a"}]),
                false,
            ),
            ("plain list grew", json!(["a", "b"]), json!(["a"]), false),
            ("list emptied of ours", json!(["a"]), json!([]), false),
            (
                "plain list reordered",
                json!(["b", "a"]),
                json!(["a", "b"]),
                false,
            ),
        ];
        for (name, live, desired, expected) in table {
            assert_eq!(is_up_to_date(&live, &desired), expected, "{name}");
        }
    }
}
