//! The typed documents of a catalog, as tools read, check and write them.
//!
//! Field order is the order in which JSON is written; what is empty is left out, except where the
//! reference writes it.

use std::collections::BTreeSet;

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Meta;
use crate::schema::{ChannelEntry, Deprecations, RelatedImage, or_default};

/// `olm.package`
pub const PACKAGE: &str = "olm.package";
/// `olm.channel`
pub const CHANNEL: &str = "olm.channel";
/// `olm.bundle`
pub const BUNDLE: &str = "olm.bundle";
/// `olm.deprecations`
pub const DEPRECATIONS: &str = "olm.deprecations";

/// A catalog by kind of document, each list in the order read.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The packages.
    pub packages: Vec<Package>,
    /// The channels.
    pub channels: Vec<Channel>,
    /// The bundles.
    pub bundles: Vec<Bundle>,
    /// The deprecations.
    pub deprecations: Vec<Deprecations>,
    /// Documents of other schemas. Where the loader was told to keep what the graph needs, their
    /// [`Meta::line`] is empty.
    pub others: Vec<Meta>,
}

/// `olm.package`: a package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Package {
    /// Its name.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// The channel followed where a user names none.
    #[serde(deserialize_with = "or_default")]
    pub default_channel: String,
    /// The icon.
    pub icon: Option<Icon>,
    /// Free text, usually Markdown; `""` where there is none.
    #[serde(deserialize_with = "or_default")]
    pub description: String,
    /// Properties; nothing reads them.
    #[serde(deserialize_with = "or_default")]
    pub properties: Vec<Property>,
}

/// The icon of a package. Published catalogs hold wrong media types and data that is no image, so
/// neither is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Icon {
    /// The image, in base64.
    #[serde(rename = "base64data", deserialize_with = "or_default")]
    pub data: String,
    /// Its media type.
    #[serde(rename = "mediatype", deserialize_with = "or_default")]
    pub media_type: String,
}

/// `olm.channel`: a channel with its properties.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Channel {
    /// Its name, unique in the package.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// The package it belongs to.
    #[serde(deserialize_with = "or_default")]
    pub package: String,
    /// Its entries.
    #[serde(deserialize_with = "or_default")]
    pub entries: Vec<ChannelEntry>,
    /// Properties; nothing reads them.
    #[serde(deserialize_with = "or_default")]
    pub properties: Vec<Property>,
}

/// `olm.bundle`: one version of a package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Bundle {
    /// Its name, unique in the package.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// The package it belongs to.
    #[serde(deserialize_with = "or_default")]
    pub package: String,
    /// The image that holds it; `""` where its objects are embedded.
    #[serde(deserialize_with = "or_default")]
    pub image: String,
    /// Its properties in the order written.
    #[serde(deserialize_with = "or_default")]
    pub properties: Vec<Property>,
    /// The images it uses.
    #[serde(deserialize_with = "or_default")]
    pub related_images: Vec<RelatedImage>,
    /// What its manifests or its description say; derived when it is read and never written.
    #[serde(skip)]
    pub summary: Summary,
}

/// What a list shows of a bundle's ClusterServiceVersion, from the embedded manifests
/// (`olm.bundle.object`) or from `olm.csv.metadata`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Name for people.
    pub display_name: String,
    /// The bundle that this one substitutes (annotation `olm.substitutesFor`).
    pub substitutes_for: Option<String>,
    /// How many manifests are embedded.
    pub objects: usize,
}

/// One property of a package, channel or bundle.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "WrittenProperty")]
pub struct Property {
    /// Its type, such as `olm.gvk`.
    pub type_: String,
    /// Its value as canonical JSON; none where the document has none, which is an error for every
    /// type.
    pub value: Option<Box<RawValue>>,
}

/// A property as a document holds it.
#[derive(Deserialize)]
struct WrittenProperty {
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    type_: String,
    /// Null is a value, absence is none.
    #[serde(default, deserialize_with = "present")]
    value: Option<Value>,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl From<WrittenProperty> for Property {
    fn from(written: WrittenProperty) -> Self {
        Self {
            type_: written.type_,
            value: written.value.as_ref().and_then(raw),
        }
    }
}

impl Property {
    /// A property with a value.
    pub fn new(type_: impl Into<String>, value: &Value) -> Self {
        Self {
            type_: type_.into(),
            value: raw(value),
        }
    }

    /// The text of the value; `""` where there is none.
    pub fn json(&self) -> &str {
        self.value.as_deref().map_or("", RawValue::get)
    }
}

/// The canonical text of a value. Writing a value that was read cannot fail.
fn raw(value: &Value) -> Option<Box<RawValue>> {
    let line = crate::canonical::to_line(value).ok()?;
    RawValue::from_string(line).ok()
}

impl PartialEq for Property {
    fn eq(&self, other: &Self) -> bool {
        (&self.type_, self.json()) == (&other.type_, other.json())
    }
}

impl Eq for Property {}

impl Serialize for Property {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // As a value, so that it is laid out like the rest of the document.
        let value: Value = match &self.value {
            Some(value) => serde_json::from_str(value.get()).map_err(serde::ser::Error::custom)?,
            None => Value::Null,
        };
        let mut fields = serializer.serialize_struct("Property", 2)?;
        fields.serialize_field("type", &self.type_)?;
        fields.serialize_field("value", &value)?;
        fields.end()
    }
}

impl Serialize for Package {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Package", 6)?;
        fields.serialize_field("schema", PACKAGE)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("defaultChannel", &self.default_channel)?;
        if let Some(icon) = &self.icon {
            fields.serialize_field("icon", icon)?;
        }
        if !self.description.is_empty() {
            fields.serialize_field("description", &self.description)?;
        }
        if !self.properties.is_empty() {
            fields.serialize_field("properties", &self.properties)?;
        }
        fields.end()
    }
}

impl Serialize for Channel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Channel", 5)?;
        fields.serialize_field("schema", CHANNEL)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("package", &self.package)?;
        fields.serialize_field("entries", &self.entries)?;
        if !self.properties.is_empty() {
            fields.serialize_field("properties", &self.properties)?;
        }
        fields.end()
    }
}

impl Serialize for Bundle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Bundle", 6)?;
        fields.serialize_field("schema", BUNDLE)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("package", &self.package)?;
        fields.serialize_field("image", &self.image)?;
        if !self.properties.is_empty() {
            fields.serialize_field("properties", &self.properties)?;
        }
        if !self.related_images.is_empty() {
            fields.serialize_field("relatedImages", &self.related_images)?;
        }
        fields.end()
    }
}

impl Config {
    /// The names of all packages that documents are about, sorted; those of documents that belong
    /// to no `olm.package` included.
    pub fn package_names(&self) -> Vec<&str> {
        let mut names: BTreeSet<&str> = BTreeSet::new();
        let packages = self.packages.iter().map(|package| &package.name);
        let channels = self.channels.iter().map(|channel| &channel.package);
        let bundles = self.bundles.iter().map(|bundle| &bundle.package);
        let deprecations = self.deprecations.iter().map(|entry| &entry.package);
        let others = self.others.iter().map(|other| &other.package);
        for name in packages
            .chain(channels)
            .chain(bundles)
            .chain(deprecations)
            .chain(others)
        {
            if !name.is_empty() {
                names.insert(name);
            }
        }
        names.into_iter().collect()
    }
}
