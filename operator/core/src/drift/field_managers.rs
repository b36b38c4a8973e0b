//! Which field manager changed a field, as far as `managedFields` tells.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use poker_operator_api::names::managers;
use serde_json::Value;

use super::{Difference, Step};
use crate::limits::OVERRIDDEN_VALUE_CHARS_MAX;

const OURS: [&str; 3] = [managers::WORKLOADS, managers::SCALE, managers::ROUTES];

/// Describes the differences of one object: the first with its values and field managers, and the number of the others.
/// `None` if there are none.
pub fn overridden(
    kind: &str,
    name: &str,
    differences: &[Difference<'_>],
    managed_fields: &[ManagedFieldsEntry],
) -> Option<String> {
    let Difference { path, desired, live } = differences.first()?;
    let desired = text(desired);
    let values = match live {
        Some(live) => format!("is {} instead of {desired}", text(live)),
        None => format!("is missing instead of {desired}"),
    };
    let managers = field_managers(managed_fields, &path.0);
    let by = match managers.is_empty() {
        true => String::new(),
        false => format!(" (field manager {})", managers.join(", ")),
    };
    let others = match differences.len() - 1 {
        0 => String::new(),
        others => format!(", and {others} more fields differ"),
    };
    Some(format!("{kind} {name}: {path} {values}{by}{others}"))
}

fn text(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    match text.char_indices().nth(OVERRIDDEN_VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The field managers that own this field, without the operator's own.
fn field_managers<'a>(managed_fields: &'a [ManagedFieldsEntry], path: &[Step<'_>]) -> Vec<&'a str> {
    let owners = managed_fields.iter().filter_map(|entry| {
        let fields = &entry.fields_v1.as_ref()?.0;
        let manager = entry.manager.as_deref()?;
        (!OURS.contains(&manager) && owns(fields, path)).then_some(manager)
    });
    owners.collect()
}

/// Whether a set of fields, as in `FieldsV1`, contains the path or a parent that is owned as a whole.
fn owns(fields: &Value, path: &[Step<'_>]) -> bool {
    let (Some((step, rest)), Some(children)) = (path.split_first(), fields.as_object()) else {
        return true;
    };
    if children.is_empty() {
        return true;
    }
    match step {
        Step::Field(name) => children
            .get(&format!("f:{name}"))
            .is_some_and(|child| owns(child, rest)),
        Step::Entry(key, value) => children
            .iter()
            .any(|(entry, child)| is_entry(entry, key, value) && owns(child, rest)),
    }
}

/// Whether the key of a list entry, such as `k:{"name":"shard"}`, has this value.
fn is_entry(entry: &str, key: &str, value: &Value) -> bool {
    let keys = entry.strip_prefix("k:").map(serde_json::from_str::<Value>);
    keys.and_then(Result::ok)
        .is_some_and(|keys| keys.get(key) == Some(value))
}
