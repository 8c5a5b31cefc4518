//! The checks of a model; all findings are collected.
//!
//! The reference also checks that channels and bundles are linked to their parents, which this
//! model cannot express otherwise.

use std::collections::{BTreeMap, BTreeSet};

use olm_semver::blang;

use crate::graph::{ChannelGraph, skip_range};
use crate::model::{Bundle, Channel, Invalid, Level, Model, Package};
use crate::property::{self, PropertyValue};
use crate::release::{VersionRelease, normalized_name};
use crate::schema::ChannelEntry;

impl Model {
    /// Checks the model.
    ///
    /// # Errors
    /// Everything that is wrong, as a tree; siblings are sorted.
    pub fn check(&self, level: Level) -> Result<(), Invalid> {
        self.check_some(level, |_| true)
    }

    /// As [`Model::check`], of those packages alone for which `wanted` holds.
    pub(crate) fn check_some(
        &self,
        level: Level,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<(), Invalid> {
        let mut within = Vec::new();
        for (key, package) in self.packages.iter().filter(|(key, _)| wanted(key)) {
            let name = &package.name;
            if key != name {
                within.push(Invalid::leaf(format!(
                    "package key {key:?} does not match package name {name:?}"
                )));
            }
            within.extend(node(
                format!("invalid package {name:?}"),
                package.check(level),
            ));
        }
        node("invalid index".to_owned(), within).map_or(Ok(()), Err)
    }
}

fn node(message: String, within: Vec<Invalid>) -> Option<Invalid> {
    (!within.is_empty()).then_some(Invalid { message, within })
}

fn check_deprecation(message: Option<&String>, found: &mut Vec<Invalid>) {
    if message.is_some_and(String::is_empty) {
        found.push(Invalid::leaf("invalid deprecation: message must be set"));
    }
}

impl Package {
    fn check(&self, level: Level) -> Vec<Invalid> {
        let mut found = Vec::new();
        if self.name.is_empty() {
            found.push(Invalid::leaf("package name must not be empty"));
        }
        if self.default_channel.is_none() {
            found.push(Invalid::leaf("default channel must be set"));
        }
        if self.channels.is_empty() {
            found.push(Invalid::leaf("package must contain at least one channel"));
        }
        for (key, channel) in &self.channels {
            let name = &channel.name;
            if key != name {
                found.push(Invalid::leaf(format!(
                    "channel key {key:?} does not match channel name {name:?}"
                )));
            }
            found.extend(node(
                format!("invalid channel {name:?}"),
                channel.check(self, level),
            ));
        }
        if level == Level::Current {
            found.extend(self.check_versions());
        }
        if let Some(name) = &self.default_channel
            && !self.channels.contains_key(name)
        {
            found.push(Invalid::leaf(format!(
                "default channel {name:?} not found in channels list"
            )));
        }
        check_deprecation(self.deprecation.as_ref(), &mut found);
        found
    }

    /// Two versions are one when their whole text is, build metadata and release included.
    fn check_versions(&self) -> Option<Invalid> {
        let mut bundles: BTreeMap<(&VersionRelease, String), BTreeSet<&str>> = BTreeMap::new();
        for channel in self.channels.values() {
            for name in channel.entries.keys() {
                if let Some(bundle) = self.bundles.get(name) {
                    let key = (&bundle.version, bundle.version.to_string());
                    bundles.entry(key).or_default().insert(name);
                }
            }
        }
        let duplicates: Vec<String> = bundles
            .iter()
            .filter(|(_, names)| names.len() > 1)
            .map(|((_, version), names)| {
                let names: Vec<&str> = names.iter().copied().collect();
                format!("{{{version}: [{}]}}", names.join(", "))
            })
            .collect();
        (!duplicates.is_empty()).then(|| {
            Invalid::leaf(format!(
                "duplicate versions found in bundles: [{}]",
                duplicates.join(" ")
            ))
        })
    }
}

impl Channel {
    fn check(&self, package: &Package, level: Level) -> Vec<Invalid> {
        let mut found = Vec::new();
        if self.name.is_empty() {
            found.push(Invalid::leaf("channel name must not be empty"));
        }
        if self.entries.is_empty() {
            found.push(Invalid::leaf("channel must contain at least one bundle"));
        } else if let Err(error) = ChannelGraph::new(self.entries.values()).check() {
            found.push(Invalid::leaf(error.to_string()));
        }
        for (key, entry) in &self.entries {
            let name = &entry.name;
            if key != name {
                found.push(Invalid::leaf(format!(
                    "bundle key {key:?} does not match bundle name {name:?}"
                )));
            }
            let bundle = package.bundles.get(key);
            found.extend(node(
                format!("invalid bundle {name:?}"),
                check_bundle(&package.name, entry, bundle, level),
            ));
        }
        check_deprecation(self.deprecation.as_ref(), &mut found);
        found
    }
}

/// Checks an entry and its bundle, which may be missing.
fn check_bundle(
    package: &str,
    entry: &ChannelEntry,
    bundle: Option<&Bundle>,
    level: Level,
) -> Vec<Invalid> {
    let mut found = Vec::new();
    if entry.name.is_empty() {
        found.push(Invalid::leaf("name must be set"));
    }
    if let Some(bundle) = bundle
        && bundle.version.release.is_some()
    {
        let normal = normalized_name(package, &bundle.version);
        if entry.name != normal {
            found.push(Invalid::leaf(format!(
                "name {:?} does not match normalized name {normal:?}",
                entry.name
            )));
        }
    }
    let parsed = count_packages(bundle);
    if let Err(error) = &parsed {
        found.push(Invalid::leaf(error.to_string()));
    }
    for (at, skip) in entry.skips.iter().enumerate() {
        if skip.is_empty() {
            found.push(Invalid::leaf(format!("skip[{at}] is empty")));
        }
    }
    if let Some(range) = skip_range(entry)
        && level == Level::Current
        && let Err(error) = blang::Range::parse(range)
    {
        found.push(Invalid::leaf(format!(
            "invalid skipRange {range:?}: {error}"
        )));
    }
    if parsed.is_ok_and(|count| count != 1) {
        found.push(Invalid::leaf(
            "must be exactly one property with type \"olm.package\"",
        ));
    }
    let is_empty =
        |bundle: &Bundle| bundle.document.image.is_empty() && bundle.document.summary.objects == 0;
    if bundle.is_none_or(is_empty) {
        found.push(Invalid::leaf("bundle image must be set"));
    }
    if let Some(bundle) = bundle {
        check_deprecation(bundle.deprecation.as_ref(), &mut found);
        let version = &bundle.version;
        if version.release.is_some() && !version.version.build().is_empty() {
            found.push(Invalid::leaf(
                "cannot use build metadata in version with a release version",
            ));
        }
    }
    found
}

/// How many properties name the package.
fn count_packages(bundle: Option<&Bundle>) -> Result<usize, property::PropertyError> {
    let mut count = 0;
    for (index, property) in bundle
        .iter()
        .flat_map(|bundle| bundle.document.properties.iter().enumerate())
    {
        if matches!(property::parse(index, property)?, PropertyValue::Package(_)) {
            count += 1;
        }
    }
    Ok(count)
}
