//! The checks of one field of a schema, without the fields below it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::text::{list, number, quoted, quoted_json, value};

/// What says something to people and nothing to the API server.
const DOCUMENTATION: [&str; 6] = [
    "description",
    "title",
    "example",
    "externalDocs",
    "$schema",
    "id",
];

/// What a check below looks at, or the walk through the schema.
const HANDLED: [&str; 15] = [
    "default",
    "enum",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "nullable",
    "pattern",
    "properties",
    "required",
    "type",
];

const UPPER: [&str; 4] = ["maxItems", "maxLength", "maxProperties", "maximum"];
const LOWER: [&str; 4] = ["minItems", "minLength", "minProperties", "minimum"];

type Schema = Map<String, Value>;

/// The changes, each with the check that found it.
pub(super) fn changes(old: &Schema, new: &Schema) -> Vec<(&'static str, String)> {
    let mut changes = Vec::new();
    let mut found = |check, text: Option<String>| {
        changes.extend(text.map(|text| (check, text)));
    };
    found("default", default(old, new));
    found("enum", enumeration(old, new));
    found("nullable", nullable(old, new));
    found("pattern", pattern(old, new));
    found("required", required(old, new));
    found("type", kind(old, new));
    for check in UPPER {
        found(check, bound(check, old, new, "maximum", "decreased"));
    }
    for check in LOWER {
        found(check, bound(check, old, new, "minimum", "increased"));
    }
    found("unhandled", unhandled(old, new));
    changes
}

/// Whether a value says anything: the API server leaves out what is null, false or empty.
pub(super) fn is_present(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}

fn text<'a>(schema: &'a Schema, field: &str) -> &'a str {
    schema
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn default(old: &Schema, new: &Schema) -> Option<String> {
    let of = |schema: &'_ Schema| {
        schema
            .get("default")
            .filter(|found| !found.is_null())
            .cloned()
    };
    match (of(old), of(new)) {
        (None, Some(new)) => Some(format!(
            "default added when there was none previously : {}",
            quoted_json(&new)
        )),
        (Some(old), None) => Some(format!("default value removed : {}", quoted_json(&old))),
        (Some(old), Some(new)) if !is_same(&old, &new) => Some(format!(
            "default value changed : {} -> {}",
            quoted_json(&old),
            quoted_json(&new)
        )),
        _ => None,
    }
}

/// A constraint that goes as a whole forbids nothing.
fn enumeration(old: &Schema, new: &Schema) -> Option<String> {
    let of = |schema: &Schema| -> BTreeSet<String> {
        let values = schema.get("enum").and_then(Value::as_array);
        values.into_iter().flatten().map(Value::to_string).collect()
    };
    let (old, new) = (of(old), of(new));
    if new.is_empty() {
        return None;
    }
    if old.is_empty() {
        let values = list(&new);
        return Some(format!(
            "enum constraint added when there was none previously : {values}"
        ));
    }
    let removed: Vec<&String> = old.difference(&new).collect();
    (!removed.is_empty()).then(|| format!("allowed enum values removed : {}", list(removed)))
}

fn nullable(old: &Schema, new: &Schema) -> Option<String> {
    let of = |schema: &Schema| schema.get("nullable") == Some(&Value::Bool(true));
    match (of(old), of(new)) {
        (false, true) => Some("nullable added : false -> true".to_owned()),
        (true, false) => Some("nullable removed : true -> false".to_owned()),
        _ => None,
    }
}

fn pattern(old: &Schema, new: &Schema) -> Option<String> {
    let (old, new) = (text(old, "pattern"), text(new, "pattern"));
    let what = match (old.is_empty(), new.is_empty()) {
        _ if old == new => return None,
        (true, _) => "added",
        (_, true) => "removed",
        _ => "changed",
    };
    Some(format!(
        "pattern {what} : {} -> {}",
        quoted(old),
        quoted(new)
    ))
}

fn required(old: &Schema, new: &Schema) -> Option<String> {
    let of = |schema: &Schema| -> BTreeSet<String> {
        let names = schema.get("required").and_then(Value::as_array);
        let names = names.into_iter().flatten().filter_map(Value::as_str);
        names.map(str::to_owned).collect()
    };
    let (old, new) = (of(old), of(new));
    let added: Vec<&String> = new.difference(&old).collect();
    (!added.is_empty()).then(|| format!("new required fields : {}", list(added)))
}

fn kind(old: &Schema, new: &Schema) -> Option<String> {
    let (old, new) = (text(old, "type"), text(new, "type"));
    (old != new).then(|| format!("type changed : {} -> {}", quoted(old), quoted(new)))
}

/// A bound that is new or tighter. The known texts say `maximum` and `minimum` of all of them.
fn bound(field: &str, old: &Schema, new: &Schema, name: &str, tighter: &str) -> Option<String> {
    let of = |schema: &Schema| schema.get(field).and_then(Value::as_number).cloned();
    let new = of(new)?;
    let Some(old) = of(old) else {
        return Some(format!(
            "{name} constraint added when there was none previously : {}",
            number(&new)
        ));
    };
    let (before, after) = (old.as_f64()?, new.as_f64()?);
    let is_tighter = if name == "maximum" {
        after < before
    } else {
        after > before
    };
    is_tighter.then(|| format!("{name} {tighter} : {} -> {}", number(&old), number(&new)))
}

/// Differences in fields that no check knows.
fn unhandled(old: &Schema, new: &Schema) -> Option<String> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut differences = Vec::new();
    for name in names {
        if HANDLED.contains(&name.as_str()) || DOCUMENTATION.contains(&name.as_str()) {
            continue;
        }
        let (before, after) = (given(old, name), given(new, name));
        let is_walked = matches!(name.as_str(), "items" | "additionalProperties")
            && before.is_none_or(Value::is_object)
            && after.is_none_or(Value::is_object)
            && before.is_some();
        let is_same = match (before, after) {
            (Some(before), Some(after)) if name == "x-kubernetes-validations" => {
                rules(before) == rules(after)
            }
            (Some(before), Some(after)) => is_same(before, after),
            (before, after) => before.is_none() && after.is_none(),
        };
        if !is_walked && !is_same {
            differences.push(format!("{name} {} -> {}", value(before), value(after)));
        }
    }
    (!differences.is_empty())
        .then(|| format!("unhandled changes found ({})", differences.join("; ")))
}

fn given<'a>(schema: &'a Schema, field: &str) -> Option<&'a Value> {
    // `false` is no absence here: no further properties is the tightest of all schemas.
    let is_given = |found: &&Value| {
        is_present(found) || (field == "additionalProperties" && found.is_boolean())
    };
    schema.get(field).filter(is_given)
}

/// The rules themselves; the rest of each says how a violation is reported.
fn rules(list: &Value) -> BTreeSet<(String, bool)> {
    let list = list.as_array().into_iter().flatten();
    list.map(|rule| {
        let text = rule["rule"].as_str().unwrap_or_default().to_owned();
        (text, rule["optionalOldSelf"] == true)
    })
    .collect()
}

/// Whether two values mean the same, `1` being `1.0`. The recursion is bounded by the depth to which
/// the decoders of both go.
fn is_same(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Number(old), Value::Number(new)) => old == new || old.as_f64() == new.as_f64(),
        (Value::Array(old), Value::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| is_same(old, new))
        }
        (Value::Object(old), Value::Object(new)) => {
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            names
                .into_iter()
                .all(|name| match (old.get(name), new.get(name)) {
                    (Some(old), Some(new)) => is_same(old, new),
                    _ => false,
                })
        }
        (old, new) => old == new,
    }
}
