//! Renders the schema of the resource definition as the tables of `docs/api.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

const INTRODUCTION: &str = "\
# API reference

`PokerCluster`, `planningpoker.dev/v1alpha1`, namespaced, short name `poker`. Generated from
[crds/pokerclusters.yaml](../crds/pokerclusters.yaml) by `make gen`; do not edit.

Fields marked *required* must be set when the object that holds them is set. A quantity is a number with a suffix,
as in `500m` or `256Mi`. A type that several fields share is described once and linked from the others.
";

/// The reference as Markdown.
pub fn markdown(definition: &Value) -> String {
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut reference = Reference::default();
    for part in ["spec", "status"] {
        reference.collect(part, &schema["properties"][part]);
    }
    let sections = reference
        .sections
        .iter()
        .map(|(path, schema)| reference.section(path, schema));
    INTRODUCTION.to_owned() + &sections.collect::<String>()
}

#[derive(Default)]
struct Reference<'a> {
    sections: Vec<(String, &'a Value)>,
    /// The section that describes a type, by the fields of the type.
    described: BTreeMap<String, String>,
}

impl<'a> Reference<'a> {
    /// Finds the objects below `schema`, each type once.
    fn collect(&mut self, path: &str, schema: &'a Value) {
        let Some(fields) = schema["properties"].as_object() else {
            return;
        };
        if self.described.contains_key(&identity(schema)) {
            return;
        }
        self.described.insert(identity(schema), path.to_owned());
        self.sections.push((path.to_owned(), schema));
        for (name, field) in fields {
            let (path, of) = element(&format!("{path}.{name}"), field);
            self.collect(&path, of);
        }
    }

    fn section(&self, path: &str, schema: &Value) -> String {
        let mut text = format!("\n## {path}\n\n{}\n\n", sentence(schema));
        text.push_str("| field | type | default | bounds | description |\n| --- | --- | --- | --- | --- |\n");
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let mut required = schema["required"].as_array().into_iter().flatten();
            let marked = if required.any(|required| required == name) {
                ", *required*"
            } else {
                ""
            };
            let _ = writeln!(
                text,
                "| `{name}` | {}{marked} | {} | {} | {} |",
                self.kind(&format!("{path}.{name}"), field),
                default(field),
                bounds(field).join("; "),
                sentence(field)
            );
        }
        for rule in schema["x-kubernetes-validations"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let _ = write!(
                text,
                "\nRule: {}.\n",
                rule["message"].as_str().unwrap_or_default()
            );
        }
        text
    }

    /// The type of a field, with a link to the section that describes an object.
    fn kind(&self, path: &str, field: &Value) -> String {
        let (path, of) = element(path, field);
        if of["properties"].is_object() {
            let path = self.described.get(&identity(of)).unwrap_or(&path);
            let anchor = path.to_lowercase().replace(['.', '[', ']'], "");
            let link = format!("[object](#{anchor})");
            return if of == field {
                link
            } else {
                format!("list of {link}")
            };
        }
        let name = if of["x-kubernetes-int-or-string"] == true {
            "quantity"
        } else {
            of["format"]
                .as_str()
                .filter(|format| *format == "date-time")
                .or(of["type"].as_str())
                .unwrap_or("any")
        };
        if of == field {
            name.to_owned()
        } else if field["items"].is_object() {
            format!("list of {name}")
        } else {
            format!("map of {name}")
        }
    }
}

/// The elements of a list or map, else the field itself.
fn element<'a>(path: &str, field: &'a Value) -> (String, &'a Value) {
    let nested = ["items", "additionalProperties"];
    match nested.into_iter().find(|key| field[*key].is_object()) {
        Some(key) => (format!("{path}[]"), &field[key]),
        None => (path.to_owned(), field),
    }
}

/// Equal for two schemas with the same fields and rules.
fn identity(schema: &Value) -> String {
    format!(
        "{} {} {}",
        schema["properties"], schema["required"], schema["x-kubernetes-validations"]
    )
}

/// The defaults of an object's fields stand at those fields.
fn default(field: &Value) -> String {
    match &field["default"] {
        Value::Null => String::new(),
        _ if field["properties"].is_object() => String::new(),
        value => format!("`{value}`"),
    }
}

fn bounds(field: &Value) -> Vec<String> {
    let range = |low: &str, high: &str, unit: &str| {
        let number = |key: &str| field[key].as_f64();
        match (number(low), number(high)) {
            (Some(low), Some(high)) => Some(format!("{low} to {high}{unit}")),
            (Some(low), None) => Some(format!("at least {low}{unit}")),
            (None, Some(high)) => Some(format!("at most {high}{unit}")),
            (None, None) => None,
        }
    };
    let values = field["enum"].as_array().map(|values| {
        let names = values.iter().filter_map(Value::as_str);
        names
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ")
    });
    let quantity = field["x-kubernetes-int-or-string"] == true;
    let pattern = field["pattern"].as_str().filter(|_| !quantity);
    let all = [
        range("minimum", "maximum", ""),
        range("minLength", "maxLength", " characters"),
        range("minItems", "maxItems", " items"),
        range("minProperties", "maxProperties", " entries"),
        values,
        pattern.map(|pattern| format!("`{}`", pattern.replace('|', "\\|"))),
    ];
    all.into_iter().flatten().collect()
}

fn sentence(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}
