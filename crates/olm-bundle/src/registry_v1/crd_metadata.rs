//! What older definitions say of the metadata of their custom resources.
//!
//! A definition of `v1` may restrict the name only. Old generators copied the schema of the
//! metadata into each definition: that says what the server sees to anyway, and can be left out.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::crd_v1beta1::LossError;

/// Fields of a schema that say nothing about values.
const REMARKS: &[&str] = &[
    "description",
    "example",
    "externalDocs",
    "format",
    "id",
    "title",
];
/// Where a schema refers to a definition.
const DEFINITIONS: &str = "#/$defs/";

/// The schema of metadata as a definition may have it: restrictions of names stay, and what is true
/// of all metadata goes.
pub(super) fn reduce(metadata: Value, path: &str) -> Result<Value, LossError> {
    let Value::Object(mut schema) = metadata else {
        return Ok(json!({"type": "object"}));
    };
    let mut names = Map::new();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for name in ["generateName", "name"] {
            let restricted = properties.remove(name);
            if let Some(restricted) = restricted.filter(|schema| !is_plain_text(schema)) {
                names.insert(name.to_owned(), restricted);
            }
        }
    }
    let mut generator = SchemaGenerator::default();
    let known = generator.subschema_for::<ObjectMeta>().to_value();
    let known = Known {
        definitions: generator.take_definitions(true),
    }
    .excess(&Value::Object(schema), &known, path);
    if let Some(path) = known {
        return Err(LossError::new(
            path,
            "restricts metadata by more than names",
        ));
    }
    let mut reduced = json!({"type": "object"});
    if !names.is_empty() {
        reduced["properties"] = Value::Object(names);
    }
    Ok(reduced)
}

fn is_plain_text(schema: &Value) -> bool {
    schema.as_object().is_some_and(|schema| {
        schema.iter().all(|(key, value)| {
            REMARKS.contains(&key.as_str()) || (key == "type" && value == "string")
        })
    })
}

/// The schemas that metadata is known to fit.
struct Known {
    definitions: Map<String, Value>,
}

impl Known {
    /// Where `schema` says more than `known`; none where it does not. Recursion is bounded by the
    /// depth of `schema`, which its reader has bounded.
    fn excess(&self, schema: &Value, known: &Value, path: &str) -> Option<String> {
        let known = known
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|target| self.definitions.get(target.strip_prefix(DEFINITIONS)?))
            .unwrap_or(known);
        let Value::Object(schema) = schema else {
            return None;
        };
        schema.iter().find_map(|(key, value)| {
            let here = || format!("{path}.{key}");
            let fits = match key.as_str() {
                _ if value.is_null() || REMARKS.contains(&key.as_str()) => true,
                "type" => known.get("type") == Some(value),
                "required" => value.as_array().is_some_and(|fields| {
                    let always = known.get("required").and_then(Value::as_array);
                    fields
                        .iter()
                        .all(|field| always.is_some_and(|always| always.contains(field)))
                }),
                "properties" => {
                    let fields = value.as_object()?;
                    if known.get("properties").is_none() && !fields.is_empty() {
                        return Some(here());
                    }
                    return fields.iter().find_map(|(name, schema)| {
                        // What is not known there can never be there.
                        let known = known.get("properties")?.get(name)?;
                        self.excess(schema, known, &format!("{path}.properties.{name}"))
                    });
                }
                "items" | "additionalProperties" => match known.get(key) {
                    Some(known) => return self.excess(value, known, &here()),
                    None => false,
                },
                _ => false,
            };
            (!fits).then(here)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing(json!({"description": "d"}), json!({"type": "object"}))]
    #[case::a_name(
        json!({"properties": {"name": {"type": "string", "maxLength": 9},
                              "generateName": {"type": "string"}}}),
        json!({"type": "object", "properties": {"name": {"type": "string", "maxLength": 9}}})
    )]
    #[case::what_is_always_true(
        json!({"type": "object", "properties": {
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "creationTimestamp": {"type": "string", "format": "date-time"},
            "finalizers": {"type": "array", "items": {"type": "string"}},
            "generation": {"type": "integer", "format": "int64"},
            "initializers": {"required": ["pending"], "properties": {"pending": {"type": "array"}}},
            "ownerReferences": {"type": "array", "items": {"required": ["kind", "uid"],
                "properties": {"kind": {"type": "string"}}}}}}),
        json!({"type": "object"})
    )]
    fn what_is_true_of_all_metadata_is_left_out(#[case] old: Value, #[case] new: Value) {
        assert_eq!(reduce(old, "m").unwrap(), new);
    }

    #[rstest]
    #[case(json!({"required": ["labels"]}), "`m.required`")]
    #[case(json!({"properties": {"labels": {"properties": {"a": {"pattern": "x"}}}}}),
        "`m.properties.labels.properties`")]
    #[case(json!({"properties": {"labels": {"required": ["a"]}}}),
        "`m.properties.labels.required`")]
    #[case(json!({"properties": {"namespace": {"pattern": "x"}}}),
        "`m.properties.namespace.pattern`")]
    #[case(json!({"properties": {"uid": {"type": "integer"}}}), "`m.properties.uid.type`")]
    fn what_says_more_is_refused(#[case] old: Value, #[case] place: &str) {
        let expected = format!("{place} restricts metadata by more than names");
        assert_eq!(reduce(old, "m").unwrap_err().to_string(), expected);
    }
}
