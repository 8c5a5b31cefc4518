//! CustomResourceDefinitions of `apiextensions.k8s.io/v1beta1`, which clusters no longer serve, as
//! definitions of `v1`.
//!
//! The older version has fields in other places, keeps unknown fields of custom resources unless
//! told otherwise, and takes schemas that the newer one refuses because they are not structural.
//! A definition is converted only where it means the same afterwards: the same custom resources
//! are valid, and the same fields of them are kept.

use serde_json::{Map, Value, json};

use super::crd::API_VERSION;
use super::crd_structural::Structure;

/// The version that is converted.
pub(crate) const OLD_API_VERSION: &str = "apiextensions.k8s.io/v1beta1";

/// What cannot be said in `v1`, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` {problem}")]
pub(crate) struct LossError {
    path: String,
    problem: String,
}

impl LossError {
    pub(super) fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            problem: problem.into(),
        }
    }
}

/// Fields that stand in the definition or in each of its versions, and where.
const SHARED: &[(&str, &str)] = &[
    ("validation", "schema"),
    ("subresources", "subresources"),
    ("additionalPrinterColumns", "additionalPrinterColumns"),
];

/// Converts a definition. What is not of the type that it should be is left to the decoder.
pub(crate) fn convert(object: &Value) -> Result<Value, LossError> {
    let empty = Map::new();
    let spec = object
        .get("spec")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    // Unknown fields are kept unless it is said that they are not.
    let preserve = get(spec, "preserveUnknownFields") != Some(&Value::Bool(false));
    let mut versions = versions(spec)?;
    for version in versions.iter_mut().filter_map(Value::as_object_mut) {
        convert_version(spec, version, preserve)?;
    }
    let mut converted = spec.clone();
    for field in ["version", "preserveUnknownFields"] {
        converted.remove(field);
    }
    for (field, _) in SHARED {
        converted.remove(*field);
    }
    converted.insert("versions".to_owned(), Value::Array(versions));
    if get(spec, "scope").is_none_or(|scope| scope == "") {
        converted.insert("scope".to_owned(), Value::from("Namespaced"));
    }
    if let Some(conversion) = get(spec, "conversion") {
        converted.insert("conversion".to_owned(), convert_conversion(conversion));
    }
    let mut object = object.clone();
    object["apiVersion"] = Value::from(API_VERSION);
    object["spec"] = Value::Object(converted);
    Ok(object)
}

/// The member, unless it is absent or null.
pub(super) fn get<'a>(members: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    members.get(key).filter(|value| !value.is_null())
}

fn versions(spec: &Map<String, Value>) -> Result<Vec<Value>, LossError> {
    let single = get(spec, "version")
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty());
    let listed = get(spec, "versions")
        .and_then(Value::as_array)
        .filter(|versions| !versions.is_empty());
    match (single, listed) {
        (None, None) => Err(LossError::new("spec.versions", "is empty")),
        (Some(name), None) => Ok(vec![json!({"name": name, "served": true, "storage": true})]),
        (Some(name), Some(versions)) if versions[0]["name"] != name => Err(LossError::new(
            "spec.version",
            "is not the first of `spec.versions`",
        )),
        (_, Some(versions)) => Ok(versions.clone()),
    }
}

fn convert_version(
    spec: &Map<String, Value>,
    version: &mut Map<String, Value>,
    preserve: bool,
) -> Result<(), LossError> {
    for (above, below) in SHARED {
        if let Some(shared) = get(spec, above) {
            if get(version, below).is_some() {
                return Err(LossError::new(
                    format!("spec.{above}"),
                    "is given besides that of a version",
                ));
            }
            version.insert((*below).to_owned(), shared.clone());
        }
    }
    let name = version.get("name").and_then(Value::as_str).unwrap_or("");
    let path = format!("spec.versions[{name}].schema.openAPIV3Schema");
    let schema = get(version, "schema")
        .and_then(|schema| schema.get("openAPIV3Schema"))
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let schema = Structure { preserve }.root(schema, &path)?;
    version.insert("schema".to_owned(), json!({"openAPIV3Schema": schema}));
    let columns = version
        .get_mut("additionalPrinterColumns")
        .and_then(Value::as_array_mut);
    for column in columns.into_iter().flatten() {
        if let Some(column) = column.as_object_mut()
            && let Some(path) = column.remove("JSONPath")
        {
            column.insert("jsonPath".to_owned(), path);
        }
    }
    Ok(())
}

fn convert_conversion(conversion: &Value) -> Value {
    let member = |key: &str| conversion.get(key).filter(|value| !value.is_null());
    let strategy = member("strategy").and_then(Value::as_str).unwrap_or("None");
    if strategy != "Webhook" {
        return json!({"strategy": strategy});
    }
    let mut webhook = json!({
        "conversionReviewVersions": member("conversionReviewVersions")
            .cloned()
            .unwrap_or_else(|| json!(["v1beta1"])),
    });
    if let Some(client) = member("webhookClientConfig") {
        webhook["clientConfig"] = client.clone();
    }
    json!({"strategy": strategy, "webhook": webhook})
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use rstest::rstest;

    use super::*;

    fn definition(spec: &Value) -> Value {
        json!({"apiVersion": OLD_API_VERSION, "kind": "CustomResourceDefinition",
               "metadata": {"name": "a.b"}, "spec": spec})
    }

    #[test]
    fn fields_move_to_the_versions() {
        let old = definition(&json!({
            "group": "b", "version": "v1", "names": {"plural": "a", "kind": "A"},
            "preserveUnknownFields": false,
            "validation": {"openAPIV3Schema": {"type": "object"}},
            "subresources": {"status": {}},
            "additionalPrinterColumns": [{"name": "n", "type": "string", "JSONPath": ".x"}],
            "versions": [{"name": "v1", "served": true, "storage": true},
                         {"name": "v2", "served": true, "storage": false}],
            "conversion": {"strategy": "Webhook", "webhookClientConfig": {"url": "https://x"}}}));
        let version = |name: &str, storage: bool| {
            json!({"name": name, "served": true, "storage": storage,
                   "schema": {"openAPIV3Schema": {"type": "object"}},
                   "subresources": {"status": {}},
                   "additionalPrinterColumns":
                       [{"name": "n", "type": "string", "jsonPath": ".x"}]})
        };
        assert_eq!(
            convert(&old).unwrap(),
            json!({"apiVersion": API_VERSION, "kind": "CustomResourceDefinition",
                   "metadata": {"name": "a.b"},
                   "spec": {"group": "b", "names": {"plural": "a", "kind": "A"},
                            "scope": "Namespaced",
                            "versions": [version("v1", true), version("v2", false)],
                            "conversion": {"strategy": "Webhook", "webhook": {
                                "clientConfig": {"url": "https://x"},
                                "conversionReviewVersions": ["v1beta1"]}}}})
        );
    }

    #[test]
    fn a_definition_without_a_schema_takes_everything() {
        let old = definition(&json!({"version": "v1", "scope": "Cluster"}));
        assert_eq!(
            convert(&old).unwrap()["spec"],
            json!({"scope": "Cluster", "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]})
        );
    }

    #[rstest]
    #[case(json!({}), "`spec.versions` is empty")]
    #[case(json!({"version": "v2", "versions": [{"name": "v1"}]}),
        "`spec.version` is not the first of `spec.versions`")]
    #[case(json!({"versions": [{"name": "v1", "subresources": {}}], "subresources": {}}),
        "`spec.subresources` is given besides that of a version")]
    fn a_definition_that_contradicts_itself_is_not_converted(
        #[case] spec: Value,
        #[case] reason: &str,
    ) {
        assert_eq!(convert(&definition(&spec)).unwrap_err().to_string(), reason);
    }
}
