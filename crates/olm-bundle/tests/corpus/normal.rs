//! The normal form in which rendered objects are compared.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Brings rendered objects into the form of the reference data: nothing empty, no status, sorted,
/// schemas of definitions as a digest.
pub(crate) fn normal(objects: Vec<Value>) -> Vec<Value> {
    let mut objects: Vec<Value> = objects
        .into_iter()
        .filter_map(|mut object| {
            if let Some(fields) = object.as_object_mut() {
                fields.remove("status");
            }
            prune(object)
        })
        .map(|mut object| {
            if object["kind"] == "CustomResourceDefinition" {
                let spec = object["spec"].take();
                object["spec"] = digest_spec(spec);
            }
            object
        })
        .collect();
    sort(&mut objects);
    objects
}

pub(crate) fn sort(objects: &mut [Value]) {
    objects.sort_by_key(|object| {
        let mut text = String::new();
        canonical(object, &mut text);
        (identity(object), text)
    });
}

/// apiVersion, kind, namespace and name.
pub(crate) fn identity(object: &Value) -> [String; 4] {
    [
        "/apiVersion",
        "/kind",
        "/metadata/namespace",
        "/metadata/name",
    ]
    .map(|path| {
        object
            .pointer(path)
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned()
    })
}

fn digest_spec(spec: Value) -> Value {
    let Value::Object(mut spec) = spec else {
        return spec;
    };
    let mut short = Map::new();
    if let Some(conversion) = spec.remove("conversion") {
        short.insert("conversion".into(), conversion);
    }
    for field in ["group", "scope"] {
        if let Some(value) = spec.get(field) {
            short.insert(field.into(), value.clone());
        }
    }
    if let Some(versions) = spec.get("versions").and_then(Value::as_array) {
        let names = versions
            .iter()
            .map(|version| version["name"].clone())
            .collect();
        short.insert("versions".into(), Value::Array(names));
    }
    let mut text = String::new();
    canonical(&Value::Object(spec), &mut text);
    let mut digest = String::new();
    for byte in Sha256::digest(text.as_bytes()) {
        let _ = write!(digest, "{byte:02x}");
    }
    short.insert("sha256".into(), json!(digest));
    Value::Object(short)
}

/// Removes what is empty, from the inside out.
pub(crate) fn prune(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) => (!text.is_empty()).then_some(Value::String(text)),
        Value::Array(items) => {
            // Items stay, even empty ones: an enumeration may permit the empty string.
            let items: Vec<Value> = items
                .into_iter()
                .map(|item| match item {
                    Value::Object(_) => prune(item).unwrap_or_else(|| json!({})),
                    item => prune(item.clone()).unwrap_or(item),
                })
                .collect();
            (!items.is_empty()).then_some(Value::Array(items))
        }
        Value::Object(members) => {
            let members: Map<String, Value> = members
                .into_iter()
                .filter_map(|(key, value)| Some((key, prune(value)?)))
                .collect();
            (!members.is_empty()).then_some(Value::Object(members))
        }
        other => Some(other),
    }
}

/// JSON with sorted keys, whatever order the map type keeps.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let mut keys: Vec<&String> = members.keys().collect();
            keys.sort_unstable();
            text.push('{');
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                canonical(&members[key], text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                canonical(item, text);
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}
