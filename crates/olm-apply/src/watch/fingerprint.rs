//! What is remembered of a watched object, and what a new version of it means.

use std::hash::{DefaultHasher, Hash, Hasher};

use kube::api::ObjectMeta;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing that matters.
    Nothing,
    /// Something that was applied is no longer as it was applied.
    Content,
    /// Something else, the status perhaps.
    Other,
}

/// What is remembered of an object: a few words, whatever its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    uid: u64,
    owned: u64,
    version: u64,
    deleting: bool,
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Fingerprint {
    /// Of metadata, as seen by the field manager that applied the object.
    ///
    /// The fields that a manager owns are on record in the metadata, and whoever changes the value
    /// of one takes it over. So the record changes exactly when somebody else changed something
    /// that was applied: drift shows without the content, and neither status, nor heartbeats, nor
    /// the manager's own writes look like it.
    pub(super) fn of(metadata: &ObjectMeta, manager: &str) -> Self {
        let owned = metadata.managed_fields.iter().flatten().find(|entry| {
            entry.manager.as_deref() == Some(manager)
                && entry.operation.as_deref() == Some("Apply")
                && entry.subresource.as_deref().is_none_or(str::is_empty)
        });
        Self {
            uid: hash(&metadata.uid),
            owned: hash(
                owned
                    .and_then(|entry| entry.fields_v1.as_ref())
                    .map(|fields| fields.0.to_string()),
            ),
            version: hash(&metadata.resource_version),
            deleting: metadata.deletion_timestamp.is_some(),
        }
    }

    /// What it means that `newer` follows.
    pub(super) fn compare(&self, newer: &Self) -> Change {
        if self.uid != newer.uid || self.owned != newer.owned || self.deleting != newer.deleting {
            Change::Content
        } else if self.version == newer.version {
            Change::Nothing
        } else {
            Change::Other
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn metadata(change: &Value) -> Fingerprint {
        let mut metadata = json!({
            "uid": "1", "resourceVersion": "1",
            "managedFields": [
                {"manager": "me", "operation": "Apply", "fieldsV1": {"f:data": {"f:a": {}}},
                 "time": "2024-01-01T00:00:00Z"},
                {"manager": "other", "operation": "Update", "fieldsV1": {}}
            ]
        });
        for (path, value) in change.as_object().unwrap() {
            match metadata.pointer_mut(path) {
                Some(place) => *place = value.clone(),
                None => metadata[path] = value.clone(),
            }
        }
        Fingerprint::of(&serde_json::from_value(metadata).unwrap(), "me")
    }

    #[rstest]
    #[case::same(json!({}), Change::Nothing)]
    #[case::status(json!({"/resourceVersion": "2"}), Change::Other)]
    #[case::own_write(
        json!({"/resourceVersion": "2", "/managedFields/0/time": "2025-01-01T00:00:00Z"}),
        Change::Other)]
    #[case::heartbeat_of_another(
        json!({"/resourceVersion": "2", "/managedFields/1/fieldsV1": {"f:x": {}}}),
        Change::Other)]
    #[case::field_taken_over(
        json!({"/resourceVersion": "2", "/managedFields/0/fieldsV1": {"f:data": {}}}),
        Change::Content)]
    #[case::made_anew(json!({"/uid": "2"}), Change::Content)]
    #[case::marked_for_deletion(
        json!({"deletionTimestamp": "2024-01-01T00:00:00Z"}), Change::Content)]
    fn reads_what_happened(#[case] change: Value, #[case] expected: Change) {
        assert_eq!(metadata(&json!({})).compare(&metadata(&change)), expected);
    }
}
