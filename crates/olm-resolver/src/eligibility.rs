//! Whether a bundle can be used at all on this cluster.

use std::collections::BTreeSet;
use std::fmt;

use olm_semver::Version;

use crate::model::{Api, Bundle};

/// What is known of the cluster and of what the caller can install. Nothing known excludes nothing.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Version of Kubernetes; its pre-release and build metadata do not count.
    pub kubernetes: Option<Version>,
    /// The media types that can be installed; `""` stands for a bundle that names none. `None`: the
    /// caller judges the media type of the chosen bundle itself.
    pub media_types: Option<Vec<String>>,
    /// The packages that the administrator does not allow.
    pub excluded: BTreeSet<String>,
    /// APIs that the cluster has without a bundle and that count as provided. None by default.
    pub apis: Vec<Api>,
}

/// Why a bundle cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ineligibility {
    /// Its version or media type cannot be read.
    Metadata(String),
    /// What it requires cannot be read.
    Requirement(String),
    /// Its media type cannot be installed.
    MediaType(String),
    /// It needs a newer Kubernetes.
    Kubernetes(Version),
    /// The administrator does not allow its package.
    Excluded,
    /// Its catalog has withdrawn it.
    Withdrawn,
    /// Finding out what meets its requirements would take too long.
    TooDear,
}

/// Writes the part of a sentence that follows the bundle, such as `is deprecated`.
impl fmt::Display for Ineligibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metadata(error) => write!(f, "has unreadable metadata ({error})"),
            Self::Requirement(error) => write!(f, "has unreadable requirements ({error})"),
            Self::MediaType(media_type) => {
                write!(f, "has the unsupported media type {media_type:?}")
            }
            Self::Kubernetes(version) => write!(f, "needs Kubernetes {version}"),
            Self::Excluded => f.write_str("is not allowed by the administrator"),
            Self::Withdrawn => f.write_str("is deprecated"),
            Self::TooDear => f.write_str(
                "has requirements that take too long to look for in all that the catalogs offer",
            ),
        }
    }
}

/// Whether a bundle can be used; if not, the first reason that applies.
///
/// # Errors
/// The reason.
pub fn eligibility(bundle: &Bundle, facts: &Facts) -> Result<(), Ineligibility> {
    if let Err(error) = &bundle.version {
        return Err(Ineligibility::Metadata(error.clone()));
    }
    if let Err(error) = &bundle.requires {
        return Err(Ineligibility::Requirement(error.clone()));
    }
    if let Some(supported) = &facts.media_types
        && !supported.contains(&bundle.media_type)
    {
        return Err(Ineligibility::MediaType(bundle.media_type.clone()));
    }
    let core = |version: &Version| (version.major(), version.minor(), version.patch());
    if let (Some(cluster), Some(needed)) = (&facts.kubernetes, &bundle.min_kube_version)
        && core(needed) > core(cluster)
    {
        return Err(Ineligibility::Kubernetes(needed.clone()));
    }
    if facts.excluded.contains(&bundle.package) {
        return Err(Ineligibility::Excluded);
    }
    if bundle.withdrawn {
        return Err(Ineligibility::Withdrawn);
    }
    Ok(())
}
