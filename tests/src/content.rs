//! Packages to publish: bundles with their files, and what a catalog says of them.
//!
//! The real ones come from the data folder (`OLM_TEST_DATA`, else `shared/data` beside the
//! repository); [`crate::fixture`] writes others where that is absent or where a test needs a
//! bundle of a certain shape.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use olm_tree::MemoryTree;
use serde_json::{Value, json};

/// A bundle: its files, and its entry in a catalog.
#[derive(Clone, Debug)]
pub struct BundleContent {
    /// Its version.
    pub version: String,
    /// Its name in the catalog.
    pub name: String,
    /// The files of its image.
    pub files: MemoryTree,
    /// Its `olm.bundle` entry; `image` is replaced when it is published.
    pub meta: Value,
}

/// A package of a catalog, with the bundles that are there.
#[derive(Clone, Debug)]
pub struct PackageContent {
    /// Its name.
    pub name: String,
    /// Its `olm.package` entry.
    pub meta: Value,
    /// Its `olm.channel` entries.
    pub channels: Vec<Value>,
    /// Its bundles.
    pub bundles: Vec<BundleContent>,
}

impl PackageContent {
    /// The real package `name`, reduced to `versions`; `None` where there is no real data.
    ///
    /// Channel entries of other bundles are dropped, the edges of those that stay are kept.
    ///
    /// # Errors
    /// When the data is there and lacks the package or one of the versions.
    pub fn real(name: &str, versions: &[&str]) -> Result<Option<Self>> {
        let Some(data) = data()? else { return Ok(None) };
        let path = data
            .join("catalogs/community-v4.20")
            .join(name)
            .join("catalog.yaml");
        let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let mut package = Self {
            name: name.to_owned(),
            meta: json!({}),
            channels: Vec::new(),
            bundles: Vec::new(),
        };
        for document in olm_yaml::documents(&text, &olm_yaml::Limits::default()) {
            let meta = document?.value;
            match meta["schema"].as_str() {
                Some("olm.package") => package.meta = meta,
                Some("olm.channel") => package.channels.push(meta),
                Some("olm.bundle") => {
                    let version = version(&meta).unwrap_or_default();
                    if versions.contains(&version.as_str()) {
                        let folder = data.join("bundles").join(name).join(&version);
                        package.bundles.push(BundleContent {
                            version,
                            name: meta["name"].as_str().unwrap_or_default().to_owned(),
                            files: files(&folder)?,
                            meta,
                        });
                    }
                }
                _ => {}
            }
        }
        anyhow::ensure!(
            package.bundles.len() == versions.len(),
            "`{}` does not have all of {versions:?}",
            path.display()
        );
        package.drop_absent_entries();
        Ok(Some(package))
    }

    /// The same package without `version`.
    #[must_use]
    pub fn without(&self, version: &str) -> Self {
        let mut package = self.clone();
        package.bundles.retain(|bundle| bundle.version != version);
        package.drop_absent_entries();
        package
    }

    /// The bundle of `version`.
    ///
    /// # Errors
    /// When there is none.
    pub fn bundle(&self, version: &str) -> Result<&BundleContent> {
        self.bundles
            .iter()
            .find(|bundle| bundle.version == version)
            .with_context(|| format!("`{}` has no version {version}", self.name))
    }

    fn drop_absent_entries(&mut self) {
        let names: BTreeSet<&str> = self
            .bundles
            .iter()
            .map(|bundle| bundle.name.as_str())
            .collect();
        for channel in &mut self.channels {
            if let Some(entries) = channel["entries"].as_array_mut() {
                entries.retain(|entry| names.contains(entry["name"].as_str().unwrap_or_default()));
            }
        }
        self.channels
            .retain(|channel| channel["entries"].as_array().is_some_and(|e| !e.is_empty()));
    }

    /// The file of the package in a catalog, with the given image for each bundle name.
    ///
    /// # Errors
    /// When an entry cannot be written as YAML.
    pub fn catalog_file(&self, images: &BTreeMap<String, String>) -> Result<String> {
        let mut documents = vec![self.meta.clone()];
        documents.extend(self.channels.clone());
        for bundle in &self.bundles {
            let mut meta = bundle.meta.clone();
            if let Some(image) = images.get(&bundle.name) {
                meta["image"] = json!(image);
            }
            documents.push(meta);
        }
        let mut file = String::new();
        for document in &documents {
            file.push_str("---\n");
            file.push_str(&olm_yaml::to_string(document)?);
        }
        Ok(file)
    }
}

/// The folder of real data, where there is one.
///
/// # Errors
/// When `OLM_TEST_DATA` names a folder without the data.
pub fn data() -> Result<Option<PathBuf>> {
    // A wrong folder is noticed here, and not where something of it is read.
    olm_testdata::find("bundles")?;
    Ok(olm_testdata::find("")?)
}

/// The real bundles in the folder of real data, as `PACKAGE/VERSION`, in order.
///
/// # Errors
/// When the folder cannot be read.
pub fn bundles(data: &Path) -> Result<BTreeSet<String>> {
    let mut bundles = BTreeSet::new();
    for package in std::fs::read_dir(data.join("bundles"))? {
        let package = package?.path();
        if package.is_dir() {
            for version in std::fs::read_dir(&package)? {
                let path = version?.path();
                let name = path.strip_prefix(data.join("bundles"))?;
                bundles.insert(name.to_string_lossy().into_owned());
            }
        }
    }
    Ok(bundles)
}

/// The bytes of all files of a folder.
///
/// # Errors
/// When the folder cannot be read.
pub fn size(folder: &Path) -> Result<u64> {
    let mut size = 0;
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        size += if metadata.is_dir() {
            self::size(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(size)
}

/// All files of a folder.
///
/// # Errors
/// When the folder or one of its files cannot be read.
pub fn files(folder: &Path) -> Result<MemoryTree> {
    let mut tree = MemoryTree::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).with_context(|| next.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
                tree.insert(&name, std::fs::read(&path)?)?;
            }
        }
    }
    Ok(tree)
}

/// The version that an `olm.bundle` entry declares.
fn version(bundle: &Value) -> Option<String> {
    bundle["properties"]
        .as_array()?
        .iter()
        .find(|property| property["type"] == "olm.package")
        .and_then(|property| property["value"]["version"].as_str())
        .map(str::to_owned)
}
