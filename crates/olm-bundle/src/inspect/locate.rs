//! Where something stands.
//!
//! Objects know the line that they start on. For what is inside a ClusterServiceVersion its text
//! is searched: the names that an error tells are the author's own, so they are found there.

use olm_tree::Tree;

use super::read;
use super::report::Place;
use crate::manifests::{Manifest, line_of};
use crate::registry_v1::metadata::{ANNOTATIONS, PROPERTIES, PROPERTIES_ANNOTATION, line_with};
use crate::registry_v1::{Bundle, LoadError, MetadataError, PREFIX, ValidationError};

const WEBHOOKS: &str = "webhookdefinitions";

/// Where an error of loading was found.
pub(super) fn load_error(error: &LoadError, bundle: &Bundle, tree: &dyn Tree) -> Place {
    match error {
        LoadError::File { file, line, .. } => (format!("manifests/{file}"), *line),
        LoadError::Metadata(error) => metadata_error(error, bundle, tree),
        _ => ("manifests".to_owned(), 1),
    }
}

fn metadata_error(error: &MetadataError, bundle: &Bundle, tree: &dyn Tree) -> Place {
    let annotations = |line| (ANNOTATIONS.to_owned(), line);
    let properties = |line| (PROPERTIES.to_owned(), line);
    match error {
        MetadataError::Annotations(_) => annotations(1),
        MetadataError::AnnotationsSyntax(error) => annotations(line_of(error)),
        MetadataError::AnnotationType { key, .. } => {
            let text = read(tree, ANNOTATIONS).unwrap_or_default();
            annotations(line_with(&text, key))
        }
        MetadataError::CsvProperties(_) => in_description(bundle, tree, &[PROPERTIES_ANNOTATION]),
        MetadataError::Properties(_) => properties(1),
        MetadataError::PropertiesSyntax { line, .. } => properties(*line),
    }
}

/// An error of loading, without what is said by its place.
pub(super) fn bare_load_error(error: &LoadError) -> String {
    match error {
        LoadError::File { problem, .. } => problem.to_string(),
        other => without_prefix(&other.to_string()),
    }
}

/// A text without the prefix that all errors of the format have.
pub(super) fn without_prefix(text: &str) -> String {
    text.strip_prefix(PREFIX).unwrap_or(text).to_owned()
}

/// The file of a manifest that a text names in backticks.
pub(super) fn of_text(text: &str) -> Option<Place> {
    let (_, rest) = text.split_once("`manifests/")?;
    let (file, _) = rest.split_once('`')?;
    Some((format!("manifests/{file}"), 1))
}

/// Where an error of validation was found.
pub(super) fn validation_error(error: &ValidationError, bundle: &Bundle, tree: &dyn Tree) -> Place {
    let described = |marks: &[&str]| in_description(bundle, tree, marks);
    match error {
        ValidationError::ApiServices => described(&["apiservicedefinitions"]),
        ValidationError::DuplicateDeployment(name)
        | ValidationError::DeploymentName { name, .. } => described(&["deployments", name]),
        ValidationError::MissingCrd(name) => described(&["customresourcedefinitions", name]),
        ValidationError::DuplicateCrd(name) => {
            let last = bundle.crds.iter().rfind(|crd| crd.name() == name);
            last.map_or_else(|| bundle.place(), Manifest::place)
        }
        ValidationError::PackageName => (ANNOTATIONS.to_owned(), 1),
        ValidationError::ConversionInstallModes { webhook, .. }
        | ValidationError::ForbiddenGroup { webhook, .. }
        | ValidationError::ForbiddenResource { webhook, .. } => described(&[WEBHOOKS, webhook]),
        ValidationError::WebhookDeployment { deployment, .. } => described(&[WEBHOOKS, deployment]),
        ValidationError::DuplicateWebhook { name, .. }
        | ValidationError::WebhookName { name, .. } => described(&[WEBHOOKS, name]),
        ValidationError::SharedConversion { crd, .. }
        | ValidationError::ForeignConversion { crd, .. } => described(&[WEBHOOKS, crd]),
        ValidationError::Kind { name, kind } => object(bundle, |manifest| {
            manifest.kind() == kind && manifest.name() == name
        }),
        ValidationError::ApiVersion { file, kind, name } => object(bundle, |manifest| {
            manifest.file == *file
                && manifest.kind() == kind
                && manifest.name() == name
                && manifest.api_version().is_empty()
        }),
        ValidationError::Name { file, kind } => object(bundle, |manifest| {
            manifest.file == *file && manifest.kind() == kind && manifest.name().is_empty()
        }),
        ValidationError::CrdVersion { file, name, .. }
        | ValidationError::CrdConversion { file, name, .. } => object(bundle, |manifest| {
            manifest.file == *file && manifest.name() == name
        }),
    }
}

/// Where the first object is of which `is_it` is true.
fn object(bundle: &Bundle, is_it: impl Fn(&Manifest) -> bool) -> Place {
    let mut all = bundle.crds.iter().chain(&bundle.others);
    all.find(|manifest| is_it(manifest))
        .map_or_else(|| bundle.place(), Manifest::place)
}

/// The line of the ClusterServiceVersion that has the last of the marks, each of which is searched
/// for after the one before; of those that are not there the search goes on without.
pub(super) fn in_description(bundle: &Bundle, tree: &dyn Tree, marks: &[&str]) -> Place {
    let (file, start) = bundle.place();
    let Ok(text) = read(tree, &file) else {
        return (file, start);
    };
    let mut found = start;
    for mark in marks.iter().filter(|mark| !mark.is_empty()) {
        let line = text
            .lines()
            .enumerate()
            .skip(found.saturating_sub(1))
            .find(|(_, line)| line.contains(mark));
        if let Some((index, _)) = line {
            found = index + 1;
        }
    }
    (file, found)
}
