//! The documents that mean something to a resolver.
//!
//! Field names are read as written in the specification; unknown fields are ignored. A list or text
//! that is absent or null is empty.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// `olm.package`: a package and its default channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Package {
    /// Its name.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// The channel followed where none is asked for in the graph; resolution does not consult it.
    #[serde(deserialize_with = "or_default")]
    pub default_channel: String,
}

/// `olm.channel`: upgrade edges between bundles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Channel {
    /// The package it belongs to.
    #[serde(deserialize_with = "or_default")]
    pub package: String,
    /// Its name, unique in the package.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// Its bundles.
    #[serde(deserialize_with = "or_default")]
    pub entries: Vec<ChannelEntry>,
}

/// A bundle in a channel, and what it may be installed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ChannelEntry {
    /// Name of the bundle.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// Name of the bundle it replaces; may be absent from the channel.
    #[serde(skip_serializing_if = "says_nothing")]
    pub replaces: Option<String>,
    /// Names of further bundles it may be installed over.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub skips: Vec<String>,
    /// Range, in the language of `olm_semver::blang`, of versions it may be installed over.
    #[serde(skip_serializing_if = "says_nothing")]
    pub skip_range: Option<String>,
}

/// `olm.bundle`: one version of a package.
#[derive(Debug, Clone, Default)]
pub struct Bundle {
    /// The package it belongs to.
    pub package: String,
    /// Its name, unique in the package.
    pub name: String,
    /// The image that holds it; `""` where its objects are embedded.
    pub image: String,
    /// Its properties in the order written, without those the reader was told to drop.
    pub properties: Vec<Property>,
    /// The images it uses; empty where the reader was told to drop them.
    pub related_images: Vec<RelatedImage>,
    /// What a resolver needs of a dropped `olm.csv.metadata` property.
    pub csv: CsvFacts,
}

/// One property of a bundle.
#[derive(Debug, Clone)]
pub struct Property {
    /// Its type, such as `olm.gvk`.
    pub type_: String,
    /// Its value, as written.
    pub value: Box<RawValue>,
}

/// An image that a bundle uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct RelatedImage {
    /// A name; may be empty.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// The reference.
    #[serde(deserialize_with = "or_default")]
    pub image: String,
}

/// The part of an `olm.csv.metadata` property that resolution looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CsvFacts {
    /// The lowest Kubernetes version the bundle runs on, as written.
    pub min_kube_version: Option<String>,
    /// The bundle it substitutes (annotation `olm.substitutesFor`). Where set, the build metadata of
    /// its version is a release.
    pub substitutes_for: Option<String>,
}

/// `olm.deprecations`: what of a package should not be used any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Deprecations {
    /// The package.
    #[serde(deserialize_with = "or_default")]
    pub package: String,
    /// What is deprecated, and why.
    #[serde(deserialize_with = "or_default")]
    pub entries: Vec<Deprecation>,
}

/// One deprecated thing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Deprecation {
    /// What is deprecated.
    #[serde(deserialize_with = "or_default")]
    pub reference: DeprecationReference,
    /// Shown to users; an empty one does not count as a deprecation.
    #[serde(deserialize_with = "or_default")]
    pub message: String,
}

/// What a deprecation is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct DeprecationReference {
    /// `olm.package`, `olm.channel` or `olm.bundle`.
    #[serde(deserialize_with = "or_default")]
    pub schema: String,
    /// Name of the channel or bundle; empty for the package.
    #[serde(
        deserialize_with = "or_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub name: String,
}

/// Null stands for nothing, as it does for the reference.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[expect(clippy::ref_option, reason = "serde hands fields over like this")]
fn says_nothing(text: &Option<String>) -> bool {
    text.as_deref().is_none_or(str::is_empty)
}
