//! Content of ConfigMaps of the suite's namespace.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use olm_api::bundle::{BundleSource, ConfigMapSource};
use olm_fs::layers::Caps;
use olm_source::inside;
use olm_tree::RelPath;

use super::{FetchError, Fetched, Sources};

/// Most ConfigMaps of one Bundle.
const MAX_ENTRIES: usize = 256;

/// Why ConfigMaps give no content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ConfigMapsError {
    /// It does not exist.
    #[error("get configmap {namespace}/{name}: ConfigMap {name:?} not found")]
    NotFound {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// It cannot be read.
    #[error("get configmap {namespace}/{name}")]
    Read {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// What the client found.
        source: kube::Error,
    },
    /// It may change.
    #[error(
        "bundle.spec.source.configmaps[{index}].configmap.name is invalid: configmap {name:?} is \
         not immutable"
    )]
    Mutable {
        /// Which entry names it.
        index: usize,
        /// Its name.
        name: String,
    },
    /// A path leads out of the content.
    #[error(
        "bundle.spec.source.configmaps[{index}].path is invalid: {path:?} is outside bundle root"
    )]
    Outside {
        /// Which entry.
        index: usize,
        /// Its path.
        path: String,
    },
    /// Two ConfigMaps have the same file, as often as this is so.
    #[error("{}", aggregate(.0))]
    Duplicate(Vec<(String, BTreeSet<String>)>),
    /// There are too many, or too much is in them.
    #[error("the configmaps have more than {limit} {what}")]
    TooLarge {
        /// What is limited.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}

impl ConfigMapsError {
    /// Whether nothing can help but a change of a ConfigMap, which is watched, if that.
    pub(crate) fn is_terminal(&self) -> bool {
        !matches!(self, Self::Read { .. })
    }
}

fn aggregate(duplicates: &[(String, BTreeSet<String>)]) -> String {
    let texts: Vec<_> = duplicates
        .iter()
        .map(|(path, names)| {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            format!(
                "duplicate path {path:?} found in configmaps [{}]",
                names.join(" ")
            )
        })
        .collect();
    match texts.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

impl Sources {
    pub(super) async fn config_maps(&self, source: &BundleSource) -> Result<Fetched, FetchError> {
        let entries = source.config_maps.as_deref().unwrap_or_default();
        if entries.len() > MAX_ENTRIES {
            let limit = MAX_ENTRIES as u64;
            return Err(ConfigMapsError::TooLarge {
                what: "entries",
                limit,
            }
            .into());
        }
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut found = BTreeMap::new();
        for entry in entries {
            let name = entry.config_map.name.clone().unwrap_or_default();
            if found.contains_key(&name) {
                continue;
            }
            let (namespace, missing) = (self.namespace.clone(), name.clone());
            let map = match api.get_opt(&name).await {
                Ok(Some(map)) => map,
                Ok(None) => {
                    let name = missing;
                    return Err(ConfigMapsError::NotFound { namespace, name }.into());
                }
                Err(source) => {
                    let name = missing;
                    return Err(ConfigMapsError::Read {
                        namespace,
                        name,
                        source,
                    }
                    .into());
                }
            };
            found.insert(name, map);
        }
        let stored = self.contents.put(files(entries, &found)?).await?;
        Ok(Fetched {
            resolved: source.clone(),
            digest: stored.digest,
            tree: stored.tree,
        })
    }
}

/// The files that the entries make of their ConfigMaps.
fn files(
    entries: &[ConfigMapSource],
    found: &BTreeMap<String, ConfigMap>,
) -> Result<Vec<(RelPath, Vec<u8>)>, ConfigMapsError> {
    let mut files: BTreeMap<RelPath, (Vec<u8>, BTreeSet<String>)> = BTreeMap::new();
    let mut size = 0_u64;
    for (index, entry) in entries.iter().enumerate() {
        let name = entry.config_map.name.clone().unwrap_or_default();
        let Some(map) = found.get(&name) else {
            continue;
        };
        if map.immutable != Some(true) {
            return Err(ConfigMapsError::Mutable { index, name });
        }
        let path = entry.path.clone().unwrap_or_default();
        let outside = |path| ConfigMapsError::Outside { index, path };
        let folder = inside(&path).ok_or_else(|| outside(path.clone()))?;
        let text = map.data.iter().flatten();
        let text = text.map(|(key, value)| (key, value.as_bytes()));
        let binary = map.binary_data.iter().flatten();
        let binary = binary.map(|(key, value)| (key, value.0.as_slice()));
        for (key, bytes) in text.chain(binary) {
            let file = folder.join(key).map_err(|_| outside(key.clone()))?;
            size = size.saturating_add(bytes.len() as u64);
            let (_, names) = files
                .entry(file)
                .or_insert_with(|| (bytes.to_vec(), BTreeSet::new()));
            names.insert(name.clone());
        }
    }
    let limit = Caps::BUNDLE.kept_bytes;
    if size > limit {
        return Err(ConfigMapsError::TooLarge {
            what: "bytes",
            limit,
        });
    }
    let duplicates: Vec<_> = files
        .iter()
        .filter(|(_, (_, names))| names.len() > 1)
        .map(|(path, (_, names))| (path.to_string(), names.clone()))
        .collect();
    if !duplicates.is_empty() {
        return Err(ConfigMapsError::Duplicate(duplicates));
    }
    Ok(files
        .into_iter()
        .map(|(path, (bytes, _))| (path, bytes))
        .collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::{Value, json};

    use super::*;

    fn of(entries: &[(&str, &str)], maps: &[(&str, Value)]) -> Result<Vec<String>, String> {
        let entries: Vec<ConfigMapSource> = entries
            .iter()
            .map(|(name, path)| json!({"configMap": {"name": name}, "path": path}))
            .map(|entry| serde_json::from_value(entry).unwrap())
            .collect();
        let maps = maps
            .iter()
            .map(|(name, map)| {
                (
                    (*name).to_owned(),
                    serde_json::from_value(map.clone()).unwrap(),
                )
            })
            .collect();
        let files = files(&entries, &maps).map_err(|error| error.to_string())?;
        let shown = |(path, bytes): (RelPath, Vec<u8>)| {
            format!("{path}={}", String::from_utf8_lossy(&bytes))
        };
        Ok(files.into_iter().map(shown).collect())
    }

    #[test]
    fn keys_are_files_below_the_path() {
        let maps = [
            (
                "a",
                json!({"immutable": true, "data": {"x": "1"}, "binaryData": {"y": "Mg=="}}),
            ),
            ("b", json!({"immutable": true, "data": {"z": "3"}})),
        ];
        let entries = [("a", "manifests"), ("a", "./manifests/"), ("b", "")];
        let expected = ["manifests/x=1", "manifests/y=2", "z=3"].map(str::to_owned);
        assert_eq!(of(&entries, &maps).unwrap(), expected);
    }

    #[test]
    fn what_contradicts_itself_or_may_change_is_refused() {
        let fixed = || json!({"immutable": true, "data": {"x": "1", "y": "2"}});
        let maps = [
            ("b", fixed()),
            ("a", fixed()),
            ("open", json!({"data": {"x": "1"}})),
        ];
        assert_eq!(
            of(&[("b", "m"), ("a", "m/")], &maps).unwrap_err(),
            "[duplicate path \"m/x\" found in configmaps [a b], \
             duplicate path \"m/y\" found in configmaps [a b]]"
        );
        for path in ["..", "../m", "/m", "m/../.."] {
            assert_eq!(
                of(&[("a", path)], &maps).unwrap_err(),
                format!(
                    "bundle.spec.source.configmaps[0].path is invalid: {path:?} is outside bundle root"
                )
            );
        }
        assert_eq!(
            of(&[("a", ""), ("open", "m")], &maps).unwrap_err(),
            "bundle.spec.source.configmaps[1].configmap.name is invalid: configmap \"open\" is not \
             immutable"
        );
    }
}
