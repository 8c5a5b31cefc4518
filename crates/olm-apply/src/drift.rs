//! Whether a live object is what was asked for, decided without asking the API server again.

use serde_json::{Map, Value};

/// Whether applying `desired` as `manager` would certainly change nothing.
///
/// True needs all four: the manager's last apply is on record in the same API version; every desired
/// field has the desired value; every field that the manager owns is still desired; and every desired
/// field is still the manager's, since of one that is not a later change by its new owner goes
/// unnoticed. Where the server writes a value differently than the manifest does (`1000m` for `1`) the answer is
/// no, and the caller finds out by a dry run.
pub(crate) fn is_current(desired: &Value, live: &Value, manager: &str) -> bool {
    let entry = live["metadata"]["managedFields"]
        .as_array()
        .and_then(|entries| {
            entries.iter().find(|entry| {
                entry["manager"] == manager
                    && entry["operation"] == "Apply"
                    && entry.get("subresource").is_none_or(|value| value == "")
                    && entry["apiVersion"] == desired["apiVersion"]
            })
        });
    let Some(owned) = entry.and_then(|entry| entry["fieldsV1"].as_object()) else {
        return false;
    };
    contains(live, desired) && covers(desired, owned) && owns_object(owned, desired)
}

/// Whether a dry run came out as the live object. Status is not the applier's, and timestamps of
/// bookkeeping are ignored.
pub(crate) fn is_same(tried: &Value, live: &Value) -> bool {
    let (Some(tried), Some(live)) = (tried.as_object(), live.as_object()) else {
        return false;
    };
    let metadata = |object: &Map<String, Value>| {
        let mut metadata = object.get("metadata").cloned().unwrap_or(Value::Null);
        if let Some(map) = metadata.as_object_mut() {
            map.remove("resourceVersion");
            map.remove("generation");
            if let Some(Value::Array(entries)) = map.get_mut("managedFields") {
                for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
                    entry.remove("time");
                }
                entries.sort_by_cached_key(|entry| {
                    ["manager", "operation", "subresource", "apiVersion"]
                        .map(|key| entry[key].as_str().unwrap_or_default().to_owned())
                });
            }
        }
        metadata
    };
    let content = |object: &Map<String, Value>| {
        let mut content = object.clone();
        content.remove("metadata");
        content.remove("status");
        content
    };
    metadata(tried) == metadata(live) && content(tried) == content(live)
}

/// Whether `live` has everything that `desired` has, with the same values.
fn contains(live: &Value, desired: &Value) -> bool {
    match (live, desired) {
        (Value::Object(live), Value::Object(desired)) => {
            desired.iter().all(|(key, value)| match live.get(key) {
                Some(found) => contains(found, value),
                None => value.is_null(),
            })
        }
        (Value::Array(live), Value::Array(desired)) => {
            live.len() == desired.len() && live.iter().zip(desired).all(|(l, d)| contains(l, d))
        }
        (live, desired) => live == desired,
    }
}

/// Whether everything in a `fieldsV1` tree exists in `desired`. The format: `f:` a field, `k:` a
/// list item by its keys, `v:` a list item by its value, `i:` one by its index, `.` the thing
/// itself (Kubernetes API reference, `FieldsV1`).
fn covers(desired: &Value, owned: &Map<String, Value>) -> bool {
    owned.iter().all(|(path, below)| {
        let Some(found) = step(desired, path) else {
            return false;
        };
        match below.as_object() {
            Some(below) if path != "." => covers(found, below),
            _ => true,
        }
    })
}

/// Whether a `fieldsV1` tree has every field of an object but those that say which object it is.
fn owns_object(owned: &Map<String, Value>, desired: &Value) -> bool {
    let identity = |field: &str| matches!(field, "apiVersion" | "kind" | "metadata" | "status");
    let names = |field: &str| matches!(field, "name" | "namespace" | "uid");
    let none = Map::new();
    let metadata = owned.get("f:metadata").and_then(Value::as_object);
    owns_fields(owned, desired, identity)
        && owns_fields(metadata.unwrap_or(&none), &desired["metadata"], names)
}

fn owns_fields(
    owned: &Map<String, Value>,
    desired: &Value,
    is_left_out: impl Fn(&str) -> bool,
) -> bool {
    let fields = desired.as_object().into_iter().flatten();
    let mut fields = fields.filter(|(field, value)| !value.is_null() && !is_left_out(field));
    fields.all(|(field, value)| {
        let below = owned.get(&format!("f:{field}")).and_then(Value::as_object);
        below.is_some_and(|below| owns(below, value))
    })
}

/// Whether a `fieldsV1` tree has all of a value; one without anything below it has it as a whole.
fn owns(owned: &Map<String, Value>, desired: &Value) -> bool {
    if owned.is_empty() {
        return true;
    }
    match desired {
        Value::Object(_) => owns_fields(owned, desired, |_| false),
        Value::Array(items) => items.iter().all(|item| {
            owned.iter().any(|(path, below)| {
                let is_it = path != "."
                    && !path.starts_with("f:")
                    && step(&Value::Array(vec![item.clone()]), path).is_some();
                is_it && below.as_object().is_none_or(|below| owns(below, item))
            })
        }),
        _ => true,
    }
}

fn step<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if path == "." {
        return Some(value);
    }
    let (kind, text) = path.split_once(':')?;
    match kind {
        "f" => value.get(text).filter(|found| !found.is_null()),
        "k" => {
            let keys: Map<String, Value> = serde_json::from_str(text).ok()?;
            // A key that the manifest leaves out was filled in by its default.
            value.as_array()?.iter().find(|item| {
                keys.iter()
                    .all(|(key, wanted)| item.get(key).is_none_or(|found| found == wanted))
            })
        }
        "v" => {
            let wanted: Value = serde_json::from_str(text).ok()?;
            value.as_array()?.iter().find(|item| **item == wanted)
        }
        "i" => value.get(text.parse::<usize>().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn desired() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "a", "labels": {"x": "y"}},
            "spec": {"replicas": 1, "ports": [{"containerPort": 80}], "args": ["a", "b"]}
        })
    }

    fn live() -> Value {
        let mut live = desired();
        live["metadata"]["uid"] = json!("1");
        live["spec"]["ports"][0]["protocol"] = json!("TCP");
        live["spec"]["strategy"] = json!({"type": "RollingUpdate"});
        live["status"] = json!({"replicas": 1});
        live["metadata"]["managedFields"] = json!([
            {"manager": "other", "operation": "Update", "apiVersion": "apps/v1",
             "fieldsV1": {"f:status": {}}},
            {"manager": "me", "operation": "Apply", "apiVersion": "apps/v1", "fieldsV1": {
                "f:metadata": {"f:labels": {"f:x": {}}},
                "f:spec": {
                    "f:replicas": {},
                    "f:args": {},
                    "f:ports": {
                        "k:{\"containerPort\":80,\"protocol\":\"TCP\"}":
                            {".": {}, "f:containerPort": {}}
                    }
                }
            }}
        ]);
        live
    }

    #[test]
    fn finds_nothing_to_do_beside_defaults_and_foreign_fields() {
        assert!(is_current(&desired(), &live(), "me"));
    }

    #[rstest]
    #[case::changed_value("/spec/replicas", json!(3))]
    #[case::changed_label("/metadata/labels/x", json!("z"))]
    #[case::longer_list("/spec/args", json!(["a", "b", "c"]))]
    #[case::never_applied("/metadata/managedFields", json!([]))]
    fn notices_drift(#[case] path: &str, #[case] value: Value) {
        let mut live = live();
        if let Some(place) = live.pointer_mut(path) {
            *place = value;
        }
        assert!(!is_current(&desired(), &live, "me"));
    }

    #[rstest]
    #[case::field("/1/fieldsV1/f:spec", "f:replicas")]
    #[case::list("/1/fieldsV1/f:spec", "f:args")]
    #[case::list_of_objects("/1/fieldsV1/f:spec", "f:ports")]
    #[case::item(
        "/1/fieldsV1/f:spec/f:ports/k:{\"containerPort\":80,\"protocol\":\"TCP\"}",
        "f:containerPort"
    )]
    #[case::label("/1/fieldsV1/f:metadata/f:labels", "f:x")]
    #[case::metadata("/1/fieldsV1", "f:metadata")]
    fn notices_what_is_as_desired_and_another_has_written(#[case] path: &str, #[case] key: &str) {
        let mut live = live();
        let record = &mut live["metadata"]["managedFields"];
        let taken = record
            .pointer_mut(path)
            .and_then(|place| place.as_object_mut()?.remove(key));
        assert!(taken.is_some());
        // A tree without anything below it is a whole.
        if let Some(place) = record.pointer_mut(path) {
            place["."] = json!({});
        }
        assert!(!is_current(&desired(), &live, "me"));
    }

    #[rstest]
    #[case::field("/spec", "replicas")]
    #[case::label("/metadata/labels", "x")]
    #[case::list("/spec", "ports")]
    fn notices_what_is_no_longer_desired(#[case] path: &str, #[case] key: &str) {
        let mut desired = desired();
        if let Some(Value::Object(map)) = desired.pointer_mut(path) {
            map.remove(key);
        }
        assert!(!is_current(&desired, &live(), "me"));
    }

    #[test]
    fn compares_a_dry_run_without_its_bookkeeping() {
        let mut tried = live();
        tried["metadata"]["resourceVersion"] = json!("9");
        tried["metadata"]["managedFields"][1]["time"] = json!("now");
        tried["status"]["replicas"] = json!(7);
        assert!(is_same(&tried, &live()));
        tried["spec"]["replicas"] = json!(2);
        assert!(!is_same(&tried, &live()));
    }

    #[test]
    fn notices_a_field_that_only_changes_hands() {
        let mut tried = live();
        tried["metadata"]["managedFields"][1]["fieldsV1"] = json!({});
        assert!(!is_same(&tried, &live()));
    }
}
