//! Schemas of the older definitions as structural schemas, which the newer ones must have.
//!
//! A structural schema says of every node which type it has, says it outside of `allOf`, `anyOf`,
//! `oneOf` and `not`, and has none of the constructs with which that could not be known. Where an
//! older definition keeps unknown fields, each node that could hold some is marked so: the mark of
//! a node does not reach what its properties declare.

use serde_json::{Map, Value, json};

use super::crd_metadata;
use super::crd_v1beta1::{LossError, get};

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";
/// Constructs that no structural schema may have and that mean something.
const FORBIDDEN: &[&str] = &[
    "$ref",
    "additionalItems",
    "definitions",
    "dependencies",
    "patternProperties",
];
/// Fields that say nothing about values.
const REMARKS: &[&str] = &[
    "$schema",
    "description",
    "example",
    "externalDocs",
    "id",
    "title",
];
/// Where schemas are combined by lists.
const JUNCTORS: &[&str] = &["allOf", "anyOf", "oneOf"];
/// What a combined schema must leave to the node itself.
const OUTSIDE: &[&str] = &["additionalProperties", "default", "nullable"];

type Node = Map<String, Value>;

/// How the schemas of one definition are made structural.
#[derive(Debug, Clone, Copy)]
pub(super) struct Structure {
    /// Whether unknown fields are kept.
    pub(super) preserve: bool,
}

/// Recursion is bounded by the depth limit of the YAML reader.
impl Structure {
    /// The schema of a whole custom resource, which is an object.
    pub(super) fn root(self, mut schema: Node, path: &str) -> Result<Value, LossError> {
        if get(&schema, "type").is_none() {
            schema.insert("type".to_owned(), Value::from("object"));
        }
        let metadata = schema
            .get_mut("properties")
            .and_then(Value::as_object_mut)
            .and_then(|properties| properties.remove("metadata"));
        let metadata = metadata
            .map(|metadata| crd_metadata::reduce(metadata, &format!("{path}.properties.metadata")))
            .transpose()?;
        let mut schema = self.node(schema, path)?;
        if let Some(metadata) = metadata
            && let Some(Value::Object(properties)) = schema.get_mut("properties")
        {
            properties.insert("metadata".to_owned(), metadata);
        }
        Ok(Value::Object(schema))
    }

    fn node(self, mut node: Node, path: &str) -> Result<Node, LossError> {
        for field in FORBIDDEN {
            if get(&node, field).is_some() {
                return Err(LossError::new(
                    format!("{path}.{field}"),
                    "has no place in a structural schema",
                ));
            }
        }
        if get(&node, "uniqueItems") == Some(&Value::Bool(true)) {
            return Err(LossError::new(
                format!("{path}.uniqueItems"),
                "has no place in a structural schema",
            ));
        }
        for field in ["$schema", "id"] {
            node.remove(field);
        }
        let mut junctors = take_junctors(&mut node);
        if get(&node, "type").is_none() {
            let pair = junctors
                .iter()
                .position(|(name, value)| *name != "allOf" && is_int_or_string(value));
            if let Some(pair) = pair {
                junctors.remove(pair);
                node.insert(INT_OR_STRING.to_owned(), Value::Bool(true));
            }
        }
        self.below(&mut node, path)?;
        self.mark(&mut node, path)?;
        for (name, value) in junctors {
            let value = self.junctor(name, value, &mut node, &format!("{path}.{name}"))?;
            node.insert(name.to_owned(), value);
        }
        Ok(node)
    }

    /// Properties, further properties and items of a node.
    fn below(self, node: &mut Node, path: &str) -> Result<(), LossError> {
        let mut is_empty = true;
        if let Some(Value::Object(properties)) = node.get_mut("properties") {
            is_empty = properties.is_empty();
            for (name, schema) in properties.iter_mut() {
                self.replace(schema, &format!("{path}.properties.{name}"))?;
            }
        }
        let others = format!("{path}.additionalProperties");
        match node.get_mut("additionalProperties") {
            Some(Value::Bool(true)) => {
                // In the newer version `true` keeps keys and empties objects below them.
                node.remove("additionalProperties");
                node.insert(PRESERVE.to_owned(), Value::Bool(true));
            }
            Some(Value::Bool(false)) => {
                return Err(LossError::new(
                    others,
                    "must not be false in a structural schema",
                ));
            }
            Some(Value::Object(_)) if !is_empty => {
                return Err(LossError::new(
                    others,
                    "must not stand beside properties in a structural schema",
                ));
            }
            Some(schema @ Value::Object(_)) => self.replace(schema, &others)?,
            _ => {}
        }
        let is_array = node.get("type").is_some_and(|kind| kind == "array");
        match node.get_mut("items") {
            Some(Value::Array(_)) => Err(LossError::new(
                format!("{path}.items"),
                "must be one schema in a structural schema",
            )),
            Some(schema @ Value::Object(_)) => self.replace(schema, &format!("{path}.items")),
            _ if is_array => {
                if !self.preserve {
                    return Err(LossError::new(format!("{path}.items"), "is missing"));
                }
                node.insert("items".to_owned(), json!({PRESERVE: true}));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn replace(self, schema: &mut Value, path: &str) -> Result<(), LossError> {
        let node = match schema.take() {
            Value::Object(node) => node,
            Value::Null => Map::new(),
            // Not a schema: the decoder says so.
            other => {
                *schema = other;
                return Ok(());
            }
        };
        *schema = Value::Object(self.node(node, path)?);
        Ok(())
    }

    /// Marks a node that may hold unknown fields, or anything.
    fn mark(self, node: &mut Node, path: &str) -> Result<(), LossError> {
        let kind = get(node, "type")
            .and_then(Value::as_str)
            .filter(|kind| !kind.is_empty());
        let is_known = node.get(INT_OR_STRING) == Some(&Value::Bool(true))
            || node.get(PRESERVE) == Some(&Value::Bool(true));
        let has_others = get(node, "additionalProperties").is_some();
        match kind {
            None if is_known => {}
            None if !self.preserve => return Err(LossError::new(path, "has no type")),
            None => {
                node.insert(PRESERVE.to_owned(), Value::Bool(true));
            }
            Some("object") if self.preserve && !has_others => {
                node.insert(PRESERVE.to_owned(), Value::Bool(true));
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn junctor(
        self,
        name: &str,
        value: Value,
        node: &mut Node,
        path: &str,
    ) -> Result<Value, LossError> {
        match value {
            Value::Array(schemas) if name != "not" => schemas
                .into_iter()
                .enumerate()
                .map(|(index, schema)| self.combined(schema, node, &format!("{path}.{index}")))
                .collect(),
            other => self.combined(other, node, path),
        }
    }

    /// A schema that is combined with others, less what the node itself says.
    fn combined(self, schema: Value, node: &mut Node, path: &str) -> Result<Value, LossError> {
        let Value::Object(mut schema) = schema else {
            return Ok(schema);
        };
        schema.retain(|key, value| !REMARKS.contains(&key.as_str()) && !value.is_null());
        if let Some(kind) = schema.remove("type")
            && node.get("type") != Some(&kind)
        {
            return Err(LossError::new(
                format!("{path}.type"),
                "is not that of the schema around it",
            ));
        }
        let outside = schema.keys().find(|key| {
            OUTSIDE.contains(&key.as_str())
                || FORBIDDEN.contains(&key.as_str())
                || key.starts_with("x-kubernetes-")
        });
        if let Some(field) = outside {
            return Err(LossError::new(
                format!("{path}.{field}"),
                "has no place there in a structural schema",
            ));
        }
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            for (name, below) in properties.iter_mut() {
                let path = format!("{path}.properties.{name}");
                let property = self.property(node, name, &path)?;
                *below = self.combined(below.take(), property, &path)?;
            }
        }
        if let Some(items) = schema.remove("items") {
            let path = format!("{path}.items");
            let Some(Value::Object(own)) = node.get_mut("items") else {
                return Err(LossError::new(path, "is unknown to the schema around it"));
            };
            let items = self.combined(items, own, &path)?;
            schema.insert("items".to_owned(), items);
        }
        for (name, value) in take_junctors(&mut schema) {
            let value = self.junctor(name, value, node, &format!("{path}.{name}"))?;
            schema.insert(name.to_owned(), value);
        }
        Ok(Value::Object(schema))
    }

    /// The schema of a property in the node itself, where it must be known.
    fn property<'a>(
        self,
        node: &'a mut Node,
        name: &str,
        path: &str,
    ) -> Result<&'a mut Node, LossError> {
        let unknown = || LossError::new(path, "is unknown to the schema around it");
        let may_add = self.preserve && get(node, "additionalProperties").is_none();
        let properties = node
            .entry("properties")
            .or_insert_with(|| json!({}))
            .as_object_mut()
            .ok_or_else(unknown)?;
        if !properties.contains_key(name) && !may_add {
            return Err(unknown());
        }
        properties
            .entry(name)
            .or_insert_with(|| json!({PRESERVE: true}))
            .as_object_mut()
            .ok_or_else(unknown)
    }
}

fn take_junctors(node: &mut Node) -> Vec<(&'static str, Value)> {
    JUNCTORS
        .iter()
        .chain(&["not"])
        .filter_map(|name| Some((*name, node.remove(*name)?)))
        .filter(|(_, value)| !value.is_null())
        .collect()
}

/// Whether alternatives are an integer and a string, which exclude each other.
fn is_int_or_string(alternatives: &Value) -> bool {
    let is = |schema: &Value, kind: &str| *schema == json!({"type": kind});
    match alternatives.as_array().map(Vec::as_slice) {
        Some([a, b]) => is(a, "integer") && is(b, "string") || is(a, "string") && is(b, "integer"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use rstest::rstest;

    use super::*;

    fn structural(schema: Value, preserve: bool) -> Result<Value, String> {
        let Value::Object(schema) = schema else {
            panic!("a schema")
        };
        Structure { preserve }
            .root(schema, "s")
            .map_err(|error| error.to_string())
    }

    /// The schema with a mark on it.
    fn kept(mut schema: Value) -> Value {
        schema[PRESERVE] = Value::Bool(true);
        schema
    }

    #[test]
    fn a_structural_schema_that_prunes_stays_as_it_is() {
        let schema = json!({"type": "object", "properties": {
            "metadata": {"type": "object"},
            "a": {"type": "array", "items": {"type": "string"}},
            "b": {"type": "object", "additionalProperties": {"type": "integer"}},
            "c": {"x-kubernetes-int-or-string": true},
            "d": {"type": "object", "oneOf": [{"required": ["x"]}, {"required": ["y"]}]}}});
        assert_eq!(structural(schema.clone(), false).unwrap(), schema);
    }

    #[test]
    fn everything_that_may_hold_unknown_fields_is_marked() {
        let old = json!({"properties": {
            "metadata": {"type": "object", "description": "d"},
            "spec": {"type": "object", "properties": {"a": {"type": "object"}, "b": {}}},
            "list": {"type": "array"},
            "objects": {"type": "array", "items": {"type": "object"}},
            "map": {"type": "object", "additionalProperties": {"type": "object"}},
            "any": {"type": "object", "additionalProperties": true},
            "text": {"type": "string"}}});
        let object = || kept(json!({"type": "object"}));
        assert_eq!(
            structural(old, true).unwrap(),
            kept(json!({"type": "object", "properties": {
                "metadata": {"type": "object"},
                "spec": kept(json!({"type": "object",
                    "properties": {"a": object(), "b": kept(json!({}))}})),
                "list": {"type": "array", "items": kept(json!({}))},
                "objects": {"type": "array", "items": object()},
                "map": {"type": "object", "additionalProperties": object()},
                "any": object(),
                "text": {"type": "string"}}}))
        );
    }

    #[rstest]
    #[case("anyOf", json!([{"type": "integer"}, {"type": "string"}]))]
    #[case("oneOf", json!([{"type": "string"}, {"type": "integer"}]))]
    fn an_integer_or_a_string_is_one_of_its_own(#[case] junctor: &str, #[case] pair: Value) {
        let old =
            json!({"type": "object", "properties": {"port": {junctor: pair, "pattern": "x"}}});
        assert_eq!(
            structural(old, false).unwrap()["properties"]["port"],
            json!({"x-kubernetes-int-or-string": true, "pattern": "x"})
        );
    }

    #[test]
    fn alternatives_leave_types_to_the_schema_around_them() {
        let old = json!({"type": "object", "properties": {"a": {"type": "string"}},
            "oneOf": [
                {"type": "object", "description": "d",
                 "properties": {"a": {"type": "string", "pattern": "x"}}},
                {"properties": {"b": {"minLength": 1}}, "required": ["b"]}]});
        assert_eq!(
            structural(old, true).unwrap(),
            kept(json!({"type": "object",
                "properties": {"a": {"type": "string"}, "b": kept(json!({}))},
                "oneOf": [
                    {"properties": {"a": {"pattern": "x"}}},
                    {"properties": {"b": {"minLength": 1}}, "required": ["b"]}]}))
        );
    }

    #[rstest]
    #[case(json!({"$ref": "x"}), "`s.$ref` has no place in a structural schema")]
    #[case(json!({"properties": {"a": {"type": "array", "uniqueItems": true}}}),
        "`s.properties.a.uniqueItems` has no place in a structural schema")]
    #[case(json!({"additionalProperties": false}),
        "`s.additionalProperties` must not be false in a structural schema")]
    #[case(json!({"properties": {"a": {}}, "additionalProperties": {}}),
        "`s.additionalProperties` must not stand beside properties in a structural schema")]
    #[case(json!({"properties": {"a": {"type": "array", "items": [{}]}}}),
        "`s.properties.a.items` must be one schema in a structural schema")]
    #[case(json!({"properties": {"a": {"anyOf": [{"type": "integer"}, {"type": "boolean"}]}}}),
        "`s.properties.a.anyOf.0.type` is not that of the schema around it")]
    #[case(json!({"not": {"nullable": true}}),
        "`s.not.nullable` has no place there in a structural schema")]
    #[case(json!({"properties": {"metadata": {"required": ["labels"]}}}),
        "`s.properties.metadata.required` restricts metadata by more than names")]
    fn what_would_mean_something_else_is_refused(#[case] old: Value, #[case] reason: &str) {
        assert_eq!(structural(old, true).unwrap_err(), reason);
    }

    #[rstest]
    #[case(json!({"properties": {"a": {}}}), "`s.properties.a` has no type")]
    #[case(json!({"properties": {"a": {"type": "array"}}}), "`s.properties.a.items` is missing")]
    #[case(json!({"anyOf": [{"properties": {"a": {}}}]}),
        "`s.anyOf.0.properties.a` is unknown to the schema around it")]
    fn where_unknown_fields_are_pruned_nothing_is_guessed(
        #[case] old: Value,
        #[case] reason: &str,
    ) {
        assert_eq!(structural(old, false).unwrap_err(), reason);
    }
}
