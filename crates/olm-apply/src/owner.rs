//! Who an applied object belongs to, as two labels on the object.

use std::collections::BTreeMap;
use std::fmt;

use kube::api::ObjectMeta;
use olm_api::labels::{OWNER_KIND, OWNER_NAME};
use serde_json::{Map, Value};

/// The cluster-scoped object on whose behalf others are applied.
///
/// Ownership is two labels and nothing else: an owner reference would let foreground deletion
/// remove content before the owner's finalizer has put an order to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// Kind of the owner, `BundleDeployment` for example.
    pub kind: String,
    /// Name of the owner.
    pub name: String,
}

/// What the labels of a live object say about its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// Both labels name this owner.
    Ours,
    /// The labels name nobody: they are not there, or only one of them is and it does not name
    /// another.
    Nobodys,
    /// The labels name somebody else.
    Others(Owner),
}

impl Owner {
    /// An owner of this kind and name.
    pub fn new(kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            name: name.into(),
        }
    }

    /// The `BundleDeployment` of this name.
    pub fn bundle_deployment(name: impl Into<String>) -> Self {
        Self::new(olm_api::labels::OWNER_KIND_BUNDLE_DEPLOYMENT, name)
    }

    /// The label selector that finds every object of this owner.
    pub fn selector(&self) -> String {
        format!("{OWNER_KIND}={},{OWNER_NAME}={}", self.kind, self.name)
    }

    /// Puts the owner's labels into a `metadata.labels` map.
    pub(crate) fn label(&self, labels: &mut Map<String, Value>) {
        labels.insert(OWNER_KIND.to_owned(), Value::String(self.kind.clone()));
        labels.insert(OWNER_NAME.to_owned(), Value::String(self.name.clone()));
    }

    /// Whether an object of the owner's inventory is still the owner's: by its labels, or, where
    /// they were lost and nobody else claims it, by what `manager` applied to it.
    pub(crate) fn holds(&self, live: &ObjectMeta, manager: &str) -> bool {
        match self.judge(live.labels.as_ref()) {
            Ownership::Ours => true,
            Ownership::Nobodys => live.managed_fields.iter().flatten().any(|entry| {
                entry.manager.as_deref() == Some(manager)
                    && entry.operation.as_deref() == Some("Apply")
            }),
            Ownership::Others(_) => false,
        }
    }

    pub(crate) fn judge(&self, labels: Option<&BTreeMap<String, String>>) -> Ownership {
        let read = |key: &str| labels.and_then(|map| map.get(key)).map(String::as_str);
        self.compare(read(OWNER_KIND), read(OWNER_NAME))
    }

    pub(crate) fn judge_value(&self, object: &Value) -> Ownership {
        let labels = &object["metadata"]["labels"];
        self.compare(labels[OWNER_KIND].as_str(), labels[OWNER_NAME].as_str())
    }

    fn compare(&self, kind: Option<&str>, name: Option<&str>) -> Ownership {
        let is_set = |text: &&str| !text.is_empty();
        let found = match (kind.filter(is_set), name.filter(is_set)) {
            (Some(kind), Some(name)) => Self::new(kind, name),
            // A name alone that is another's is a claim; of which kind of owner, nobody can tell.
            (None, Some(name)) if name != self.name => Self::new(&self.kind, name),
            _ => return Ownership::Nobodys,
        };
        if found == *self {
            Ownership::Ours
        } else {
            Ownership::Others(found)
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} \"{}\"", self.kind, self.name)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const KIND: Option<&str> = Some("BundleDeployment");

    fn labels(kind: Option<&str>, name: Option<&str>) -> BTreeMap<String, String> {
        [(OWNER_KIND, kind), (OWNER_NAME, name)]
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())))
            .collect()
    }

    #[rstest]
    #[case::whole(KIND, Some("me"), "ours")]
    #[case::none(None, None, "nobody's")]
    #[case::name_is_lost(KIND, None, "nobody's")]
    #[case::name_is_empty(KIND, Some(""), "nobody's")]
    #[case::kind_is_lost(None, Some("me"), "nobody's")]
    #[case::another_name(KIND, Some("you"), r#"BundleDeployment "you"'s"#)]
    #[case::only_another_name(None, Some("you"), r#"BundleDeployment "you"'s"#)]
    #[case::another_kind(Some("Other"), Some("me"), r#"Other "me"'s"#)]
    fn half_a_label_names_no_owner(
        #[case] kind: Option<&str>,
        #[case] name: Option<&str>,
        #[case] expected: &str,
    ) {
        let owner = Owner::bundle_deployment("me");
        let labels = labels(kind, name);
        let found = owner.judge(Some(&labels));
        assert_eq!(
            found,
            owner.judge_value(&json!({"metadata": {"labels": labels}}))
        );
        let text = match found {
            Ownership::Ours => "ours".to_owned(),
            Ownership::Nobodys => "nobody's".to_owned(),
            Ownership::Others(other) => format!("{other}'s"),
        };
        assert_eq!(text, expected);
    }

    #[rstest]
    #[case::labelled(KIND, Some("me"), "kubectl", true)]
    #[case::lost_one_label(KIND, None, "manager", true)]
    #[case::lost_both_labels(None, None, "manager", true)]
    #[case::never_ours(None, None, "kubectl", false)]
    #[case::taken_over(KIND, Some("you"), "manager", false)]
    fn what_lost_its_labels_is_held_by_what_was_applied_to_it(
        #[case] kind: Option<&str>,
        #[case] name: Option<&str>,
        #[case] manager: &str,
        #[case] expected: bool,
    ) {
        let live = ObjectMeta {
            labels: Some(labels(kind, name)),
            managed_fields: Some(vec![ManagedFieldsEntry {
                manager: Some(manager.to_owned()),
                operation: Some("Apply".to_owned()),
                ..ManagedFieldsEntry::default()
            }]),
            ..ObjectMeta::default()
        };
        let owner = Owner::bundle_deployment("me");
        assert_eq!(owner.holds(&live, "manager"), expected);
    }
}
