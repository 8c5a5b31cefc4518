//! What makes no sense, in the words of the reference.

use olm_semver::VersionError;

use crate::property::PropertyError;
use crate::release::ReleaseError;
use crate::schema::DeprecationReference;

/// Documents that make no sense together. The texts are those of the reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the texts say what the fields are")]
pub enum ConversionError {
    #[error("config contains package with no name")]
    PackageWithoutName,
    #[error("duplicate package {package:?}")]
    DuplicatePackage { package: String },
    #[error("invalid package name {package:?}: [{}]", reasons.join(" "))]
    PackageName {
        package: String,
        reasons: Vec<String>,
    },
    #[error("unknown package {package:?} for channel {channel:?}")]
    ChannelOfUnknownPackage { package: String, channel: String },
    #[error("package {package:?} contains channel with no name")]
    ChannelWithoutName { package: String },
    #[error("package {package:?} has duplicate channel {channel:?}")]
    DuplicateChannel { package: String, channel: String },
    #[error("invalid package {package:?}, channel {channel:?}: duplicate entry {entry:?}")]
    DuplicateEntry {
        package: String,
        channel: String,
        entry: String,
    },
    #[error("package name must be set for bundle {bundle:?}")]
    BundleWithoutPackage { bundle: String },
    #[error("unknown package {package:?} for bundle {bundle:?}")]
    BundleOfUnknownPackage { package: String, bundle: String },
    #[error("package {package:?} has duplicate bundle {bundle:?}")]
    DuplicateBundle { package: String, bundle: String },
    #[error("parse properties for bundle {bundle:?}: {error}")]
    Properties {
        package: String,
        bundle: String,
        error: PropertyError,
    },
    #[error(
        "package {package:?} bundle {bundle:?} must have exactly 1 \"olm.package\" property, \
         found {found}"
    )]
    PackageProperties {
        package: String,
        bundle: String,
        found: usize,
    },
    #[error("package {package:?} does not match \"olm.package\" property {property:?}")]
    OtherPackage {
        package: String,
        bundle: String,
        property: String,
    },
    #[error(
        "package {package:?} bundle {bundle:?} {field}: invalid image pull spec {image:?}: {problem}"
    )]
    Image {
        package: String,
        bundle: String,
        field: String,
        image: String,
        problem: &'static str,
    },
    #[error("error parsing bundle {bundle:?} version {version:?}: {error}")]
    Version {
        package: String,
        bundle: String,
        version: String,
        error: VersionError,
    },
    #[error("error parsing bundle {bundle:?} release version {release:?}: {error}")]
    Release {
        package: String,
        bundle: String,
        release: String,
        error: ReleaseError,
    },
    #[error("package {package:?}, bundle {bundle:?} not found in any channel entries")]
    BundleInNoChannel { package: String, bundle: String },
    #[error(
        "no olm.bundle blobs found in package {package:?} for olm.channel entries [{}]",
        entries.join(" ")
    )]
    EntriesWithoutBundle {
        package: String,
        entries: Vec<String>,
    },
    #[error("package name must be set for deprecation item {item}")]
    DeprecationsWithoutPackage { item: usize },
    #[error("cannot apply deprecations to an unknown package {package:?}")]
    DeprecationsOfUnknownPackage { package: String },
    #[error("expected a maximum of one deprecation per package: {package:?}")]
    SeveralDeprecations { package: String },
    #[error("schema must be set for deprecation entry [{entry}] for package {package:?}")]
    DeprecationWithoutSchema { package: String, entry: usize },
    #[error(
        "duplicate deprecation entry {} for package {package:?}",
        scoped(reference)
    )]
    DuplicateDeprecation {
        package: String,
        reference: DeprecationReference,
    },
    #[error("cannot deprecate bundle {bundle:?} for package {package:?}: bundle not found")]
    DeprecatedBundle { package: String, bundle: String },
    #[error("cannot deprecate channel {channel:?} for package {package:?}: channel not found")]
    DeprecatedChannel { package: String, channel: String },
    #[error("package name must be empty for deprecated package {package:?} (specified {name:?})")]
    DeprecatedPackage { package: String, name: String },
    #[error(
        "cannot deprecate object {} referenced by entry {entry} for package {package:?}: object \
         schema unknown",
        scoped(reference)
    )]
    DeprecatedSchema {
        package: String,
        reference: DeprecationReference,
        entry: usize,
    },
}

/// A reference as the reference implementation shows it.
fn scoped(reference: &DeprecationReference) -> String {
    format!(
        "declcfg.PackageScopedReference{{Schema:{:?}, Name:{:?}}}",
        reference.schema, reference.name
    )
}

impl ConversionError {
    /// The package that is at fault; none where the document names none.
    pub fn package(&self) -> Option<&str> {
        match self {
            Self::PackageWithoutName
            | Self::BundleWithoutPackage { .. }
            | Self::DeprecationsWithoutPackage { .. } => None,
            Self::DuplicatePackage { package }
            | Self::PackageName { package, .. }
            | Self::ChannelOfUnknownPackage { package, .. }
            | Self::ChannelWithoutName { package }
            | Self::DuplicateChannel { package, .. }
            | Self::DuplicateEntry { package, .. }
            | Self::BundleOfUnknownPackage { package, .. }
            | Self::DuplicateBundle { package, .. }
            | Self::Properties { package, .. }
            | Self::PackageProperties { package, .. }
            | Self::OtherPackage { package, .. }
            | Self::Image { package, .. }
            | Self::Version { package, .. }
            | Self::Release { package, .. }
            | Self::BundleInNoChannel { package, .. }
            | Self::EntriesWithoutBundle { package, .. }
            | Self::DeprecationsOfUnknownPackage { package }
            | Self::SeveralDeprecations { package }
            | Self::DeprecationWithoutSchema { package, .. }
            | Self::DuplicateDeprecation { package, .. }
            | Self::DeprecatedBundle { package, .. }
            | Self::DeprecatedChannel { package, .. }
            | Self::DeprecatedPackage { package, .. }
            | Self::DeprecatedSchema { package, .. } => Some(package),
        }
    }
}
