//! From a file tree to a typed bundle.

use olm_semver::Version;
use olm_tree::Tree;

use super::metadata::{self, MetadataError};
use super::{Bundle, PREFIX, crd, crd_v1beta1, csv};
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
        /// Line that it is about, or on which the object starts that it is in, from 1.
        line: usize,
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
    // First, as readers of the format do, who then do not look at the manifests.
    metadata::package_name(tree).map_err(LoadError::Metadata)?;
    let manifests = manifests::read(tree).map_err(|error| match error {
        ManifestsError::File {
            file,
            line,
            problem,
        } => LoadError::File {
            file,
            line,
            problem,
        },
        other => LoadError::Manifests(other),
    })?;
    match assemble(tree, manifests) {
        (Some(bundle), errors) if errors.is_empty() => Ok(bundle),
        (_, errors) => Err(errors
            .into_iter()
            .next()
            .unwrap_or(LoadError::NoClusterServiceVersion)),
    }
}

/// Makes a bundle of manifests, and says everything that is wrong with them. Without any error
/// there is a bundle.
pub(crate) fn assemble(
    tree: &dyn Tree,
    manifests: Vec<Manifest>,
) -> (Option<Bundle>, Vec<LoadError>) {
    let mut errors = Vec::new();
    let package = metadata::package_name(tree).unwrap_or_else(|error| {
        errors.push(LoadError::Metadata(error));
        String::new()
    });
    let mut described = None;
    let mut is_described = false;
    let mut crds = Vec::new();
    let mut others = Vec::new();
    for manifest in manifests {
        match manifest.kind() {
            "ClusterServiceVersion" => {
                is_described = true;
                let origin = (manifest.file.clone(), manifest.line);
                match load_csv(manifest) {
                    Ok((csv, version)) => described = Some((csv, version, origin)),
                    Err(error) => errors.push(error),
                }
            }
            "CustomResourceDefinition" => match load_crd(manifest) {
                Ok(crd) => crds.push(crd),
                Err(error) => errors.push(error),
            },
            _ => others.push(renew_rbac(manifest)),
        }
    }
    let Some((mut csv, version, origin)) = described else {
        if !is_described {
            errors.push(LoadError::NoClusterServiceVersion);
        }
        return (None, errors);
    };
    if let Err(error) = metadata::merge_properties(tree, &mut csv.metadata.annotations) {
        errors.push(LoadError::Metadata(error));
    }
    let bundle = Bundle {
        package,
        csv,
        version,
        origin,
        crds,
        others,
    };
    (Some(bundle), errors)
}

fn load_csv(
    manifest: Manifest,
) -> Result<(csv::ClusterServiceVersion, Option<Version>), LoadError> {
    let Manifest { file, line, object } = manifest;
    let failure = |reason: String| LoadError::File {
        file: file.clone(),
        line,
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

/// Roles and bindings of the version before, which clusters no longer serve, say the same in `v1`.
fn renew_rbac(mut manifest: Manifest) -> Manifest {
    let is_role = matches!(
        manifest.kind(),
        "Role" | "ClusterRole" | "RoleBinding" | "ClusterRoleBinding"
    );
    if is_role && manifest.api_version() == "rbac.authorization.k8s.io/v1beta1" {
        manifest.object["apiVersion"] = "rbac.authorization.k8s.io/v1".into();
    }
    manifest
}

/// Definitions of the API version before are converted. What cannot be, and what is of yet another
/// version, cannot be decoded by the tables of this one; it is refused in validation, which says
/// why.
fn load_crd(mut manifest: Manifest) -> Result<Manifest, LoadError> {
    if manifest.api_version() == crd_v1beta1::OLD_API_VERSION
        && let Ok(converted) = crd_v1beta1::convert(&manifest.object)
    {
        manifest.object = converted;
    }
    if manifest.api_version() != crd::API_VERSION {
        return Ok(manifest);
    }
    let Manifest { file, line, object } = manifest;
    match crd::decode(object) {
        Ok(object) => Ok(Manifest { file, line, object }),
        Err(error) => Err(LoadError::File {
            file,
            line,
            problem: ManifestProblem::Schema {
                kind: "CustomResourceDefinition",
                reason: error.to_string(),
            },
        }),
    }
}
