//! Writing catalogs.
//!
//! Documents come by package in the order of names: the package, its channels and bundles by name,
//! documents of other schemas by schema, its deprecations; at the end what belongs to no package.
//! JSON is a stream of objects, indented by four blanks, fields in the order in which they are
//! declared; YAML has sorted keys and a `---` line before every document.

use std::collections::BTreeMap;
use std::io::{self, Write};

use olm_tree::RelPath;
use olm_yaml::YamlError;
use serde::Serialize;
use serde::ser::SerializeMap as _;
use serde_json::Value;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use crate::Meta;
use crate::canonical::to_line;
use crate::config::{BUNDLE, Bundle, CHANNEL, Channel, Config, DEPRECATIONS, PACKAGE, Package};
use crate::schema::Deprecations;

/// A form of a catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A stream of indented JSON objects.
    Json,
    /// A stream of YAML documents.
    Yaml,
}

impl Format {
    /// The extension of files of this form, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Yaml => "yaml",
        }
    }
}

/// Why a catalog could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The receiver refused.
    #[error("catalog cannot be written")]
    Io {
        /// The cause.
        #[from]
        source: io::Error,
    },
    /// A document cannot be expressed.
    #[error("a document of the catalog cannot be written as JSON")]
    Json {
        /// The cause.
        #[from]
        source: serde_json::Error,
    },
    /// A document cannot be expressed.
    #[error("a document of the catalog cannot be written as YAML")]
    Yaml {
        /// The cause.
        #[from]
        source: YamlError,
    },
    /// A package's name would leave the directory.
    #[error("invalid package name {package:?}: must be a single local path element")]
    PackageName {
        /// The name.
        package: String,
    },
}

/// A document that is to be written.
#[derive(Debug, Clone, Copy)]
enum Written<'a> {
    Package(&'a Package),
    Channel(&'a Channel),
    Bundle(&'a Bundle),
    Meta(&'a Meta),
    Deprecations(&'a Deprecations),
}

impl Serialize for Written<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Package(package) => package.serialize(serializer),
            Self::Channel(channel) => channel.serialize(serializer),
            Self::Bundle(bundle) => bundle.serialize(serializer),
            Self::Deprecations(deprecations) => {
                let mut map = serializer.serialize_map(Some(3))?;
                map.serialize_entry("schema", DEPRECATIONS)?;
                map.serialize_entry("package", &deprecations.package)?;
                map.serialize_entry("entries", &deprecations.entries)?;
                map.end()
            }
            Self::Meta(meta) => {
                let value: Value =
                    serde_json::from_str(&meta.line).map_err(serde::ser::Error::custom)?;
                value.serialize(serializer)
            }
        }
    }
}

/// Rank of a document in its package: kind, then name or, of other schemas, schema.
type Rank<'a> = (u8, &'a str);

/// The documents by package, each list in order; `""` is what belongs to none.
type Ordered<'a> = BTreeMap<&'a str, Vec<(Rank<'a>, Written<'a>)>>;

fn sorted(mut ordered: Ordered<'_>) -> Ordered<'_> {
    for documents in ordered.values_mut() {
        // Stable: what has one rank stays in the order read.
        documents.sort_by_key(|(rank, _)| *rank);
    }
    ordered
}

fn of_config(config: &Config) -> Ordered<'_> {
    let mut ordered: Ordered<'_> = BTreeMap::new();
    let mut add = |package, rank, written| {
        let documents: &mut Vec<_> = ordered.entry(package).or_default();
        documents.push((rank, written));
    };
    for package in &config.packages {
        add(&package.name, (0, ""), Written::Package(package));
    }
    for channel in &config.channels {
        let rank = (1, channel.name.as_str());
        add(&channel.package, rank, Written::Channel(channel));
    }
    for bundle in &config.bundles {
        let rank = (2, bundle.name.as_str());
        add(&bundle.package, rank, Written::Bundle(bundle));
    }
    for other in &config.others {
        // Those without package stay in the order read.
        let schema = if other.package.is_empty() {
            ""
        } else {
            other.schema.as_str()
        };
        add(&other.package, (3, schema), Written::Meta(other));
    }
    for deprecations in &config.deprecations {
        let written = Written::Deprecations(deprecations);
        add(&deprecations.package, (4, ""), written);
    }
    sorted(ordered)
}

fn of_metas(metas: &[Meta]) -> Ordered<'_> {
    let mut ordered: Ordered<'_> = BTreeMap::new();
    for meta in metas {
        let (package, rank) = match meta.schema.as_str() {
            PACKAGE => (&meta.name, (0, "")),
            CHANNEL => (&meta.package, (1, meta.name.as_str())),
            BUNDLE => (&meta.package, (2, meta.name.as_str())),
            DEPRECATIONS => (&meta.package, (4, "")),
            _ if meta.package.is_empty() => (&meta.package, (3, "")),
            schema => (&meta.package, (3, schema)),
        };
        let documents = ordered.entry(package).or_default();
        documents.push((rank, Written::Meta(meta)));
    }
    sorted(ordered)
}

/// Writes a catalog from its types. The fields they do not know are not written.
///
/// # Errors
/// [`WriteError`].
pub fn config(config: &Config, format: Format, out: &mut dyn Write) -> Result<(), WriteError> {
    write_all(&of_config(config), format, out)
}

/// Writes the documents as they are, fields unknown to the types included; JSON has sorted keys.
///
/// # Errors
/// [`WriteError`].
pub fn metas(metas: &[Meta], format: Format, out: &mut dyn Write) -> Result<(), WriteError> {
    write_all(&of_metas(metas), format, out)
}

/// The catalog as files: `PACKAGE/catalog.EXTENSION` for every package, `catalog.EXTENSION` for what
/// belongs to none.
///
/// # Errors
/// [`WriteError`].
pub fn files(config: &Config, format: Format) -> Result<Vec<(RelPath, Vec<u8>)>, WriteError> {
    let name = format!("catalog.{}", format.extension());
    let mut files = Vec::new();
    for (package, documents) in of_config(config) {
        let invalid = || WriteError::PackageName {
            package: package.to_owned(),
        };
        let folder = RelPath::parse(package).map_err(|_| invalid())?;
        if folder.as_str() != package || folder.components().count() > 1 {
            return Err(invalid());
        }
        let path = folder.join(&name).map_err(|_| invalid())?;
        let mut bytes = Vec::new();
        for (_, document) in &documents {
            write_one(document, format, &mut bytes)?;
        }
        files.push((path, bytes));
    }
    Ok(files)
}

fn write_all(ordered: &Ordered<'_>, format: Format, out: &mut dyn Write) -> Result<(), WriteError> {
    let (none, packages): (Vec<_>, Vec<_>) =
        ordered.iter().partition(|(package, _)| package.is_empty());
    for (_, documents) in packages.into_iter().chain(none) {
        for (_, document) in documents {
            write_one(document, format, out)?;
        }
    }
    Ok(())
}

fn write_one(
    document: &Written<'_>,
    format: Format,
    out: &mut dyn Write,
) -> Result<(), WriteError> {
    match format {
        Format::Json => {
            // Into memory first: an error of the receiver must be told from one of the document.
            let mut bytes = Vec::new();
            pretty(document, &mut bytes)?;
            bytes.push(b'\n');
            out.write_all(&bytes)?;
        }
        Format::Yaml => {
            let text = olm_yaml::to_string(document)?;
            out.write_all(b"---\n")?;
            out.write_all(text.as_bytes())?;
        }
    }
    Ok(())
}

/// Writes a value as JSON indented by four blanks, text and numbers as in canonical lines.
///
/// # Errors
/// The value has no JSON form.
pub fn pretty(value: &impl Serialize, bytes: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let formatter = Indented(PrettyFormatter::with_indent(b"    "));
    value.serialize(&mut Serializer::with_formatter(bytes, formatter))
}

/// The layout of the library's formatter with the scalars of canonical lines.
struct Indented(PrettyFormatter<'static>);

fn scalar<W: ?Sized + Write>(writer: &mut W, value: &Value) -> io::Result<()> {
    writer.write_all(to_line(value).map_err(io::Error::other)?.as_bytes())
}

impl Formatter for Indented {
    fn write_i64<W: ?Sized + Write>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        scalar(writer, &value.into())
    }

    fn write_u64<W: ?Sized + Write>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        scalar(writer, &value.into())
    }

    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        scalar(writer, &value.into())
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for piece in fragment.split_inclusive(['\u{2028}', '\u{2029}']) {
            let text = piece.trim_end_matches(['\u{2028}', '\u{2029}']);
            writer.write_all(text.as_bytes())?;
            for separator in piece.get(text.len()..).unwrap_or_default().chars() {
                write!(writer, "\\u{:04x}", u32::from(separator))?;
            }
        }
        Ok(())
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}
