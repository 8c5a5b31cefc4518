//! Everything that is wrong with a bundle, and where.
//!
//! Loading stops at the first error, and validation knows objects and not lines. Who writes a
//! bundle wants all of it at once, by file and line, and also what other tools will refuse.

mod advice;
mod locate;
mod metadata;
mod report;

use olm_tree::{RelPath, Tree, TreeError};

use self::report::Report;
pub use self::report::{Finding, Severity};
use crate::manifests::{self, Manifest, ManifestsError};
use crate::registry_v1::metadata::ANNOTATIONS;
use crate::registry_v1::{
    self, Assembled, CertificateProvider, Config, InstallMode, LoadError, MetadataError,
    RenderError, RenderOptions, ValidationError, assemble,
};

/// Largest file that is searched for the line of a finding, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// Inspects a bundle of either format: `registry+v1` where it has annotations or a
/// ClusterServiceVersion, else `plain+v0`.
///
/// An error is what keeps the bundle from being installed, a warning is what other tools refuse or
/// what happens otherwise than the author may expect. Sorted by file and line.
pub fn inspect(tree: &dyn Tree) -> Vec<Finding> {
    let mut report = Report::default();
    let manifests = match manifests::read_all(tree) {
        Ok((manifests, errors)) => {
            for error in errors {
                report.error(error.place(), error.bare());
            }
            manifests
        }
        Err(error) => {
            report.error(error.place(), error.bare());
            Vec::new()
        }
    };
    let is_described = manifests
        .iter()
        .any(|manifest| manifest.kind() == "ClusterServiceVersion");
    let annotations = read(tree, ANNOTATIONS);
    if is_described || annotations.is_ok() {
        metadata::check(tree, annotations, &mut report);
        registry(tree, manifests, &mut report);
    } else {
        plain(&manifests, &mut report);
    }
    report.into_findings()
}

fn read(tree: &dyn Tree, path: &str) -> Result<String, TreeError> {
    let parsed = RelPath::parse(path).map_err(|error| TreeError::Io {
        path: RelPath::root(),
        source: std::io::Error::other(error),
    })?;
    let bytes = tree.read(&parsed, MAX_FILE)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn plain(manifests: &[Manifest], report: &mut Report) {
    if manifests.is_empty() && !report.has_errors() {
        let error = crate::plain_v0::PlainError::NoObjects;
        report.error(("manifests".to_owned(), 1), error.to_string());
    }
    for manifest in manifests {
        let kind = manifest.kind();
        if manifest.api_version().is_empty() {
            report.error(manifest.place(), format!("{kind} has no apiVersion"));
        }
        if manifest.name().is_empty() {
            report.error(manifest.place(), format!("{kind} has no metadata.name"));
        }
    }
}

fn registry(tree: &dyn Tree, manifests: Vec<Manifest>, report: &mut Report) {
    // What is in a file that cannot be read is not missing.
    let is_whole = !report.has_errors();
    let sources = advice::Sources::of(&manifests);
    let Assembled {
        bundle,
        is_described,
        errors,
    } = assemble(tree, manifests);
    for error in &errors {
        if is_whole || !matches!(error, LoadError::NoClusterServiceVersion) {
            let place = locate::load_error(error, &bundle, tree);
            report.error(place, locate::bare_load_error(error));
        }
    }
    let is_package_known = !errors.iter().any(|error| {
        matches!(
            error,
            LoadError::Metadata(
                MetadataError::Annotations(_)
                    | MetadataError::AnnotationsSyntax(_)
                    | MetadataError::AnnotationType { .. }
            )
        )
    });
    match bundle.validate() {
        Err(invalid) => {
            let is_known = |error: &&ValidationError| match error {
                ValidationError::MissingCrd(_) => is_whole,
                ValidationError::PackageName => is_package_known,
                _ => true,
            };
            for error in invalid.errors().iter().filter(is_known) {
                let place = locate::validation_error(error, &bundle, tree);
                report.error(place, error.to_string());
            }
        }
        Ok(()) if is_whole && errors.is_empty() => render(&bundle, report),
        Ok(()) => {}
    }
    if is_described {
        advice::check(&bundle, &sources, tree, report);
    }
}

/// Renders the bundle in one of its modes: some contradictions show only then.
fn render(bundle: &registry_v1::Bundle, report: &mut Report) {
    let namespace = bundle.default_install_namespace();
    let modes = bundle.install_modes();
    let target = if modes.contains(&InstallMode::AllNamespaces) {
        vec![String::new()]
    } else if modes.contains(&InstallMode::OwnNamespace) {
        vec![namespace.clone()]
    } else if modes.contains(&InstallMode::SingleNamespace) {
        vec!["other".to_owned()]
    } else if modes.contains(&InstallMode::MultiNamespace) {
        vec!["other".to_owned(), "another".to_owned()]
    } else {
        report.error(
            bundle.place(),
            "none of InstallModeTypes are supported".to_owned(),
        );
        return;
    };
    let options = RenderOptions {
        config: Config::watching(target),
        ..RenderOptions::new(namespace, CertificateProvider::Own)
    };
    match registry_v1::render(bundle, &options) {
        Ok(rendered) => {
            for notice in rendered.notices {
                let place = locate::of_text(&notice).unwrap_or_else(|| bundle.place());
                report.warning(place, notice);
            }
        }
        Err(RenderError::Conflict {
            identity,
            first,
            second,
        }) => {
            let place = locate::of_text(&second)
                .or_else(|| locate::of_text(&first))
                .unwrap_or_else(|| bundle.place());
            let text = format!("{first} and {second} differ but are both {identity}");
            report.error(place, text);
        }
        Err(error) => report.error(bundle.place(), locate::without_prefix(&error.to_string())),
    }
}

impl ManifestsError {
    /// File and line that the error is about.
    fn place(&self) -> (String, usize) {
        match self {
            Self::File { file, line, .. } => (format!("manifests/{file}"), *line),
            Self::Subdirectory(name) => (format!("manifests/{name}"), 1),
            _ => ("manifests".to_owned(), 1),
        }
    }

    /// The text without the file, which stands before it.
    fn bare(&self) -> String {
        match self {
            Self::File { problem, .. } => problem.to_string(),
            other => other.to_string(),
        }
    }
}
