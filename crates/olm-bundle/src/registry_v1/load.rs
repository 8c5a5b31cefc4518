//! From a file tree to a typed bundle.

use olm_semver::Version;
use olm_tree::Tree;

use super::metadata::{self, MetadataError};
use super::{Bundle, PREFIX, crd, csv};
use crate::manifests::{self, Manifest, ManifestProblem, ManifestsError};
use olm_error::Chain;

/// Why a tree is not a `registry+v1` bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The metadata cannot be read.
    #[error("{PREFIX}{0}")]
    Metadata(MetadataError),
    /// The content of a manifest file is not what it should be.
    #[error("{PREFIX}read \"{file}\": {problem}")]
    File {
        /// Name of the file inside `manifests`.
        file: String,
        /// What is wrong with it.
        problem: ManifestProblem,
    },
    /// The manifests cannot be read.
    #[error("{PREFIX}{0}")]
    Manifests(ManifestsError),
    /// No manifest describes the operator.
    #[error("{PREFIX}no ClusterServiceVersion found in \"manifests\"")]
    NoClusterServiceVersion,
}

/// Reads a `registry+v1` bundle.
///
/// Manifests are told apart by kind alone, whatever their group, as every reader of the format
/// does; of several descriptions of the operator the last one wins. Nothing is checked that can be
/// checked on the loaded bundle: see [`Bundle::validate`].
///
/// # Errors
///
/// [`LoadError`], which names the file.
pub fn load(tree: &dyn Tree) -> Result<Bundle, LoadError> {
    let package = metadata::package_name(tree).map_err(LoadError::Metadata)?;
    let manifests = manifests::read(tree).map_err(|error| match error {
        ManifestsError::File { file, problem } => LoadError::File { file, problem },
        other => LoadError::Manifests(other),
    })?;
    let mut described = None;
    let mut crds = Vec::new();
    let mut others = Vec::new();
    for manifest in manifests {
        match manifest.kind() {
            "ClusterServiceVersion" => described = Some(load_csv(manifest)?),
            "CustomResourceDefinition" => crds.push(load_crd(manifest)?),
            _ => others.push(manifest),
        }
    }
    let (mut csv, version) = described.ok_or(LoadError::NoClusterServiceVersion)?;
    metadata::merge_properties(tree, &mut csv.metadata.annotations).map_err(LoadError::Metadata)?;
    Ok(Bundle {
        package,
        csv,
        version,
        crds,
        others,
    })
}

fn load_csv(
    manifest: Manifest,
) -> Result<(csv::ClusterServiceVersion, Option<Version>), LoadError> {
    let Manifest { file, object } = manifest;
    let failure = |reason: String| LoadError::File {
        file: file.clone(),
        problem: ManifestProblem::Schema {
            kind: "ClusterServiceVersion",
            reason,
        },
    };
    let csv = csv::decode(object).map_err(|error| failure(error.to_string()))?;
    let version = match &csv.spec.version {
        None => None,
        Some(text) => Some(Version::parse_tolerant(text).map_err(|error| {
            failure(format!(
                "`spec.version` is `{text}`: {}",
                Chain::new(&error)
            ))
        })?),
    };
    Ok((csv, version))
}

/// Definitions of another API version cannot be decoded by the tables of this one; they are
/// refused in validation, which wants their names.
fn load_crd(manifest: Manifest) -> Result<Manifest, LoadError> {
    if manifest.api_version() != crd::API_VERSION {
        return Ok(manifest);
    }
    let Manifest { file, object } = manifest;
    match crd::decode(object) {
        Ok(object) => Ok(Manifest { file, object }),
        Err(error) => Err(LoadError::File {
            file,
            problem: ManifestProblem::Schema {
                kind: "CustomResourceDefinition",
                reason: error.to_string(),
            },
        }),
    }
}
