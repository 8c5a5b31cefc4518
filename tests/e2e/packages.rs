//! Packages in the shapes that the tests need, made from the fixtures.

use olm_tests::content::PackageContent;
use olm_tests::fixture::{Package, Version};
use olm_tree::{MemoryTree, RelPath, Tree as _};
use serde_json::{Value, json};

/// A package with these versions, oldest first, each replacing the one before in `stable`.
pub(crate) fn package(name: &str, versions: &[&str]) -> PackageContent {
    let versions = versions.iter().map(|version| Version::new(version));
    Package::new(name, versions).content()
}

/// Changes to a package.
pub(crate) trait Shape: Sized {
    /// With one more channel: each version replaces the one before.
    fn with_channel(self, channel: &str, versions: &[&str]) -> Self;
    /// With one more property of a bundle.
    fn with_property(self, version: &str, kind: &str, value: Value) -> Self;
    /// With an image that is not made by publishing.
    fn with_image(self, version: &str, image: &str) -> Self;
}

impl Shape for PackageContent {
    fn with_channel(mut self, channel: &str, versions: &[&str]) -> Self {
        let name = |version: &str| format!("{}.v{version}", self.name);
        let entries: Vec<Value> = versions
            .iter()
            .enumerate()
            .map(|(index, version)| match index.checked_sub(1) {
                Some(before) => {
                    json!({"name": name(version), "replaces": name(versions[before])})
                }
                None => json!({"name": name(version)}),
            })
            .collect();
        self.channels.retain(|other| other["name"] != channel);
        self.channels.push(json!({
            "schema": "olm.channel", "package": self.name, "name": channel, "entries": entries,
        }));
        self
    }

    fn with_property(mut self, version: &str, kind: &str, value: Value) -> Self {
        let bundle = self.bundles.iter_mut().find(|of| of.version == version);
        let properties = bundle.unwrap().meta["properties"].as_array_mut().unwrap();
        properties.push(json!({"type": kind, "value": value}));
        self
    }

    fn with_image(mut self, version: &str, image: &str) -> Self {
        let bundle = self.bundles.iter_mut().find(|of| of.version == version);
        bundle.unwrap().meta["image"] = json!(image);
        self
    }
}

/// The files of a bundle with one of them replaced, or added.
pub(crate) fn replaced(files: &MemoryTree, path: &str, content: &[u8]) -> MemoryTree {
    let mut tree = MemoryTree::default();
    let mut folders = vec![RelPath::root()];
    while let Some(folder) = folders.pop() {
        for entry in files.list(&folder).unwrap() {
            let inside = folder.join(&entry.name).unwrap();
            if entry.kind == olm_tree::NodeKind::Directory {
                folders.push(inside);
            } else if inside.as_str() != path {
                let bytes = files.read(&inside, 1 << 24).unwrap();
                tree.insert(inside.as_str(), bytes).unwrap();
            }
        }
    }
    tree.insert(path, content).unwrap();
    tree
}
