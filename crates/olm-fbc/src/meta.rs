//! One document of a catalog in canonical form.

use std::collections::BTreeMap;

use olm_yaml::YamlError;
use serde_json::{Map, Value};

use crate::Lost;
use crate::canonical::to_line;

/// One document of a catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Its schema; `""` where it has none.
    pub schema: String,
    /// The package it belongs to; `""` where it has none. `olm.package` documents have none.
    pub package: String,
    /// Its name; `""` where it has none.
    pub name: String,
    /// The whole document as canonical JSON on one line without line feed: keys sorted, no blanks,
    /// no HTML escaping, numbers as doubles.
    pub line: String,
}

impl Meta {
    /// Reads a decoded document. The three fields are found whatever their case.
    ///
    /// # Errors
    /// The document is no object, two of its keys differ in case alone, or one of the three fields
    /// is not text.
    pub fn from_value(value: &Value) -> Result<Self, MetaError> {
        let Value::Object(map) = value else {
            return Err(MetaError::NotAnObject { got: kind(value) });
        };
        let folded = fold_keys(map)?;
        let text = |field: &str| match folded.get(field) {
            None | Some((_, Value::Null)) => Ok(String::new()),
            Some((_, Value::String(text))) => Ok(text.clone()),
            Some((key, other)) => Err(MetaError::NotText {
                key: (*key).to_owned(),
                got: kind(other),
            }),
        };
        Ok(Self {
            schema: text("schema")?,
            package: text("package")?,
            name: text("name")?,
            line: to_line(value).map_err(|source| MetaError::Encode { source })?,
        })
    }

    /// The package that is not whole without it; `""` where it belongs to none.
    pub fn package_name(&self) -> &str {
        if self.schema == "olm.package" && self.package.is_empty() {
            &self.name
        } else {
            &self.package
        }
    }

    /// Whether it goes with what is lost of its file.
    pub(crate) fn is_lost(&self, lost: Lost<'_>) -> bool {
        match lost {
            Lost::Nothing => false,
            Lost::Packages(packages) => packages.contains(self.package_name()),
            Lost::Everything => true,
        }
    }
}

fn fold_keys(map: &Map<String, Value>) -> Result<BTreeMap<String, (&str, &Value)>, MetaError> {
    let mut folded: BTreeMap<String, (&str, &Value)> = BTreeMap::new();
    for (key, value) in map {
        if let Some((other, _)) = folded.insert(key.to_lowercase(), (key, value)) {
            return Err(MetaError::DuplicateKeys {
                folded: key.to_lowercase(),
                keys: [other.to_owned(), key.clone()],
            });
        }
    }
    Ok(folded)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Why a document is not part of a catalog.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetaError {
    /// The document is text, a list or another scalar.
    #[error("expected an object, got {got}")]
    NotAnObject {
        /// What it is.
        got: &'static str,
    },
    /// Two keys at the top differ in case alone.
    #[error("duplicate keys for key {folded:?}: [{} {}]", keys[0], keys[1])]
    DuplicateKeys {
        /// The key in lower case.
        folded: String,
        /// The keys as written.
        keys: [String; 2],
    },
    /// `schema`, `package` or `name` is not text.
    #[error("expected value for key {key:?} to be a string, got {got}")]
    NotText {
        /// The key as written.
        key: String,
        /// What its value is.
        got: &'static str,
    },
    /// The document is longer than a document may be.
    #[error("it has more than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The document is not YAML or JSON.
    #[error("cannot be parsed")]
    Syntax {
        /// The cause, which names the document and line.
        #[from]
        source: YamlError,
    },
    /// The document cannot be written.
    #[error("cannot be written as JSON")]
    Encode {
        /// The cause.
        source: serde_json::Error,
    },
}
