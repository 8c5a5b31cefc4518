//! The files of the `metadata` directory: the package name and further catalog properties.

use olm_tree::{RelPath, Tree, TreeError};
use serde_json::Value;

use super::names::go_json;
use crate::manifests;
use olm_error::Chain;

/// The file that makes a directory a `registry+v1` bundle.
pub(crate) const ANNOTATIONS: &str = "metadata/annotations.yaml";
pub(crate) const PROPERTIES: &str = "metadata/properties.yaml";
/// Annotation of a ClusterServiceVersion that holds catalog properties as JSON text.
pub(crate) const PROPERTIES_ANNOTATION: &str = "olm.properties";
const PACKAGE: &str = "operators.operatorframework.io.bundle.package.v1";
const CHANNELS: &str = "operators.operatorframework.io.bundle.channels.v1";
const DEFAULT_CHANNEL: &str = "operators.operatorframework.io.bundle.channel.default.v1";

/// Largest metadata file, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// Why the metadata of a bundle cannot be read. Causes are part of the texts, which follow the
/// upstream readers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// `metadata/annotations.yaml` is missing or cannot be read.
    #[error("{}", Chain::new(.0))]
    Annotations(TreeError),
    /// `metadata/annotations.yaml` is not YAML.
    #[error("read \"annotations.yaml\": {}", Chain::new(.0))]
    AnnotationsSyntax(olm_yaml::YamlError),
    /// An annotation that must be a string is a list or a map.
    #[error("read \"annotations.yaml\": json: cannot unmarshal {found} into field `{key}`")]
    AnnotationType {
        /// The annotation.
        key: &'static str,
        /// The type found.
        found: &'static str,
    },
    /// The annotation `olm.properties` of the ClusterServiceVersion is not a JSON list of
    /// properties.
    #[error("failed to unmarshal csv.metadata.annotations['olm.properties']: {0}")]
    CsvProperties(serde_json::Error),
    /// `metadata/properties.yaml` cannot be read.
    #[error("failed to read properties.yaml file: {}", Chain::new(.0))]
    Properties(TreeError),
    /// `metadata/properties.yaml` is not YAML or no list of properties.
    #[error("failed to unmarshal metadata/properties.yaml: {reason}")]
    PropertiesSyntax {
        /// Line that it is about, or on which the list is, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

fn read(tree: &dyn Tree, path: &str) -> Result<Vec<u8>, TreeError> {
    let path = RelPath::parse(path).map_err(|error| TreeError::Io {
        path: RelPath::root(),
        source: std::io::Error::other(error),
    })?;
    tree.read(&path, MAX_BYTES)
}

/// Reads the package name from the bundle's annotations; empty where there is none.
pub(crate) fn package_name(tree: &dyn Tree) -> Result<String, MetadataError> {
    let content = read(tree, ANNOTATIONS).map_err(MetadataError::Annotations)?;
    let document = first_document(&content).map_err(MetadataError::AnnotationsSyntax)?;
    let annotations = match document.get("annotations") {
        None | Some(Value::Null) => return Ok(String::new()),
        Some(Value::Object(annotations)) => annotations,
        Some(other) => {
            let found = manifests::json_type(other);
            return Err(MetadataError::AnnotationType {
                key: "annotations",
                found,
            });
        }
    };
    let text = |key: &'static str| match annotations.get(key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        // Unquoted numbers and booleans: the target is known to be a string.
        Some(scalar @ (Value::Bool(_) | Value::Number(_))) => Ok(scalar.to_string()),
        Some(other) => {
            let found = manifests::json_type(other);
            Err(MetadataError::AnnotationType { key, found })
        }
    };
    text(CHANNELS)?;
    text(DEFAULT_CHANNEL)?;
    text(PACKAGE)
}

/// Adds the properties of `metadata/properties.yaml` to the annotation `olm.properties`, which
/// must be well-formed if present.
///
/// A file without a list of properties sets an absent annotation to the text `null`, as the
/// reference does: pods of installed operators carry it.
pub(crate) fn merge_properties(
    tree: &dyn Tree,
    annotations: &mut std::collections::BTreeMap<String, String>,
) -> Result<(), MetadataError> {
    let mut properties = match annotations.get(PROPERTIES_ANNOTATION) {
        Some(text) => Some(
            serde_json::from_str::<Option<Vec<Property>>>(text)
                .map_err(MetadataError::CsvProperties)?
                .unwrap_or_default(),
        ),
        None => None,
    };
    let content = match read(tree, PROPERTIES) {
        Ok(content) => content,
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(MetadataError::Properties(error)),
    };
    if content.is_empty() {
        return Ok(());
    }
    let mut document =
        first_document(&content).map_err(|error| MetadataError::PropertiesSyntax {
            line: manifests::line_of(&error),
            reason: Chain::new(&error).to_string(),
        })?;
    let unlisted = |reason: String| MetadataError::PropertiesSyntax {
        line: line_with(&String::from_utf8_lossy(&content), "properties"),
        reason,
    };
    let more: Option<Vec<Property>> = match document.get_mut("properties") {
        None => None,
        Some(list) => {
            serde_json::from_value(list.take()).map_err(|error| unlisted(error.to_string()))?
        }
    };
    if let Some(more) = more {
        properties.get_or_insert_default().extend(more);
    }
    let text =
        go_json(&properties).ok_or_else(|| unlisted("properties have no JSON form".to_owned()))?;
    annotations.insert(PROPERTIES_ANNOTATION.to_owned(), text);
    Ok(())
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Property {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    value: Value,
}

/// The first line that has the text, from 1; the first one where none has.
pub(crate) fn line_with(text: &str, mark: &str) -> usize {
    let found = text.lines().position(|line| line.contains(mark));
    found.map_or(1, |index| index + 1)
}

fn first_document(content: &[u8]) -> Result<Value, olm_yaml::YamlError> {
    olm_yaml::documents(content, &olm_yaml::Limits::default())
        .next()
        .map_or(Ok(Value::Null), |document| {
            document.map(|document| document.value)
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeMap;

    use olm_tree::MemoryTree;
    use rstest::rstest;

    use super::*;

    fn tree(path: &str, content: &str) -> MemoryTree {
        let mut tree = MemoryTree::new();
        tree.insert(path, content).unwrap();
        tree
    }

    #[rstest]
    #[case::text("p", "p")]
    #[case::number("1", "1")]
    #[case::boolean("true", "true")]
    #[case::null("null", "")]
    fn reads_the_package_name(#[case] value: &str, #[case] expected: &str) {
        let tree = tree(
            ANNOTATIONS,
            &format!("annotations:\n  other: [1, true]\n  {PACKAGE}: {value}\n"),
        );
        assert_eq!(package_name(&tree).unwrap(), expected);
    }

    #[test]
    fn names_the_missing_file_as_the_file_system_does() {
        let error = package_name(&MemoryTree::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "open metadata/annotations.yaml: file does not exist"
        );
    }

    #[rstest]
    #[case::no_file(None, None, None)]
    #[case::empty_file(None, Some(""), None)]
    #[case::no_list(None, Some("dependencies: []\n"), Some("null"))]
    #[case::no_list_but_annotation(Some("[]"), Some("dependencies: []\n"), Some("[]"))]
    #[case::appended(
        Some(r#"[{"type":"a","value":1}]"#),
        Some("properties: [{type: b, value: {x: '<'}}]\n"),
        Some(r#"[{"type":"a","value":1},{"type":"b","value":{"x":"\u003c"}}]"#)
    )]
    fn merges_properties(
        #[case] annotation: Option<&str>,
        #[case] file: Option<&str>,
        #[case] expected: Option<&str>,
    ) {
        let tree = file.map_or_else(MemoryTree::new, |file| tree(PROPERTIES, file));
        let mut annotations = BTreeMap::new();
        if let Some(annotation) = annotation {
            annotations.insert(PROPERTIES_ANNOTATION.to_owned(), annotation.to_owned());
        }
        merge_properties(&tree, &mut annotations).unwrap();
        assert_eq!(
            annotations.get(PROPERTIES_ANNOTATION).map(String::as_str),
            expected
        );
    }

    #[test]
    fn refuses_a_malformed_annotation_even_without_a_file() {
        let mut annotations = BTreeMap::from([(PROPERTIES_ANNOTATION.to_owned(), "{".to_owned())]);
        let error = merge_properties(&MemoryTree::new(), &mut annotations).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("failed to unmarshal csv.metadata.annotations['olm.properties']: ")
        );
    }
}
