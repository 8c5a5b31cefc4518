//! The model: packages with their channels and bundles, as far as the documents make sense.

use std::collections::BTreeMap;
use std::fmt;

use crate::config::{self, Config, Icon, Property};
use crate::release::VersionRelease;
use crate::schema::ChannelEntry;

/// All packages of a catalog.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// By name.
    pub packages: BTreeMap<String, Package>,
}

/// A package.
#[derive(Debug, Clone, Default)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Its icon.
    pub icon: Option<Icon>,
    /// The channel followed where a user names none.
    pub default_channel: Option<String>,
    /// Its channels by name.
    pub channels: BTreeMap<String, Channel>,
    /// Its bundles by name.
    pub bundles: BTreeMap<String, Bundle>,
    /// Why it should not be used any more.
    pub deprecation: Option<String>,
}

/// A channel.
#[derive(Debug, Clone, Default)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// Its entries by name; each names a bundle of the package.
    pub entries: BTreeMap<String, ChannelEntry>,
    /// Its properties.
    pub properties: Vec<Property>,
    /// Why it should not be used any more.
    pub deprecation: Option<String>,
}

/// A bundle.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The document.
    pub document: config::Bundle,
    /// Its version and release.
    pub version: VersionRelease,
    /// Why it should not be used any more.
    pub deprecation: Option<String>,
}

/// How strictly a catalog is checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Level {
    /// As the reference does today.
    #[default]
    Current,
    /// As the reference did at v1.34: package names, image references and releases in any form, one
    /// version in several bundles, ranges of any form.
    R34,
}

/// An error with the errors below it; displays as a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Invalid {
    /// What is wrong, or what holds what is wrong.
    pub message: String,
    /// The errors within.
    pub within: Vec<Self>,
}

impl Invalid {
    /// An error with nothing below it.
    pub(crate) fn leaf(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            within: Vec::new(),
        }
    }

    fn draw(&self, f: &mut fmt::Formatter<'_>, prefix: &str) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.within.is_empty() {
            f.write_str(":")?;
        }
        for (at, inner) in self.within.iter().enumerate() {
            let last = at + 1 == self.within.len();
            let (branch, deeper) = if last {
                ("└── ", "    ")
            } else {
                ("├── ", "│   ")
            };
            write!(f, "\n{prefix}{branch}")?;
            inner.draw(f, &format!("{prefix}{deeper}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Four levels at most: index, package, channel, bundle.
        self.draw(f, "")
    }
}

impl Model {
    /// The documents of the model: entries by name, properties by type and value without
    /// duplicates. The properties of packages, all deprecations and documents of other schemas are
    /// not part of a model and so are lost.
    pub fn to_config(&self) -> Config {
        let mut config = Config::default();
        for package in self.packages.values() {
            config.packages.push(config::Package {
                name: package.name.clone(),
                default_channel: package.default_channel.clone().unwrap_or_default(),
                icon: package.icon.clone(),
                description: package.description.clone(),
                properties: Vec::new(),
            });
            for channel in package.channels.values() {
                config.channels.push(config::Channel {
                    name: channel.name.clone(),
                    package: package.name.clone(),
                    entries: channel.entries.values().cloned().collect(),
                    properties: channel.properties.clone(),
                });
            }
            for bundle in package.bundles.values() {
                let mut document = bundle.document.clone();
                let key =
                    |property: &Property| (property.type_.clone(), property.json().to_owned());
                document.properties.sort_by_cached_key(key);
                document.properties.dedup();
                config.bundles.push(document);
            }
        }
        config
    }
}
