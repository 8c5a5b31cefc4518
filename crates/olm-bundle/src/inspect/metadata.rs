//! The files of the `metadata` directory, as tools on the side of catalogs want them.

use olm_tree::{Tree, TreeError};
use serde_json::Value;

use super::read;
use super::report::Report;
use crate::registry_v1::metadata::{ANNOTATIONS, line_with};

const DEPENDENCIES: &str = "metadata/dependencies.yaml";

const PREFIX: &str = "operators.operatorframework.io.bundle.";
/// Annotations that tools want, and the value where there is only one.
const WANTED: &[(&str, Option<&str>)] = &[
    ("mediatype.v1", Some("registry+v1")),
    ("manifests.v1", Some("manifests/")),
    ("metadata.v1", Some("metadata/")),
    ("package.v1", None),
    ("channels.v1", None),
];

/// Checks what is not needed to install the bundle: that is checked when it is loaded.
pub(super) fn check(tree: &dyn Tree, annotations: Result<String, TreeError>, report: &mut Report) {
    // A missing file is an error of loading.
    if let Ok(text) = annotations
        && let Some(document) = document(&text)
        && let Some(Value::Object(annotations)) = document.get("annotations")
    {
        for (name, only) in WANTED {
            let key = format!("{PREFIX}{name}");
            let value = annotations.get(&key).and_then(Value::as_str);
            let line = line_with(&text, &key);
            let problem = match (annotations.contains_key(&key), value, only) {
                (false, ..) => format!("Missing annotation {key:?}"),
                (true, Some(value), Some(only)) if value != *only => {
                    format!(
                        "Expecting annotation {key:?} to have value {only:?} instead of {value:?}"
                    )
                }
                (true, Some(""), None) => {
                    format!("Expecting annotation {key:?} to have non-empty value")
                }
                _ => continue,
            };
            report.warning((ANNOTATIONS.to_owned(), line), problem);
        }
    }
    if let Ok(text) = read(tree, DEPENDENCIES) {
        check_dependencies(&text, report);
    }
}

fn check_dependencies(text: &str, report: &mut Report) {
    let Some(document) = document(text) else {
        let problem = "cannot be read as YAML".to_owned();
        report.warning((DEPENDENCIES.to_owned(), 1), problem);
        return;
    };
    let dependencies = document.get("dependencies").and_then(Value::as_array);
    for dependency in dependencies.into_iter().flatten() {
        let kind = dependency["type"].as_str().unwrap_or_default();
        let value = |key: &str| {
            let value = dependency["value"].get(key);
            value.and_then(Value::as_str).unwrap_or_default()
        };
        let lacks = |wanted: &[(&str, &str)]| {
            wanted
                .iter()
                .find(|(key, _)| value(key).is_empty())
                .map(|(_, text)| (*text).to_owned())
        };
        let problem = match kind {
            "olm.gvk" => lacks(&[
                ("group", "API Group is empty"),
                ("version", "API Version is empty"),
                ("kind", "API Kind is empty"),
            ]),
            "olm.package" => lacks(&[
                ("packageName", "Package name is empty"),
                ("version", "Package version is empty"),
            ]),
            "olm.label" => lacks(&[("label", "Label information is missing")]),
            "olm.constraint" => None,
            other => Some(format!("couldn't parse dependency of type {other}")),
        };
        if let Some(problem) = problem {
            let line = line_with(text, kind);
            report.warning((DEPENDENCIES.to_owned(), line), problem);
        }
    }
}

fn document(text: &str) -> Option<Value> {
    let limits = olm_yaml::Limits::default();
    let first = olm_yaml::documents(text.as_bytes(), &limits).next();
    first?.ok().map(|document| document.value)
}
