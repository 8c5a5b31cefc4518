//! Writing YAML.

use serde::Serialize;

use crate::YamlError;

/// Writes a value as one YAML document with sorted keys, ending in a line feed and without a
/// `---` line. Text that a YAML 1.1 reader would take for a boolean or number is quoted.
///
/// # Errors
/// [`YamlError::Encode`] for values that JSON cannot express, such as maps with keys that are
/// neither text nor numbers.
pub fn to_string<T: Serialize>(value: &T) -> Result<String, YamlError> {
    let value = serde_json::to_value(value).map_err(|source| YamlError::Encode {
        source: Box::new(source),
    })?;
    yaml_serde::to_string(&value).map_err(|source| YamlError::Encode {
        source: Box::new(source),
    })
}
