//! Decoding CustomResourceDefinitions by their schema, without the generated types.
//!
//! A definition nests schemas as deep as its author likes. The generated type of one schema node
//! takes more than a kilobyte and its decoder many times that of stack, so a large or deep
//! definition from outside would cost hundreds of megabytes or the process. The tables of `crd_fields` say
//! the same as the types: which fields exist, of which type, and which are left out when zero.

use serde_json::{Map, Value};

use super::crd_fields::{DEFINITION, Field, SCHEMA, Shape};
use super::csv::whole;
use crate::manifests::json_type;

/// The only version of the API that is rendered.
pub(crate) const API_VERSION: &str = "apiextensions.k8s.io/v1";

/// Why a definition cannot be decoded.
#[derive(Debug)]
pub(crate) struct ShapeError {
    /// Path from the inside out.
    path: Vec<String>,
    want: &'static str,
    found: &'static str,
}

impl std::fmt::Display for ShapeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path: Vec<&str> = self.path.iter().rev().map(String::as_str).collect();
        write!(
            f,
            "`{}`: cannot convert {} to {}",
            path.join("."),
            self.found,
            self.want
        )
    }
}

/// Decodes a definition: declared fields only, zero values as the typed form writes them.
pub(crate) fn decode(object: Value) -> Result<Value, ShapeError> {
    structure(object, DEFINITION)
}

type Shaped = Result<Option<Value>, ShapeError>;

/// Recursion is bounded by the depth limit of the YAML reader.
fn shape(value: Value, shape: &Shape) -> Shaped {
    match (shape, value) {
        (Shape::KeptFlag, Value::Null) => Ok(Some(Value::Bool(false))),
        (_, Value::Null) => Ok(None),
        (Shape::Text, Value::String(text)) => Ok((!text.is_empty()).then_some(Value::String(text))),
        (Shape::Flag, Value::Bool(flag)) => Ok(flag.then_some(Value::Bool(true))),
        (Shape::KeptFlag | Shape::OptionalFlag | Shape::SchemaOrFlag, Value::Bool(flag)) => {
            Ok(Some(Value::Bool(flag)))
        }
        (Shape::Integer, Value::Number(number)) => {
            let number = integer(number)?;
            Ok((number != 0).then(|| number.into()))
        }
        (Shape::OptionalInteger, Value::Number(number)) => Ok(Some(integer(number)?.into())),
        (Shape::OptionalNumber, Value::Number(number)) => Ok(Some(whole(number).into())),
        (Shape::Json, value) => Ok(Some(json(value))),
        (Shape::JsonList, Value::Array(items)) => {
            Ok(non_empty(items.into_iter().map(json).collect()))
        }
        (Shape::Texts, Value::Array(items)) => Ok(non_empty(each(items, |item| match item {
            Value::Null => Ok(Value::from("")),
            Value::String(_) => Ok(item),
            other => Err(mismatch("string", &other)),
        })?)),
        (Shape::TextMap, Value::Object(members)) => map(members, |value| match value {
            Value::Null => Ok(Value::from("")),
            Value::String(_) => Ok(value),
            other => Err(mismatch("string", &other)),
        }),
        (Shape::Struct(fields), value @ Value::Object(_)) => structure(value, fields).map(Some),
        (Shape::Structs(fields), Value::Array(items)) => {
            Ok(non_empty(each(items, |item| structure(item, fields))?))
        }
        (Shape::Schemas, Value::Array(items)) => {
            Ok(non_empty(each(items, |item| structure(item, SCHEMA))?))
        }
        (Shape::SchemaMap, Value::Object(members)) => {
            map(members, |value| structure(value, SCHEMA))
        }
        (
            Shape::Schema | Shape::SchemaOrFlag | Shape::SchemaOrSchemas,
            value @ Value::Object(_),
        ) => structure(value, SCHEMA).map(Some),
        (Shape::SchemaOrSchemas, Value::Array(items)) => {
            Ok(Some(Value::Array(each(items, |item| {
                structure(item, SCHEMA)
            })?)))
        }
        (Shape::SchemaOrTexts, Value::Object(members)) => map(members, |value| match value {
            list @ Value::Array(_) => Ok(self::shape(list, &Shape::Texts)?.unwrap_or_default()),
            other => structure(other, SCHEMA),
        }),
        (shape, other) => Err(mismatch(wanted(shape), &other)),
    }
}

fn structure(value: Value, fields: &[Field]) -> Result<Value, ShapeError> {
    let mut members = match value {
        Value::Null => Map::new(),
        Value::Object(members) => members,
        other => return Err(mismatch("struct", &other)),
    };
    let mut shaped = Map::new();
    for (name, kind) in fields {
        let value = members.remove(*name).unwrap_or_default();
        if let Some(value) = shape(value, kind).map_err(|error| error.below(name))? {
            shaped.insert((*name).to_owned(), value);
        }
    }
    Ok(Value::Object(shaped))
}

fn each(
    items: Vec<Value>,
    convert: impl Fn(Value) -> Result<Value, ShapeError>,
) -> Result<Vec<Value>, ShapeError> {
    items
        .into_iter()
        .enumerate()
        .map(|(index, item)| convert(item).map_err(|error| error.below(&index.to_string())))
        .collect()
}

fn map(
    members: Map<String, Value>,
    convert: impl Fn(Value) -> Result<Value, ShapeError>,
) -> Shaped {
    let shaped = members
        .into_iter()
        .map(|(key, value)| match convert(value) {
            Ok(value) => Ok((key, value)),
            Err(error) => Err(error.below(&key)),
        })
        .collect::<Result<Map<_, _>, _>>()?;
    Ok((!shaped.is_empty()).then_some(Value::Object(shaped)))
}

fn non_empty(items: Vec<Value>) -> Option<Value> {
    (!items.is_empty()).then_some(Value::Array(items))
}

/// Free JSON: kept, with whole numbers written as such.
fn json(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(whole(number)),
        Value::Array(items) => Value::Array(items.into_iter().map(json).collect()),
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(key, value)| (key, json(value)))
                .collect(),
        ),
        other => other,
    }
}

fn integer(number: serde_json::Number) -> Result<i64, ShapeError> {
    whole(number).as_i64().ok_or(ShapeError {
        path: Vec::new(),
        want: "int64",
        found: "number",
    })
}

fn mismatch(want: &'static str, found: &Value) -> ShapeError {
    ShapeError {
        path: Vec::new(),
        want,
        found: json_type(found),
    }
}

impl ShapeError {
    fn below(mut self, segment: &str) -> Self {
        self.path.push(segment.to_owned());
        self
    }
}

fn wanted(shape: &Shape) -> &'static str {
    match shape {
        Shape::Text => "string",
        Shape::Flag | Shape::KeptFlag | Shape::OptionalFlag => "bool",
        Shape::Integer | Shape::OptionalInteger => "int64",
        Shape::OptionalNumber => "float64",
        Shape::JsonList | Shape::Texts | Shape::Structs(_) | Shape::Schemas => "slice",
        Shape::TextMap | Shape::SchemaMap | Shape::SchemaOrTexts => "map",
        Shape::Json
        | Shape::Struct(_)
        | Shape::Schema
        | Shape::SchemaOrFlag
        | Shape::SchemaOrSchemas => "struct",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    #[test]
    fn keeps_schemas_drops_undeclared_fields_and_zero_values() {
        let decoded = decode(json!({
            "apiVersion": API_VERSION, "kind": "CustomResourceDefinition",
            "metadata": {"name": "a.b", "creationTimestamp": null, "labels": {"x": null}},
            "spec": {
                "group": "b", "preserveUnknownFields": false, "undeclared": 1,
                "names": {"plural": "a", "kind": "A", "shortNames": []},
                "versions": [{
                    "name": "v1", "storage": true, "deprecated": false,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [{"name": "n", "priority": 0}],
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                        "nothing": null,
                        "properties": {"type": "object", "properties": {"type": {"type": "string"}}},
                        "n": {"minimum": 0.0, "maximum": 1.5, "nullable": false, "default": {},
                              "minLength": 0, "enum": ["", 1.0],
                              "x-kubernetes-preserve-unknown-fields": false},
                        "m": {"additionalProperties": true},
                        "k": {"additionalProperties": {"undeclared": 1}, "items": {}}
                    }}}
                }]
            },
            "status": {"conditions": []}
        }))
        .unwrap();
        assert_eq!(
            decoded,
            json!({
                "apiVersion": API_VERSION, "kind": "CustomResourceDefinition",
                "metadata": {"name": "a.b", "labels": {"x": ""}},
                "spec": {
                    "group": "b",
                    "names": {"plural": "a", "kind": "A"},
                    "versions": [{
                        "name": "v1", "storage": true, "served": false,
                        "subresources": {"status": {}},
                        "additionalPrinterColumns": [{"name": "n"}],
                        "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                            "nothing": {},
                            "properties": {
                                "type": "object", "properties": {"type": {"type": "string"}}},
                            "n": {"minimum": 0, "maximum": 1.5, "default": {},
                                  "minLength": 0, "enum": ["", 1],
                                  "x-kubernetes-preserve-unknown-fields": false},
                            "m": {"additionalProperties": true},
                            "k": {"additionalProperties": {}, "items": {}}
                        }}}
                    }]
                }
            })
        );
    }

    #[test]
    fn says_where_a_value_has_the_wrong_type() {
        let error =
            decode(json!({"spec": {"versions": [{"name": "v1"}, {"name": 2}]}})).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`spec.versions.1.name`: cannot convert number to string"
        );
    }
}
