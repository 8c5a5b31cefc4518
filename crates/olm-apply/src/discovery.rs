//! Which kinds the API server serves, read one group and version at a time and remembered.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroup, APIResourceList};
use kube::Client;
use kube::core::ApiResource;
use serde_json::Value;
use tokio::sync::RwLock;

use crate::error::{ApplyError, RequestError};

/// A kind as the API server serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Group, version, kind and plural.
    pub api: ApiResource,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

impl Resource {
    pub(crate) fn new(
        group: &str,
        version: &str,
        kind: &str,
        plural: &str,
        namespaced: bool,
    ) -> Self {
        let api_version = if group.is_empty() {
            version.to_owned()
        } else {
            format!("{group}/{version}")
        };
        Self {
            api: ApiResource {
                group: group.to_owned(),
                version: version.to_owned(),
                api_version,
                kind: kind.to_owned(),
                plural: plural.to_owned(),
            },
            namespaced,
        }
    }

    /// The kind that a `CustomResourceDefinition` defines, in this version; nothing where it does
    /// not serve that.
    pub(crate) fn of_crd(crd: &Value, version: &str) -> Option<Self> {
        let spec = &crd["spec"];
        spec["versions"]
            .as_array()?
            .iter()
            .find(|entry| entry["name"] == version && entry["served"] == true)?;
        Some(Self::new(
            spec["group"].as_str()?,
            version,
            spec["names"]["kind"].as_str()?,
            spec["names"]["plural"].as_str()?,
            spec["scope"].as_str()? == "Namespaced",
        ))
    }
}

type Kinds = Arc<HashMap<String, Resource>>;

/// A cache of kinds that reads a group and version when it is first asked for, and once more when
/// it is asked for a kind that it does not know: whoever has just made a kind finds it.
///
/// A whole discovery would read megabytes on a large cluster for the few kinds that a bundle has.
pub struct Discovery {
    client: Client,
    known: RwLock<HashMap<String, Kinds>>,
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovery").finish_non_exhaustive()
    }
}

impl Discovery {
    /// An empty cache.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            known: RwLock::default(),
        }
    }

    /// The kind as it is served, or nothing.
    ///
    /// # Errors
    ///
    /// The API server, or the extension server behind the group, does not answer.
    pub async fn find(
        &self,
        group: &str,
        version: &str,
        kind: &str,
    ) -> Result<Option<Resource>, ApplyError> {
        let group_version = if group.is_empty() {
            version.to_owned()
        } else {
            format!("{group}/{version}")
        };
        let cached = self.known.read().await.get(&group_version).cloned();
        if let Some(resource) = cached.and_then(|kinds| kinds.get(kind).cloned()) {
            return Ok(Some(resource));
        }
        let kinds = self.read(group, version, &group_version).await?;
        let found = kinds.get(kind).cloned();
        let mut known = self.known.write().await;
        if kinds.is_empty() {
            // Nothing served is not remembered: names come from bundles and would pile up.
            known.remove(&group_version);
        } else {
            known.insert(group_version, kinds);
        }
        Ok(found)
    }

    /// The kind in this version, or in another one that the API server serves: what was applied
    /// in a version that has since gone is still there under the others.
    ///
    /// # Errors
    ///
    /// As [`Discovery::find`].
    pub async fn find_in_any_version(
        &self,
        group: &str,
        version: &str,
        kind: &str,
    ) -> Result<Option<Resource>, ApplyError> {
        if let Some(resource) = self.find(group, version, kind).await? {
            return Ok(Some(resource));
        }
        if group.is_empty() {
            return Ok(None);
        }
        for other in self.versions(group).await? {
            if other != version
                && let Some(resource) = self.find(group, &other, kind).await?
            {
                return Ok(Some(resource));
            }
        }
        Ok(None)
    }

    /// The kind of this plural, in the version that the API server prefers among those that have
    /// it: what a definition named `plural.group` defines.
    ///
    /// # Errors
    ///
    /// As [`Discovery::find`].
    pub(crate) async fn find_plural(
        &self,
        group: &str,
        plural: &str,
    ) -> Result<Option<Resource>, ApplyError> {
        for version in self.versions(group).await? {
            let found = self.all(group, &version).await?;
            if let Some(resource) = found.into_iter().find(|kind| kind.api.plural == plural) {
                return Ok(Some(resource));
            }
        }
        Ok(None)
    }

    /// The served versions of a group, the preferred one first.
    async fn versions(&self, group: &str) -> Result<Vec<String>, ApplyError> {
        let request = http::Request::get(format!("/apis/{group}")).body(Vec::new());
        let answer = match request.map_err(kube::Error::HttpError) {
            Ok(request) => self.client.request::<APIGroup>(request).await,
            Err(error) => Err(error),
        };
        match answer.map_err(RequestError::from) {
            Ok(group) => Ok(in_order_of_preference(&group)),
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(source) => Err(ApplyError::Discovery {
                group_version: group.to_owned(),
                source,
            }),
        }
    }

    /// Every kind of a group and version, by name; nothing where it is not served.
    ///
    /// # Errors
    ///
    /// As [`Discovery::find`].
    pub(crate) async fn all(
        &self,
        group: &str,
        version: &str,
    ) -> Result<Vec<Resource>, ApplyError> {
        let group_version = if group.is_empty() {
            version.to_owned()
        } else {
            format!("{group}/{version}")
        };
        let kinds = self.read(group, version, &group_version).await?;
        let mut kinds: Vec<Resource> = kinds.values().cloned().collect();
        kinds.sort_by(|left, right| left.api.kind.cmp(&right.api.kind));
        Ok(kinds)
    }

    /// Forgets a group and version, after a request to one of its kinds found no such path.
    pub async fn forget(&self, resource: &Resource) {
        self.known.write().await.remove(&resource.api.api_version);
    }

    async fn read(
        &self,
        group: &str,
        version: &str,
        group_version: &str,
    ) -> Result<Kinds, ApplyError> {
        let answer = if group.is_empty() {
            self.client.list_core_api_resources(version).await
        } else {
            self.client.list_api_group_resources(group_version).await
        };
        match answer.map_err(RequestError::from) {
            Ok(list) => Ok(Arc::new(kinds(group, version, list))),
            Err(error) if error.is_not_found() => Ok(Arc::default()),
            Err(source) => Err(ApplyError::Discovery {
                group_version: group_version.to_owned(),
                source,
            }),
        }
    }
}

/// The versions of a group, the preferred one first.
pub(crate) fn in_order_of_preference(group: &APIGroup) -> Vec<String> {
    let preferred = group.preferred_version.as_ref().map(|found| &found.version);
    let mut versions: Vec<&String> = group.versions.iter().map(|found| &found.version).collect();
    versions.sort_by_key(|version| Some(*version) != preferred);
    versions.into_iter().cloned().collect()
}

fn kinds(group: &str, version: &str, list: APIResourceList) -> HashMap<String, Resource> {
    let mut kinds = HashMap::new();
    for entry in list.resources {
        // Names with a slash are subresources; what cannot be patched and read is no content.
        let usable = ["get", "patch"]
            .iter()
            .all(|verb| entry.verbs.iter().any(|v| v == verb));
        if entry.name.contains('/') || !usable {
            continue;
        }
        let resource = Resource::new(group, version, &entry.kind, &entry.name, entry.namespaced);
        kinds.entry(entry.kind).or_insert(resource);
    }
    kinds
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_a_kind_from_its_definition() {
        let crd = json!({"spec": {
            "group": "example.com", "scope": "Cluster",
            "names": {"kind": "Thing", "plural": "things"},
            "versions": [
                {"name": "v0", "served": false, "storage": false},
                {"name": "v1", "served": true, "storage": false},
                {"name": "v2", "served": true, "storage": true}
            ]
        }});
        let thing = Resource::of_crd(&crd, "v2").unwrap();
        assert_eq!(
            thing,
            Resource::new("example.com", "v2", "Thing", "things", false)
        );
        assert_eq!(thing.api.api_version, "example.com/v2");
        assert!(Resource::of_crd(&crd, "v0").is_none());
        assert!(Resource::of_crd(&crd, "v3").is_none());
        assert!(Resource::of_crd(&json!({}), "v1").is_none());
    }

    #[test]
    fn leaves_out_subresources_and_what_cannot_be_patched() {
        let list: APIResourceList = serde_json::from_value(json!({
            "groupVersion": "v1",
            "resources": [
                {"name": "pods", "singularName": "", "namespaced": true, "kind": "Pod",
                 "verbs": ["get", "patch"]},
                {"name": "pods/status", "singularName": "", "namespaced": true, "kind": "Pod",
                 "verbs": ["get", "patch"]},
                {"name": "bindings", "singularName": "", "namespaced": true, "kind": "Binding",
                 "verbs": ["create"]}
            ]
        }))
        .unwrap();
        let kinds = kinds("", "v1", list);
        assert_eq!(kinds.len(), 1);
        assert_eq!(kinds["Pod"].api.plural, "pods");
    }
}
