//! Whether a live object is what was asked for, decided without asking the API server again.

use serde_json::{Map, Value};

/// Whether applying `desired` as `manager` would certainly change nothing.
///
/// True needs all three: the manager's last apply is on record in the same API version; every
/// desired field has the desired value; every field that the manager owns is still desired. Where
/// the server writes a value differently than the manifest does (`1000m` for `1`) the answer is
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
    contains(live, desired) && covers(desired, owned)
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
