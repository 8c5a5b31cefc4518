//! From a file tree to a typed bundle.

use olm_semver::Version;
use olm_tree::Tree;
use serde_json::json;

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
    let Assembled { bundle, errors, .. } = assemble(tree, manifests);
    errors.into_iter().next().map_or(Ok(bundle), Err)
}

/// What manifests amount to.
#[derive(Debug)]
pub(crate) struct Assembled {
    /// The bundle, as far as it can be told: what cannot be decoded is empty but for its name.
    pub(crate) bundle: Bundle,
    /// Whether a ClusterServiceVersion could be decoded.
    pub(crate) is_described: bool,
    /// Everything that is wrong; nothing where the bundle is whole.
    pub(crate) errors: Vec<LoadError>,
}

/// Makes a bundle of manifests, and says everything that is wrong with them.
pub(crate) fn assemble(tree: &dyn Tree, manifests: Vec<Manifest>) -> Assembled {
    let mut errors = Vec::new();
    let package = metadata::package_name(tree).unwrap_or_else(|error| {
        errors.push(LoadError::Metadata(error));
        String::new()
    });
    let mut described = None;
    let mut origin = None;
    let mut crds = Vec::new();
    let mut others = Vec::new();
    for manifest in manifests {
        match manifest.kind() {
            "ClusterServiceVersion" => {
                origin = Some((manifest.file.clone(), manifest.line));
                if let Some(csv) = load_csv(manifest, &mut errors) {
                    described = Some(csv);
                }
            }
            "CustomResourceDefinition" => crds.push(load_crd(manifest, &mut errors)),
            _ => others.push(renew_rbac(manifest)),
        }
    }
    let is_described = described.is_some();
    let (mut csv, version) = described.unwrap_or_default();
    let origin = origin.unwrap_or_else(|| {
        errors.push(LoadError::NoClusterServiceVersion);
        (String::new(), 1)
    });
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
    Assembled {
        bundle,
        is_described,
        errors,
    }
}

/// Decodes the description of the operator; `None` where that fails. One that tells no version in
/// its proper form is one all the same.
fn load_csv(
    manifest: Manifest,
    errors: &mut Vec<LoadError>,
) -> Option<(csv::ClusterServiceVersion, Option<Version>)> {
    let Manifest { file, line, object } = manifest;
    let failure = |reason: String| LoadError::File {
        file: file.clone(),
        line,
        problem: ManifestProblem::Schema {
            kind: "ClusterServiceVersion",
            reason,
        },
    };
    let csv = match csv::decode(object) {
        Ok(csv) => csv,
        Err(error) => {
            errors.push(failure(error.to_string()));
            return None;
        }
    };
    let version = csv.spec.version.as_ref().and_then(|text| {
        let parsed = Version::parse_tolerant(text);
        parsed
            .map_err(|error| {
                let reason = Chain::new(&error);
                errors.push(failure(format!("`spec.version` is `{text}`: {reason}")));
            })
            .ok()
    });
    Some((csv, version))
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
/// why. Of one that cannot be decoded the name is left.
fn load_crd(mut manifest: Manifest, errors: &mut Vec<LoadError>) -> Manifest {
    if manifest.api_version() == crd_v1beta1::OLD_API_VERSION
        && let Ok(converted) = crd_v1beta1::convert(&manifest.object)
    {
        manifest.object = converted;
    }
    if manifest.api_version() != crd::API_VERSION {
        return manifest;
    }
    let name = manifest.name().to_owned();
    let Manifest { file, line, object } = manifest;
    let object = crd::decode(object).unwrap_or_else(|error| {
        errors.push(LoadError::File {
            file: file.clone(),
            line,
            problem: ManifestProblem::Schema {
                kind: "CustomResourceDefinition",
                reason: error.to_string(),
            },
        });
        json!({"apiVersion": crd::API_VERSION, "kind": "CustomResourceDefinition",
               "metadata": {"name": name}})
    });
    Manifest { file, line, object }
}
