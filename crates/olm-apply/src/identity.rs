//! Which object is meant: group, version, kind, namespace and name.

use std::fmt;

use olm_api::bundle_deployment::InventoryObject;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Names one object of the cluster; the shape of an entry of `status.inventory`.
///
/// Derived equality compares everything. Where two entries may speak of one object in different
/// API versions, as an inventory before and after an upgrade may, compare [`ObjectId::key`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    /// API group, empty for the core group.
    #[serde(default)]
    pub group: String,
    /// API version, `v1` for example.
    pub version: String,
    /// Kind, `Deployment` for example.
    pub kind: String,
    /// Namespace, absent for cluster-scoped kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

/// What makes two [`ObjectId`]s speak of the same object: everything but the version.
pub type ObjectKey<'a> = (&'a str, &'a str, Option<&'a str>, &'a str);

/// Why something is not an object that a cluster could hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The value is not a JSON object.
    #[error("a manifest is not an object")]
    NotAnObject,
    /// A field that identifies the object is absent, empty or not a string.
    #[error("{object} has no `{field}`")]
    Missing {
        /// What is known of the object.
        object: String,
        /// Path of the field.
        field: &'static str,
    },
    /// A field that identifies the object cannot stand in a URL path.
    #[error("{object} has a `{field}` that Kubernetes does not accept")]
    Invalid {
        /// What is known of the object.
        object: String,
        /// Path of the field.
        field: &'static str,
    },
}

/// Longest name and namespace that Kubernetes accepts, in bytes.
const MAX_NAME: usize = 253;

impl ObjectId {
    /// Reads the identity of a manifest.
    ///
    /// # Errors
    ///
    /// A field is missing, or cannot stand in a request path. Paths are made from these fields,
    /// so that this check is what keeps a manifest from addressing something else.
    pub fn of(object: &Value) -> Result<Self, IdentityError> {
        let map = object.as_object().ok_or(IdentityError::NotAnObject)?;
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("").to_owned();
        let metadata = map.get("metadata");
        let api_version = text(map.get("apiVersion"));
        let kind = text(map.get("kind"));
        let name = text(metadata.and_then(|value| value.get("name")));
        let namespace = text(metadata.and_then(|value| value.get("namespace")));

        let known = match (kind.is_empty(), name.is_empty()) {
            (false, false) => format!("{kind} {name:?}"),
            (false, true) => format!("a {kind}"),
            (true, false) => format!("object {name:?}"),
            (true, true) => "an object".to_owned(),
        };
        let missing = |field| IdentityError::Missing {
            object: known.clone(),
            field,
        };
        let invalid = |field| IdentityError::Invalid {
            object: known.clone(),
            field,
        };
        if api_version.is_empty() {
            return Err(missing("apiVersion"));
        }
        if kind.is_empty() {
            return Err(missing("kind"));
        }
        if name.is_empty() {
            return Err(missing("metadata.name"));
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        let group_fits = group.is_empty() != api_version.contains('/');
        if !group_fits || version.is_empty() || !is_dns(group) || !is_dns(version) {
            return Err(invalid("apiVersion"));
        }
        if !kind.bytes().all(|byte| byte.is_ascii_alphanumeric()) || kind.len() > MAX_NAME {
            return Err(invalid("kind"));
        }
        if !is_path_segment(&name) {
            return Err(invalid("metadata.name"));
        }
        if !namespace.is_empty() && (!is_dns(&namespace) || namespace.contains('.')) {
            return Err(invalid("metadata.namespace"));
        }
        Ok(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind,
            namespace: (!namespace.is_empty()).then_some(namespace),
            name,
        })
    }

    /// What two identities of the same object have in common.
    pub fn key(&self) -> ObjectKey<'_> {
        (
            &self.group,
            &self.kind,
            self.namespace.as_deref(),
            &self.name,
        )
    }

    /// Whether both name the same object, whatever version they name it in.
    pub fn is_same_object(&self, other: &Self) -> bool {
        self.key() == other.key()
    }

    /// `group/version`, or `version` alone for the core group, as a manifest spells it.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    pub(crate) fn is_kind(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }

    pub(crate) fn is_crd(&self) -> bool {
        self.is_kind("apiextensions.k8s.io", "CustomResourceDefinition")
    }
}

impl From<InventoryObject> for ObjectId {
    fn from(object: InventoryObject) -> Self {
        let InventoryObject {
            group,
            version,
            kind,
            namespace,
            name,
        } = object;
        Self {
            group,
            version,
            kind,
            namespace,
            name,
        }
    }
}

impl From<ObjectId> for InventoryObject {
    fn from(id: ObjectId) -> Self {
        let ObjectId {
            group,
            version,
            kind,
            namespace,
            name,
        } = id;
        Self {
            group,
            version,
            kind,
            namespace,
            name,
        }
    }
}

/// `Kind "name"` or `Kind "name" in namespace "namespace"`, for messages.
impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} \"{}\"", self.kind, self.name)?;
        match &self.namespace {
            Some(namespace) => write!(f, " in namespace \"{namespace}\""),
            None => Ok(()),
        }
    }
}

fn is_dns(text: &str) -> bool {
    text.len() <= MAX_NAME
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
        && !text.starts_with(['.', '-'])
        && !text.ends_with(['.', '-'])
        && !text.contains("..")
}

// RBAC names are any path segment (`system:node`), so that this is wider than a DNS name.
fn is_path_segment(text: &str) -> bool {
    text.len() <= MAX_NAME
        && text != "."
        && text != ".."
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"/\\%?#\"<>".contains(&byte))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_group_and_core_kinds() {
        let id = ObjectId::of(&json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "a", "namespace": "b"}
        }))
        .unwrap();
        assert_eq!(id.key(), ("apps", "Deployment", Some("b"), "a"));
        assert_eq!(id.api_version(), "apps/v1");
        assert_eq!(id.to_string(), r#"Deployment "a" in namespace "b""#);
        let id = ObjectId::of(&json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}
        }))
        .unwrap();
        assert_eq!((id.group.as_str(), id.api_version().as_str()), ("", "v1"));
        assert_eq!(id.to_string(), r#"Namespace "a""#);
        assert_eq!(
            serde_json::to_value(&id).unwrap(),
            json!({"group": "", "version": "v1", "kind": "Namespace", "name": "a"})
        );
    }

    #[rstest]
    #[case::list(json!([]), "a manifest is not an object")]
    #[case::nothing(json!({}), "an object has no `apiVersion`")]
    #[case::kind(json!({"apiVersion": "v1"}), "an object has no `kind`")]
    #[case::generated(
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "x-"}}),
        "a Pod has no `metadata.name`"
    )]
    #[case::escape(
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "../nodes"}}),
        "Pod \"../nodes\" has a `metadata.name` that Kubernetes does not accept"
    )]
    #[case::query(
        json!({"apiVersion": "v1?x=y", "kind": "Pod", "metadata": {"name": "a"}}),
        "Pod \"a\" has a `apiVersion` that Kubernetes does not accept"
    )]
    #[case::dots(
        json!({"apiVersion": "../v1", "kind": "Pod", "metadata": {"name": "a"}}),
        "Pod \"a\" has a `apiVersion` that Kubernetes does not accept"
    )]
    #[case::slash(
        json!({"apiVersion": "/v1", "kind": "Pod", "metadata": {"name": "a"}}),
        "Pod \"a\" has a `apiVersion` that Kubernetes does not accept"
    )]
    #[case::namespace(
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "b/c"}}),
        "Pod \"a\" has a `metadata.namespace` that Kubernetes does not accept"
    )]
    fn refuses_what_has_no_address(#[case] object: Value, #[case] text: &str) {
        assert_eq!(ObjectId::of(&object).unwrap_err().to_string(), text);
    }

    #[test]
    fn ignores_the_version_when_comparing_objects() {
        let object = |version: &str| ObjectId {
            group: "g".into(),
            version: version.into(),
            kind: "K".into(),
            namespace: None,
            name: "n".into(),
        };
        assert!(object("v1").is_same_object(&object("v2")));
        assert_ne!(object("v1"), object("v2"));
    }
}
