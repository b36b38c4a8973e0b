//! The objects that `poker-operator plan` prints for a cluster, compared with the live ones.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::World;
use crate::shell;

/// The kinds of the operator's children, as kubectl takes them.
pub const KINDS: &str = "serviceaccounts,roles,rolebindings,secrets,configmaps,services,networkpolicies,\
                     poddisruptionbudgets,controllerrevisions,statefulsets,deployments";

/// The planned objects of the cluster.
pub async fn planned(world: &World) -> Result<Vec<Value>> {
    let document = world
        .kubectl(&["get", "pokercluster", &world.name, "-o", "json"])
        .await?;
    let list = shell::feed("poker-operator", &["plan", "-f", "-", "--json"], &document).await?;
    Ok(serde_json::from_str(&list)?)
}

/// The cluster's live objects.
pub async fn live(world: &World) -> Result<Vec<Value>> {
    let label = format!(
        "app.kubernetes.io/instance={},app.kubernetes.io/managed-by=poker-operator",
        world.name
    );
    let list = world.kubectl(&["get", KINDS, "-l", &label, "-o", "json"]).await?;
    let mut list: Value = serde_json::from_str(&list)?;
    Ok(serde_json::from_value(list["items"].take())?)
}

/// `Kind/name` of an object.
pub fn identity(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"]))
}

/// The first difference between `planned` and `live`. Fields that only the live object has, such as defaults, are not
/// compared.
pub fn difference(planned: &Value, live: &Value) -> Option<String> {
    match (planned, live) {
        (Value::Object(planned), Value::Object(live)) => planned.iter().find_map(|(key, value)| {
            let found = live.get(key).unwrap_or(&Value::Null);
            difference(value, found).map(|why| format!(".{key}{why}"))
        }),
        (Value::Array(planned), Value::Array(live)) if planned.len() == live.len() => {
            let pairs = planned.iter().zip(live).enumerate();
            pairs.into_iter().find_map(|(index, (planned, live))| {
                difference(planned, live).map(|why| format!("[{index}]{why}"))
            })
        }
        (planned, live) if planned == live => None,
        (planned, live) => Some(format!(": planned {planned}, is {live}")),
    }
}

/// The object with that kind and name.
pub fn find<'a>(objects: &'a [Value], kind_and_name: &str) -> Result<&'a Value> {
    objects
        .iter()
        .find(|object| identity(object) == kind_and_name)
        .with_context(|| format!("{kind_and_name} does not exist"))
}
