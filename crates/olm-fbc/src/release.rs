//! Releases: what tells apart bundles of one version.
//!
//! A release is written like a pre-release (`1`, `alpha.2`). Of two bundles of one version the one
//! with a release is the newer one, and releases are ordered like pre-releases. Older catalogs carry
//! the release in the build metadata of the version of bundles that substitute another.

use std::cmp::Ordering;
use std::fmt;

use olm_semver::{Version, VersionError, compare_releases};

use crate::config::Bundle;
use crate::property::{self, PropertyValue};

/// Longest release, in bytes.
const MAX_LENGTH: usize = 20;

/// A release; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Release(String);

impl Release {
    /// Parses a release.
    ///
    /// # Errors
    /// [`ReleaseError`], in the words of the reference.
    pub fn parse(text: &str) -> Result<Self, ReleaseError> {
        let failed = |problem| ReleaseError {
            release: text.chars().take(MAX_LENGTH * 4).collect(),
            problem,
        };
        if text.len() > MAX_LENGTH {
            let problem = format!("exceeds maximum length of {MAX_LENGTH} characters");
            return Err(failed(problem));
        }
        let problems: Vec<String> = text
            .split('.')
            .enumerate()
            .filter_map(|(index, segment)| {
                olm_semver::check_prerelease_identifier(segment)
                    .err()
                    .map(|error| format!("segment {index}: {error}"))
            })
            .collect();
        if problems.is_empty() {
            Ok(Self(text.to_owned()))
        } else {
            Err(failed(problems.join("\n")))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialOrd for Release {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Release {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_releases(&self.0, &other.0)
    }
}

/// A text that is no release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid release {release:?}: {problem}")]
pub struct ReleaseError {
    release: String,
    problem: String,
}

/// What orders the bundles of a package: the version, then the release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRelease {
    /// The version.
    pub version: Version,
    /// The release, if there is one.
    pub release: Option<Release>,
}

impl PartialOrd for VersionRelease {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for VersionRelease {
    fn cmp(&self, other: &Self) -> Ordering {
        // None is lowest, as it should be.
        self.version
            .cmp(&other.version)
            .then_with(|| self.release.cmp(&other.release))
    }
}

impl fmt::Display for VersionRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.release {
            None => self.version.fmt(f),
            Some(release) => write!(f, "{}-{release}", self.version),
        }
    }
}

/// The name that a bundle with a release must have.
pub fn normalized_name(package: &str, version: &VersionRelease) -> String {
    format!("{package}-v{version}")
}

/// Why the version of a bundle cannot be told. The texts are those of the reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionReleaseError {
    /// No `olm.package` property.
    #[error("no \"olm.package\" property found for bundle {bundle:?}")]
    NoProperty {
        /// The bundle.
        bundle: String,
    },
    /// Several `olm.package` properties.
    #[error("must be exactly one property of type \"olm.package\"")]
    SeveralProperties,
    /// A property cannot be read.
    #[error(transparent)]
    Property(#[from] property::PropertyError),
    /// The version is none.
    #[error(
        "invalid semver version {version:?} in \"olm.package\" property for bundle {bundle:?}: {error}"
    )]
    Version {
        /// The bundle.
        bundle: String,
        /// The text.
        version: String,
        /// Why it is no version; part of the text, as in the reference.
        error: VersionError,
    },
    /// The release is none.
    #[error(
        "invalid release {release:?} in \"olm.package\" property for bundle {bundle:?}: {error}"
    )]
    Release {
        /// The bundle.
        bundle: String,
        /// The text.
        release: String,
        /// Why it is no release; part of the text, as in the reference.
        error: ReleaseError,
    },
    /// The build metadata of a bundle that substitutes another is no release.
    #[error("unable to convert build metadata to release for bundle {bundle:?}: {error}")]
    Build {
        /// The bundle.
        bundle: String,
        /// Why it is no release; part of the text, as in the reference.
        error: ReleaseError,
    },
    /// A release, and an annotation that makes the build metadata one.
    #[error(
        "bundle {bundle:?} cannot have both a release version ({release:?}) and \
         olm.substitutesFor annotation ({substitutes:?})"
    )]
    Both {
        /// The bundle.
        bundle: String,
        /// The release.
        release: String,
        /// The bundle it substitutes.
        substitutes: String,
    },
}

impl VersionRelease {
    /// The version and release of a bundle; where it has no release but substitutes another bundle,
    /// the build metadata of its version is the release and no longer part of the version.
    ///
    /// # Errors
    /// [`VersionReleaseError`].
    pub fn of(bundle: &Bundle) -> Result<Self, VersionReleaseError> {
        let mut found = None;
        for (index, property) in bundle.properties.iter().enumerate() {
            if property.type_ != property::PACKAGE {
                continue;
            }
            if let PropertyValue::Package(package) = property::parse(index, property)?
                && found.replace(package).is_some()
            {
                return Err(VersionReleaseError::SeveralProperties);
            }
        }
        let name = || bundle.name.clone();
        let package = found.ok_or_else(|| VersionReleaseError::NoProperty { bundle: name() })?;
        let version = Version::parse_strict(&package.version).map_err(|error| {
            VersionReleaseError::Version {
                bundle: name(),
                version: package.version.clone(),
                error,
            }
        })?;
        let substitutes = bundle
            .summary
            .substitutes_for
            .as_ref()
            .filter(|text| !text.is_empty());
        if !package.release.is_empty() {
            if let Some(substitutes) = substitutes {
                return Err(VersionReleaseError::Both {
                    bundle: name(),
                    release: package.release,
                    substitutes: substitutes.clone(),
                });
            }
            let release =
                Release::parse(&package.release).map_err(|error| VersionReleaseError::Release {
                    bundle: name(),
                    release: package.release.clone(),
                    error,
                })?;
            return Ok(Self {
                version,
                release: Some(release),
            });
        }
        if substitutes.is_some() && !version.build().is_empty() {
            let release =
                Release::parse(version.build()).map_err(|error| VersionReleaseError::Build {
                    bundle: name(),
                    error,
                })?;
            return Ok(Self {
                version: version.without_build(),
                release: Some(release),
            });
        }
        Ok(Self {
            version,
            release: None,
        })
    }
}
