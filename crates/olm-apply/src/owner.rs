//! Who an applied object belongs to, as two labels on the object.

use std::collections::BTreeMap;
use std::fmt;

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
    /// Neither label is there.
    Nobodys,
    /// The labels name somebody else, or only half of them is there.
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

    pub(crate) fn judge(&self, labels: Option<&BTreeMap<String, String>>) -> Ownership {
        let read = |key: &str| labels.and_then(|map| map.get(key)).map(String::as_str);
        self.compare(read(OWNER_KIND), read(OWNER_NAME))
    }

    pub(crate) fn judge_value(&self, object: &Value) -> Ownership {
        let labels = &object["metadata"]["labels"];
        self.compare(labels[OWNER_KIND].as_str(), labels[OWNER_NAME].as_str())
    }

    fn compare(&self, kind: Option<&str>, name: Option<&str>) -> Ownership {
        match (kind, name) {
            (None, None) => Ownership::Nobodys,
            (kind, name) => {
                let found = Self::new(kind.unwrap_or_default(), name.unwrap_or_default());
                if found == *self {
                    Ownership::Ours
                } else {
                    Ownership::Others(found)
                }
            }
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} \"{}\"", self.kind, self.name)
    }
}
