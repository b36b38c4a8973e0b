//! Validates a value against a structural schema: types, bounds, patterns, required and unknown fields.

use super::FieldError;
use poker_operator_api::quantity;
use regex::Regex;
use serde_json::{Map, Value};
use std::collections::HashSet;

pub const ANY_FIELD: &str = "x-kubernetes-preserve-unknown-fields";

/// Drops nulls that the schema does not allow: the server treats them as absent fields.
pub fn drop_nulls(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, field| {
                let may_be_null = |of: &Value| of["nullable"] == true;
                !field.is_null() || child(schema, name).is_none_or(may_be_null)
            });
            for (name, field) in fields {
                if let Some(schema) = child(schema, name) {
                    drop_nulls(schema, field);
                }
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| drop_nulls(&schema["items"], item)),
        _ => {}
    }
}

/// Drops all nulls: for rules, nullable fields that are null are absent too.
pub fn drop_all_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_all_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_all_nulls),
        _ => {}
    }
}

/// The schema of a field, or of the values of a map.
fn child<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    let named = schema["properties"].get(name);
    named.or_else(|| schema.get("additionalProperties").filter(|of| of.is_object()))
}

/// All errors, in document order.
pub fn check(schema: &Value, value: &Value) -> Vec<FieldError> {
    let mut check = Check::default();
    check.value(schema, value, "");
    check.errors
}

#[derive(Default)]
struct Check {
    errors: Vec<FieldError>,
}

impl Check {
    fn add(&mut self, path: &str, message: impl Into<String>) {
        self.errors.push(FieldError {
            path: path.to_owned(),
            message: message.into(),
        });
    }

    fn value(&mut self, schema: &Value, value: &Value, path: &str) {
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        if let Some(expected) = expected_type(schema, value) {
            return self.add(path, format!("must be {expected}, is {value}"));
        }
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            let allowed: Vec<_> = allowed.iter().map(plain).collect();
            return self.add(path, format!("must be one of {}, is {value}", allowed.join(", ")));
        }
        match value {
            Value::Object(fields) => self.object(schema, fields, path),
            Value::Array(items) => self.array(schema, items, path),
            Value::String(text) => self.text(schema, text, path),
            Value::Number(number) => {
                let number = number.as_f64().unwrap_or(f64::NAN);
                let below = schema["minimum"].as_f64().filter(|minimum| number < *minimum);
                let above = schema["maximum"].as_f64().filter(|maximum| number > *maximum);
                if let Some(minimum) = below {
                    self.add(path, format!("must be at least {minimum}, is {value}"));
                }
                if let Some(maximum) = above {
                    self.add(path, format!("must be at most {maximum}, is {value}"));
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn object(&mut self, schema: &Value, fields: &Map<String, Value>, path: &str) {
        self.size(schema, "Properties", fields.len(), "entries", path);
        for required in schema["required"].as_array().into_iter().flatten().map(plain) {
            if !fields.contains_key(&required) {
                self.add(&under(path, &required), "is required");
            }
        }
        for (name, field) in fields {
            match child(schema, name) {
                Some(of) => self.value(of, field, &under(path, name)),
                None if schema[ANY_FIELD] == true => {}
                None => {
                    let known = schema["properties"].as_object().into_iter().flat_map(Map::keys);
                    let known: Vec<_> = known.map(String::as_str).collect();
                    self.add(
                        &under(path, name),
                        format!("unknown field: the fields are {}", known.join(", ")),
                    );
                }
            }
        }
    }

    fn array(&mut self, schema: &Value, items: &[Value], path: &str) {
        self.size(schema, "Items", items.len(), "items", path);
        let keys: Vec<_> = match schema["x-kubernetes-list-map-keys"].as_array() {
            Some(keys) => keys.iter().map(plain).collect(),
            None => Vec::new(),
        };
        let is_set = schema["x-kubernetes-list-type"] == "set";
        let mut seen = HashSet::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let of: Vec<_> = keys.iter().map(|key| item[key].to_string()).collect();
            if is_set && !seen.insert(item.to_string()) || !keys.is_empty() && !seen.insert(of.join(" ")) {
                self.add(&path, "is a duplicate");
            }
            self.value(&schema["items"], item, &path);
        }
    }

    fn text(&mut self, schema: &Value, text: &str, path: &str) {
        self.size(schema, "Length", text.chars().count(), "characters", path);
        let Some(pattern) = schema["pattern"].as_str() else {
            return;
        };
        match Regex::new(pattern) {
            Ok(regex) if regex.is_match(text) => {}
            Ok(_) => {
                let is_quantity = pattern == quantity::PATTERN;
                let example = if is_quantity {
                    " (for example 500m, 2 or 1Gi)"
                } else {
                    ""
                };
                self.add(path, format!("must match {pattern}{example}, is {text:?}"));
            }
            Err(_) => self.add(path, format!("cannot be checked here: {pattern}")),
        }
    }

    /// `minLength`, `maxItems` and the like.
    fn size(&mut self, schema: &Value, of: &str, size: usize, what: &str, path: &str) {
        let bound = |side: &str| schema[format!("{side}{of}")].as_u64();
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        if let Some(least) = bound("min").filter(|least| size < *least) {
            self.add(path, format!("must have at least {least} {what}, has {size}"));
        }
        if let Some(most) = bound("max").filter(|most| size > *most) {
            self.add(path, format!("must have at most {most} {what}, has {size}"));
        }
    }
}

/// The expected type, if the value has another one.
fn expected_type(schema: &Value, value: &Value) -> Option<&'static str> {
    let is_whole = || value.as_f64().is_some_and(|number| number.fract() == 0.0);
    if schema["x-kubernetes-int-or-string"] == true {
        return (!value.is_string() && !is_whole()).then_some("a string or an integer");
    }
    let (is, expected) = match schema["type"].as_str()? {
        "object" => (value.is_object(), "an object"),
        "array" => (value.is_array(), "a list"),
        "string" => (value.is_string(), "a string: quote it"),
        "integer" => (is_whole(), "an integer"),
        "number" => (value.is_number(), "a number"),
        "boolean" => (value.is_boolean(), "true or false"),
        _ => return None,
    };
    (!is).then_some(expected)
}

fn under(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
