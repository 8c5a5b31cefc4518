//! The properties that have a meaning.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::config::Property;
use crate::decode::{decode_base64, fold_names, from_value};
use crate::schema::or_default;

/// The package and version of a bundle.
pub const PACKAGE: &str = "olm.package";
/// A package that a bundle needs.
pub const PACKAGE_REQUIRED: &str = "olm.package.required";
/// An API that a bundle provides.
pub const GVK: &str = "olm.gvk";
/// An API that a bundle needs.
pub const GVK_REQUIRED: &str = "olm.gvk.required";
/// A constraint on what else is installed.
pub const CONSTRAINT: &str = "olm.constraint";
/// One manifest of a bundle.
pub const BUNDLE_OBJECT: &str = "olm.bundle.object";
/// What a ClusterServiceVersion says about a bundle.
pub const CSV_METADATA: &str = "olm.csv.metadata";
/// The priority of a channel, of no use outside the tools.
pub const CHANNEL: &str = "olm.channel";

/// The value of a property by its type.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum PropertyValue {
    /// [`PACKAGE`]
    Package(PackageProperty),
    /// [`PACKAGE_REQUIRED`]
    PackageRequired(PackageRequired),
    /// [`GVK`]
    Gvk(Gvk),
    /// [`GVK_REQUIRED`]
    GvkRequired(Gvk),
    /// [`BUNDLE_OBJECT`]
    BundleObject {
        /// The manifest.
        data: Vec<u8>,
    },
    /// [`CSV_METADATA`]
    CsvMetadata(Box<CsvMetadata>),
    /// [`CHANNEL`]
    Channel(ChannelPriority),
    /// Any other type, [`CONSTRAINT`] among them: its value is not looked at.
    Other,
}

/// Value of [`PACKAGE`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PackageProperty {
    /// The package.
    #[serde(deserialize_with = "or_default")]
    pub package_name: String,
    /// The version, strict semver.
    #[serde(deserialize_with = "or_default")]
    pub version: String,
    /// The release; `""` where there is none.
    #[serde(deserialize_with = "or_default")]
    pub release: String,
}

/// Value of [`PACKAGE_REQUIRED`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PackageRequired {
    /// The package.
    #[serde(deserialize_with = "or_default")]
    pub package_name: String,
    /// The versions, in the language of `olm_semver::blang`.
    #[serde(deserialize_with = "or_default")]
    pub version_range: String,
}

/// Value of [`GVK`] and [`GVK_REQUIRED`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Gvk {
    /// API group.
    #[serde(deserialize_with = "or_default")]
    pub group: String,
    /// Kind.
    #[serde(deserialize_with = "or_default")]
    pub kind: String,
    /// Version within the group.
    #[serde(deserialize_with = "or_default")]
    pub version: String,
}

/// Value of [`CHANNEL`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ChannelPriority {
    /// The channel.
    #[serde(deserialize_with = "or_default")]
    pub channel_name: String,
    /// Its priority.
    #[serde(deserialize_with = "or_default")]
    pub priority: i64,
}

/// Value of [`CSV_METADATA`]; deep parts are as written.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CsvMetadata {
    /// Annotations of the ClusterServiceVersion.
    #[serde(deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, Option<String>>,
    /// Labels of the ClusterServiceVersion.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, Option<String>>,
    /// The API services it owns and needs.
    #[serde(rename = "apiServiceDefinitions")]
    pub api_service_definitions: Value,
    /// The definitions it owns and needs.
    pub crd_descriptions: Value,
    /// Free text, usually Markdown.
    #[serde(deserialize_with = "or_default")]
    pub description: String,
    /// Name for people.
    #[serde(deserialize_with = "or_default")]
    pub display_name: String,
    /// How namespaces may be watched.
    #[serde(deserialize_with = "or_default")]
    pub install_modes: Vec<InstallMode>,
    /// Words to search for.
    #[serde(deserialize_with = "or_default")]
    pub keywords: Vec<Option<String>>,
    /// Where to read on.
    #[serde(deserialize_with = "or_default")]
    pub links: Vec<Link>,
    /// Who maintains it.
    #[serde(deserialize_with = "or_default")]
    pub maintainers: Vec<Maintainer>,
    /// How mature it says it is.
    #[serde(deserialize_with = "or_default")]
    pub maturity: String,
    /// Lowest Kubernetes version it runs on.
    #[serde(deserialize_with = "or_default")]
    pub min_kube_version: String,
    /// APIs of others that it uses.
    #[serde(rename = "nativeAPIs", deserialize_with = "or_default")]
    pub native_apis: Vec<Gvk>,
    /// Who provides it.
    #[serde(deserialize_with = "or_default")]
    pub provider: Link,
}

/// An install mode.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct InstallMode {
    /// `OwnNamespace`, `SingleNamespace`, `MultiNamespace` or `AllNamespaces`.
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub type_: String,
    /// Whether it is supported.
    #[serde(deserialize_with = "or_default")]
    pub supported: bool,
}

/// A name with an address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Link {
    /// The name.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// The address.
    #[serde(deserialize_with = "or_default")]
    pub url: String,
}

/// A person or group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Maintainer {
    /// The name.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// The address.
    #[serde(deserialize_with = "or_default")]
    pub email: String,
}

/// A property whose value does not have the shape of its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parse property[{index}] of type {type_:?}: {message}")]
pub struct PropertyError {
    /// Position among the properties, from 0.
    pub index: usize,
    /// Its type.
    pub type_: String,
    /// What is wrong.
    pub message: String,
}

/// Reads the value of a property; `index` is its position, for the error.
///
/// # Errors
/// The value is absent, or does not fit the type.
pub fn parse(index: usize, property: &Property) -> Result<PropertyValue, PropertyError> {
    let failed = |message: String| PropertyError {
        index,
        type_: property.type_.clone(),
        message,
    };
    let Some(raw) = &property.value else {
        return Err(failed("unexpected end of JSON input".to_owned()));
    };
    let value = |names: &'static [&'static str]| -> Result<Value, PropertyError> {
        let mut value: Value =
            serde_json::from_str(raw.get()).map_err(|error| failed(error.to_string()))?;
        fold_names(&mut value, names).map_err(failed)?;
        // Null decodes into the empty value of every type.
        Ok(if value.is_null() {
            Value::Object(serde_json::Map::new())
        } else {
            value
        })
    };
    Ok(match property.type_.as_str() {
        PACKAGE => PropertyValue::Package(
            from_value(value(&["packageName", "version", "release"])?).map_err(failed)?,
        ),
        PACKAGE_REQUIRED => PropertyValue::PackageRequired(
            from_value(value(&["packageName", "versionRange"])?).map_err(failed)?,
        ),
        GVK => {
            PropertyValue::Gvk(from_value(value(&["group", "kind", "version"])?).map_err(failed)?)
        }
        GVK_REQUIRED => PropertyValue::GvkRequired(
            from_value(value(&["group", "kind", "version"])?).map_err(failed)?,
        ),
        CHANNEL => PropertyValue::Channel(
            from_value(value(&["channelName", "priority"])?).map_err(failed)?,
        ),
        BUNDLE_OBJECT => {
            let object: Embedded = from_value(value(&["data"])?).map_err(failed)?;
            PropertyValue::BundleObject {
                data: decode_base64(&object.data).map_err(failed)?,
            }
        }
        CSV_METADATA => PropertyValue::CsvMetadata(from_value(value(CSV_NAMES)?).map_err(failed)?),
        _ => PropertyValue::Other,
    })
}

const CSV_NAMES: &[&str] = &[
    "annotations",
    "labels",
    "apiServiceDefinitions",
    "crdDescriptions",
    "description",
    "displayName",
    "installModes",
    "keywords",
    "links",
    "maintainers",
    "maturity",
    "minKubeVersion",
    "nativeAPIs",
    "provider",
];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Embedded {
    #[serde(deserialize_with = "or_default")]
    data: String,
}
