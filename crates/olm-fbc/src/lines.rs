//! Reading a catalog's lines back, keeping only what the reader needs.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::schema::{
    Bundle, Channel, CsvFacts, Deprecations, Package, Property, RelatedImage, or_default,
};

/// What a reader keeps, and how long a line may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Longest line in bytes. Default 64 MiB.
    pub max_line: usize,
    /// Whether to drop what no resolver looks at: the related images and the properties that carry
    /// a bundle's manifests (`olm.bundle.object`) or description (`olm.csv.metadata`). Default true.
    pub drop_descriptions: bool,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            max_line: 64 * 1024 * 1024,
            drop_descriptions: true,
        }
    }
}

/// A document by its schema.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Item {
    /// `olm.package`
    Package(Package),
    /// `olm.channel`
    Channel(Channel),
    /// `olm.bundle`
    Bundle(Bundle),
    /// `olm.deprecations`
    Deprecations(Deprecations),
    /// Any other schema, or none: what it says is not read.
    Other {
        /// The schema.
        schema: String,
        /// The package; `""` where it has none.
        package: String,
        /// The name; `""` where it has none.
        name: String,
    },
}

/// Why a line could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// The stream ended in an error; nothing follows.
    #[error("catalog content cannot be read at line {line}")]
    Io {
        /// The line, from 1.
        line: usize,
        /// The cause.
        source: io::Error,
    },
    /// The line is too long; nothing follows.
    #[error("line {line} of the catalog content is longer than {limit} bytes")]
    TooLong {
        /// The line, from 1.
        line: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The line is not a JSON object with textual `schema`, `package` and `name`. The lines after
    /// it are read.
    #[error("line {line} of the catalog content is not a catalog document")]
    Head {
        /// The line, from 1.
        line: usize,
        /// The cause.
        source: serde_json::Error,
    },
    /// The document does not have the shape of its schema. The lines after it are read.
    #[error("`{schema}` document `{name}` of package `{package}` is invalid (line {line})")]
    Shape {
        /// The line, from 1.
        line: usize,
        /// The schema.
        schema: String,
        /// The package; for `olm.package` documents their name.
        package: String,
        /// The name.
        name: String,
        /// The cause.
        source: serde_json::Error,
    },
}

impl LineError {
    /// The package that is not complete without the line, where it is known.
    pub fn package(&self) -> Option<&str> {
        match self {
            Self::Shape { package, .. } => Some(package),
            _ => None,
        }
    }

    /// Whether nothing is read after this error.
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::TooLong { .. })
    }
}

/// Reads the documents of a stream of JSON lines; empty lines are skipped. After an error that is
/// not fatal the following lines are read.
pub fn read_lines<R: BufRead>(
    mut reader: R,
    reading: Reading,
) -> impl Iterator<Item = Result<Item, LineError>> {
    let mut buffer = Vec::new();
    let mut line = 0;
    let mut ended = false;
    std::iter::from_fn(move || {
        while !ended {
            buffer.clear();
            line += 1;
            let limit = reading.max_line as u64 + 1;
            match reader.by_ref().take(limit).read_until(b'\n', &mut buffer) {
                Err(source) => {
                    ended = true;
                    return Some(Err(LineError::Io { line, source }));
                }
                Ok(0) => ended = true,
                Ok(_) => {
                    if buffer.ends_with(b"\n") {
                        buffer.pop();
                    } else if buffer.len() > reading.max_line {
                        ended = true;
                        return Some(Err(LineError::TooLong {
                            line,
                            limit: reading.max_line,
                        }));
                    }
                    if !buffer.trim_ascii().is_empty() {
                        return Some(read_item(&buffer, line, &reading));
                    }
                }
            }
        }
        None
    })
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    schema: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    package: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
}

/// Reads one line; `line` is its number, for errors.
///
/// # Errors
/// [`LineError::Head`] and [`LineError::Shape`].
pub fn read_item(text: &[u8], line: usize, reading: &Reading) -> Result<Item, LineError> {
    let head: Head<'_> =
        serde_json::from_slice(text).map_err(|source| LineError::Head { line, source })?;
    let own = |text: &Option<Cow<'_, str>>| text.as_deref().unwrap_or_default().to_owned();
    let item = match head.schema.as_deref() {
        Some("olm.package") => serde_json::from_slice(text).map(Item::Package),
        Some("olm.channel") => serde_json::from_slice(text).map(Item::Channel),
        Some("olm.bundle") => read_bundle(text, reading).map(Item::Bundle),
        Some("olm.deprecations") => serde_json::from_slice(text).map(Item::Deprecations),
        _ => Ok(Item::Other {
            schema: own(&head.schema),
            package: own(&head.package),
            name: own(&head.name),
        }),
    };
    item.map_err(|source| {
        let package = if head.package.is_some() {
            &head.package
        } else {
            &head.name
        };
        LineError::Shape {
            line,
            schema: own(&head.schema),
            package: own(package),
            name: own(&head.name),
            source,
        }
    })
}

/// A bundle whose big parts still lie in the line.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BorrowedBundle<'a> {
    #[serde(default, deserialize_with = "or_default")]
    package: String,
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    image: String,
    #[serde(borrow, default, deserialize_with = "or_default")]
    properties: Vec<BorrowedProperty<'a>>,
    #[serde(borrow, default)]
    related_images: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct BorrowedProperty<'a> {
    #[serde(rename = "type", borrow, default)]
    type_: Cow<'a, str>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CsvMetadata<'a> {
    #[serde(default)]
    min_kube_version: Option<String>,
    #[serde(borrow, default)]
    annotations: Option<Annotations<'a>>,
}

#[derive(Deserialize)]
struct Annotations<'a> {
    #[serde(rename = "olm.substitutesFor", borrow, default)]
    substitutes_for: Option<Cow<'a, str>>,
}

fn read_bundle(text: &[u8], reading: &Reading) -> Result<Bundle, serde_json::Error> {
    let borrowed: BorrowedBundle<'_> = serde_json::from_slice(text)?;
    let mut bundle = Bundle {
        package: borrowed.package,
        name: borrowed.name,
        image: borrowed.image,
        ..Bundle::default()
    };
    for property in borrowed.properties {
        if property.type_ == "olm.csv.metadata" {
            bundle.csv = csv_facts(property.value);
        }
        let dropped = matches!(
            property.type_.as_ref(),
            "olm.csv.metadata" | "olm.bundle.object"
        );
        if reading.drop_descriptions && dropped {
            continue;
        }
        let value = match property.value {
            Some(value) => value.to_owned(),
            None => RawValue::NULL.to_owned(),
        };
        bundle.properties.push(Property {
            type_: property.type_.into_owned(),
            value,
        });
    }
    if !reading.drop_descriptions
        && let Some(images) = borrowed.related_images
    {
        let images: Option<Vec<RelatedImage>> = serde_json::from_str(images.get())?;
        bundle.related_images = images.unwrap_or_default();
    }
    Ok(bundle)
}

/// A description that cannot be read says nothing; no bundle is refused for it.
fn csv_facts(value: Option<&RawValue>) -> CsvFacts {
    let read = value.and_then(|value| serde_json::from_str::<CsvMetadata<'_>>(value.get()).ok());
    read.map_or_else(CsvFacts::default, |metadata| CsvFacts {
        min_kube_version: metadata.min_kube_version,
        substitutes_for: metadata
            .annotations
            .and_then(|annotations| annotations.substitutes_for)
            .map(Cow::into_owned),
    })
}
