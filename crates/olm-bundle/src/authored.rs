//! What of an object its author wrote.

use serde_json::Value;

/// What of the metadata belongs to the author.
const METADATA: [&str; 4] = ["name", "namespace", "labels", "annotations"];

/// Removes from an object of a bundle what only servers and controllers write: `status`, and of
/// `metadata` everything but name, namespace, labels and annotations. An owner reference, a finalizer
/// or a managed field would be a claim that nobody made, and makes server-side apply fail.
///
/// What is no object, or has no metadata, is left as it is.
pub fn keep_authored(object: &mut Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|field, _| METADATA.contains(&field.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_servers_and_controllers_write_is_removed_and_all_else_stays() {
        let mut object = json!({
            "apiVersion": "v1", "kind": "A",
            "metadata": {
                "name": "a", "namespace": "n", "labels": {"l": "1"}, "annotations": {},
                "creationTimestamp": null, "deletionTimestamp": "t", "finalizers": ["f"],
                "generation": 1, "generateName": "a-", "managedFields": [], "ownerReferences": [{}],
                "resourceVersion": "1", "selfLink": "/", "uid": "u",
            },
            "spec": {"status": 1}, "status": {},
        });
        keep_authored(&mut object);
        assert_eq!(
            object,
            json!({
                "apiVersion": "v1", "kind": "A",
                "metadata": {"name": "a", "namespace": "n", "labels": {"l": "1"},
                             "annotations": {}},
                "spec": {"status": 1},
            })
        );
        for mut odd in [json!(1), json!({"metadata": []})] {
            let before = odd.clone();
            keep_authored(&mut odd);
            assert_eq!(odd, before);
        }
    }
}
