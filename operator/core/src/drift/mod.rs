//! Drift: planned values that a live object does not have.
//!
//! The desired object carries a hash of itself in an annotation. A change of the desired object (also by leaving a
//! field out) changes the hash; a value that another writer changed differs in the comparison; a field that
//! another writer added belongs to that writer. Server-side apply would find the same, at the price of a request.

mod corrections;
mod field_managers;
mod path;

use poker_operator_api::Quantity;
use serde_json::{Map, Value};

pub use corrections::Corrections;
pub use field_managers::overridden;
pub use path::{Path, Step};

/// Fields by which the API server identifies the entries of a list.
const LIST_KEYS: [&str; 5] = ["name", "containerPort", "port", "mountPath", "type"];

/// A planned value that a live object does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference<'a> {
    pub path: Path<'a>,
    pub desired: &'a Value,
    /// `None` if the field does not exist.
    pub live: Option<&'a Value>,
}

/// Whether every value in `desired` is in `live`. Entries that others added are ignored, except in plain lists.
pub fn is_up_to_date(live: &Value, desired: &Value) -> bool {
    differences(live, desired).is_empty()
}

/// The values in `desired` that are not in `live`.
pub fn differences<'a>(live: &'a Value, desired: &'a Value) -> Vec<Difference<'a>> {
    let mut comparison = Comparison::default();
    comparison.value(live, desired);
    comparison.found
}

#[derive(Default)]
struct Comparison<'a> {
    path: Path<'a>,
    found: Vec<Difference<'a>>,
}

impl<'a> Comparison<'a> {
    fn value(&mut self, live: &'a Value, desired: &'a Value) {
        match (live, desired) {
            (Value::Object(live), Value::Object(desired)) => {
                for (name, value) in desired {
                    match live.get(name) {
                        None if is_empty(value) => {}
                        live => self.step(Step::Field(name), live, value),
                    }
                }
            }
            (Value::Array(entries), Value::Array(desired_entries)) => {
                if !self.list(entries, desired_entries) {
                    self.differ(Some(live), desired);
                }
            }
            (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
            _ if live == desired || same_quantity(live, desired) => {}
            _ => self.differ(Some(live), desired),
        }
    }

    /// Compares entry by entry. Returns false if the lists differ as a whole: in their length or order.
    fn list(&mut self, live: &'a [Value], desired: &'a [Value]) -> bool {
        let mut pairs = live.iter().zip(desired);
        if live.len() == desired.len() && pairs.all(|(live, desired)| is_up_to_date(live, desired)) {
            return true;
        }
        let keys: Option<Vec<_>> = desired.iter().map(|entry| list_key(entry.as_object()?)).collect();
        let Some(keys) = keys.filter(|keys| !keys.is_empty()) else {
            return false;
        };
        let before = self.found.len();
        for ((key, value), entry) in keys.into_iter().zip(desired) {
            let mut same_key = live.iter().filter(|live| live.get(key) == Some(value));
            if !same_key.clone().any(|live| is_up_to_date(live, entry)) {
                self.step(Step::Entry(key, value), same_key.next(), entry);
            }
        }
        self.found.len() > before || live.len() > desired.len()
    }

    fn step(&mut self, step: Step<'a>, live: Option<&'a Value>, desired: &'a Value) {
        self.path.0.push(step);
        match live {
            Some(live) => self.value(live, desired),
            None => self.differ(None, desired),
        }
        self.path.0.pop();
    }

    fn differ(&mut self, live: Option<&'a Value>, desired: &'a Value) {
        self.found.push(Difference {
            path: self.path.clone(),
            desired,
            live,
        });
    }
}

fn list_key(entry: &Map<String, Value>) -> Option<(&'static str, &Value)> {
    LIST_KEYS
        .iter()
        .find_map(|key| entry.get(*key).map(|value| (*key, value)))
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
mod tests;
