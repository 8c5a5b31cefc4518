//! From a document to its type.
//!
//! Field names are found whatever their case, unknown fields are ignored, no type is coerced.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use olm_yaml::YamlError;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::Meta;
use crate::config::{BUNDLE, Bundle, CHANNEL, Channel, DEPRECATIONS, PACKAGE, Package, Summary};
use crate::property::{self, BUNDLE_OBJECT, CSV_METADATA, PropertyValue};
use crate::schema::Deprecations;

/// Longest document that a message repeats, in bytes.
const MAX_SHOWN: usize = 2048;

/// A document by its schema.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Document {
    /// `olm.package`
    Package(Package),
    /// `olm.channel`
    Channel(Channel),
    /// `olm.bundle`
    Bundle(Bundle),
    /// `olm.deprecations`
    Deprecations(Deprecations),
    /// Any other schema, kept as it is.
    Other(Meta),
}

/// Why a document does not have the shape of its schema. The texts are those of the reference.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It has no schema.
    #[error("object '{blob}' is missing root schema field")]
    NoSchema {
        /// The document, cut where it is long.
        blob: String,
    },
    /// A field has another type.
    #[error("parse {what}: {message}")]
    Shape {
        /// `package`, `channel`, `bundle` or `deprecation`.
        what: &'static str,
        /// Which field, and what is wrong with it.
        message: String,
    },
    /// A property that embeds a manifest cannot be read.
    #[error(
        "read bundle objects: package {package:?}, bundle {bundle:?}: parse property at index \
         {index} as bundle object: {message}"
    )]
    ObjectProperty {
        /// The package.
        package: String,
        /// The bundle.
        bundle: String,
        /// Position of the property, from 0.
        index: usize,
        /// What is wrong.
        message: String,
    },
    /// An embedded manifest is neither JSON nor YAML.
    #[error(
        "read bundle objects: package {package:?}, bundle {bundle:?}: convert bundle object \
         property at index {index} to JSON: {message}"
    )]
    ObjectContent {
        /// The package.
        package: String,
        /// The bundle.
        bundle: String,
        /// Position of the property, from 0.
        index: usize,
        /// What is wrong.
        message: String,
    },
}

/// The names of an object's fields, and what stands in them.
struct Fields(&'static [(&'static str, Inner)]);

/// What stands in a field.
enum Inner {
    /// Anything; the type says.
    Any,
    /// An object.
    One(&'static Fields),
    /// A list of objects.
    Many(&'static Fields),
}

use Inner::{Any, Many, One};

const PROPERTY: Fields = Fields(&[("type", Any), ("value", Any)]);
const PACKAGE_FIELDS: Fields = Fields(&[
    ("name", Any),
    ("defaultChannel", Any),
    (
        "icon",
        One(&Fields(&[("base64data", Any), ("mediatype", Any)])),
    ),
    ("description", Any),
    ("properties", Many(&PROPERTY)),
]);
const CHANNEL_FIELDS: Fields = Fields(&[
    ("name", Any),
    ("package", Any),
    (
        "entries",
        Many(&Fields(&[
            ("name", Any),
            ("replaces", Any),
            ("skips", Any),
            ("skipRange", Any),
        ])),
    ),
    ("properties", Many(&PROPERTY)),
]);
const BUNDLE_FIELDS: Fields = Fields(&[
    ("name", Any),
    ("package", Any),
    ("image", Any),
    ("properties", Many(&PROPERTY)),
    (
        "relatedImages",
        Many(&Fields(&[("name", Any), ("image", Any)])),
    ),
]);
const DEPRECATION_FIELDS: Fields = Fields(&[
    ("package", Any),
    (
        "entries",
        Many(&Fields(&[
            ("reference", One(&Fields(&[("schema", Any), ("name", Any)]))),
            ("message", Any),
        ])),
    ),
]);

impl Document {
    /// Reads a document by its schema.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(meta: Meta) -> Result<Self, DecodeError> {
        let line = &meta.line;
        match meta.schema.as_str() {
            "" => Err(DecodeError::NoSchema { blob: shown(line) }),
            PACKAGE => {
                let package: Package = typed(line, "package", &PACKAGE_FIELDS)?;
                if let Some(icon) = &package.icon {
                    check_base64(&icon.data)?;
                }
                Ok(Self::Package(package))
            }
            CHANNEL => typed(line, "channel", &CHANNEL_FIELDS).map(Self::Channel),
            BUNDLE => {
                let mut bundle: Bundle = typed(line, "bundle", &BUNDLE_FIELDS)?;
                bundle.summary = summarize(&bundle)?;
                Ok(Self::Bundle(bundle))
            }
            DEPRECATIONS => typed(line, "deprecation", &DEPRECATION_FIELDS).map(Self::Deprecations),
            _ => Ok(Self::Other(meta)),
        }
    }
}

/// The document as the reference shows it: its line with the line feed.
fn shown(line: &str) -> String {
    if line.len() <= MAX_SHOWN {
        return format!("{line}\n");
    }
    let mut end = MAX_SHOWN;
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…\n", line.get(..end).unwrap_or_default())
}

fn typed<T: DeserializeOwned>(
    line: &str,
    what: &'static str,
    fields: &Fields,
) -> Result<T, DecodeError> {
    let mut value: Value = serde_json::from_str(line).map_err(|error| DecodeError::Shape {
        what,
        message: error.to_string(),
    })?;
    fold(&mut value, fields)
        .and_then(|()| from_value(value))
        .map_err(|message| DecodeError::Shape { what, message })
}

/// Decodes a value; the error names the field.
pub(crate) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        if path == "." {
            cause.to_string()
        } else {
            format!("{path}: {cause}")
        }
    })
}

/// Gives known fields their name where it is written in another case. The types would take a list
/// for an object, which is refused here.
fn fold(value: &mut Value, fields: &Fields) -> Result<(), String> {
    let map = match value {
        Value::Object(map) => map,
        Value::Array(_) => return Err(NOT_A_LIST.to_owned()),
        _ => return Ok(()),
    };
    let Fields(names) = fields;
    for (name, inner) in *names {
        rename(map, name);
        match (inner, map.get_mut(*name)) {
            (One(fields), Some(value)) => {
                fold(value, fields).map_err(|problem| format!("{name}: {problem}"))?;
            }
            (Many(fields), Some(Value::Array(items))) => {
                for (at, item) in items.iter_mut().enumerate() {
                    fold(item, fields).map_err(|problem| format!("{name}[{at}]: {problem}"))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

const NOT_A_LIST: &str = "invalid type: sequence, expected an object";

/// Gives the known fields of a property's value their names.
///
/// # Errors
/// The value is a list, which the types would take for an object.
pub(crate) fn fold_names(value: &mut Value, names: &'static [&'static str]) -> Result<(), String> {
    match value {
        Value::Object(map) => {
            for name in names {
                rename(map, name);
            }
            Ok(())
        }
        Value::Array(_) => Err(NOT_A_LIST.to_owned()),
        _ => Ok(()),
    }
}

/// Gives a field its name; of several that differ in case alone, the one written right counts.
fn rename(map: &mut Map<String, Value>, name: &str) {
    while let Some(key) = map
        .keys()
        .find(|key| key.eq_ignore_ascii_case(name) && *key != name)
        .cloned()
    {
        if let Some(value) = map.remove(&key) {
            map.entry(name).or_insert(value);
        }
    }
}

fn check_base64(text: &str) -> Result<(), DecodeError> {
    decode_base64(text)
        .map(|_| ())
        .map_err(|message| DecodeError::Shape {
            what: "package",
            message,
        })
}

/// Standard base64 with padding; line ends between the digits do not count.
pub(crate) fn decode_base64(text: &str) -> Result<Vec<u8>, String> {
    use base64::DecodeError as E;
    let digits: Vec<u8> = text
        .bytes()
        .filter(|b| !matches!(b, b'\r' | b'\n'))
        .collect();
    STANDARD.decode(&digits).map_err(|error| {
        let at = match error {
            E::InvalidByte(at, _) | E::InvalidLastSymbol(at, _) => at,
            E::InvalidLength(_) | E::InvalidPadding => digits.len(),
        };
        format!("illegal base64 data at input byte {at}")
    })
}

/// What the embedded manifests and the description of a bundle say, the manifests first.
fn summarize(bundle: &Bundle) -> Result<Summary, DecodeError> {
    let mut summary = Summary::default();
    let mut csv_found = false;
    for (index, property) in bundle.properties.iter().enumerate() {
        match property.type_.as_str() {
            BUNDLE_OBJECT => {
                let data = match property::parse(index, property) {
                    Ok(PropertyValue::BundleObject { data }) => data,
                    Ok(_) => continue,
                    Err(error) => {
                        return Err(DecodeError::ObjectProperty {
                            package: bundle.package.clone(),
                            bundle: bundle.name.clone(),
                            index,
                            message: error.message,
                        });
                    }
                };
                let manifest = manifest(&data).map_err(|message| DecodeError::ObjectContent {
                    package: bundle.package.clone(),
                    bundle: bundle.name.clone(),
                    index,
                    message,
                })?;
                summary.objects += 1;
                if !csv_found && manifest.get("kind").and_then(Value::as_str) == Some(CSV) {
                    csv_found = true;
                    read_csv(&manifest, &mut summary);
                }
            }
            CSV_METADATA if !csv_found => {
                // A description of another shape is reported when the bundle is checked.
                if let Ok(PropertyValue::CsvMetadata(csv)) = property::parse(index, property) {
                    summary.display_name = csv.display_name;
                    summary.substitutes_for =
                        csv.annotations.get(SUBSTITUTES_FOR).cloned().flatten();
                }
            }
            _ => {}
        }
    }
    Ok(summary)
}

const CSV: &str = "ClusterServiceVersion";
/// The annotation that names the bundle which this one substitutes.
const SUBSTITUTES_FOR: &str = "olm.substitutesFor";

fn read_csv(csv: &Value, summary: &mut Summary) {
    let text = |pointer: &str| csv.pointer(pointer).and_then(Value::as_str);
    summary.display_name = text("/spec/displayName")
        .map(str::to_owned)
        .unwrap_or_default();
    summary.substitutes_for = csv
        .pointer("/metadata/annotations")
        .and_then(|annotations| annotations.get(SUBSTITUTES_FOR))
        .and_then(Value::as_str)
        .map(str::to_owned);
}

fn manifest(data: &[u8]) -> Result<Value, String> {
    olm_yaml::from_slice(data, &olm_yaml::Limits::default()).map_err(|error| match error {
        YamlError::Yaml { source, .. } => source.to_string(),
        YamlError::Json { source, .. } => source.to_string(),
        other => other.to_string(),
    })
}
