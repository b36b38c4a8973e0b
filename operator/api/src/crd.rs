//! The CustomResourceDefinition as committed in `crds/`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::cluster::PokerCluster;

/// Why the CustomResourceDefinition could not be written.
#[derive(Debug, thiserror::Error)]
pub enum CrdError {
    #[error("cannot serialize the CustomResourceDefinition as YAML")]
    Yaml(#[from] serde_saphyr::ser::Error),
}

/// The CustomResourceDefinition of `PokerCluster`.
pub fn crd() -> CustomResourceDefinition {
    PokerCluster::crd()
}

/// The CustomResourceDefinition as YAML, exactly as in `crds/pokerclusters.yaml`.
///
/// # Errors
/// If it cannot be serialized.
pub fn crd_yaml() -> Result<String, CrdError> {
    Ok(serde_saphyr::to_string(&crd())?)
}

#[cfg(test)]
mod reference;

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "../../crds/pokerclusters.yaml";

    #[test]
    #[allow(clippy::disallowed_methods)] // reads and writes the committed file
    fn committed_definition_is_up_to_date() {
        let yaml = crd_yaml().unwrap();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(PATH, &yaml).unwrap();
        }
        let committed = std::fs::read_to_string(PATH).unwrap_or_default();
        assert!(
            committed == yaml,
            "crds/pokerclusters.yaml is out of date: run make gen"
        );
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // reads and writes the committed file
    fn committed_reference_is_up_to_date() {
        const REFERENCE: &str = "../../docs/api.md";
        let text = reference::markdown(&serde_json::to_value(crd()).unwrap());
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(REFERENCE, &text).unwrap();
        }
        let committed = std::fs::read_to_string(REFERENCE).unwrap_or_default();
        assert!(committed == text, "docs/api.md is out of date: run make gen");
    }

    #[test]
    fn every_field_is_described() {
        let definition = serde_json::to_value(crd()).unwrap();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        assert_eq!(undescribed(schema, "PokerCluster"), Vec::<String>::new());
    }

    /// Paths of the properties without a description, at any depth.
    fn undescribed(schema: &serde_json::Value, path: &str) -> Vec<String> {
        let properties = schema["properties"].as_object().into_iter().flatten();
        let fields = properties.flat_map(|(name, field)| {
            let path = format!("{path}.{name}");
            let is_described = field["description"].is_string();
            let mut found = undescribed(field, &path);
            found.extend((!is_described).then_some(path));
            found
        });
        let elements = ["items", "additionalProperties"].iter();
        let nested = elements
            .filter_map(|element| schema.get(element))
            .flat_map(|element| undescribed(element, &format!("{path}[]")));
        fields.chain(nested).collect()
    }
}
