//! Why a source gave no content.

use olm_fs::{Digest, FileError};
use olm_registry::ReferenceError;
use olm_runtime::pull_secret::PullSecretError;
use olm_source::git::GitError;
use olm_source::http::HttpError;
use olm_source::{ContentError, SourceError};

use super::config_maps::ConfigMapsError;
use super::secret::SecretError;
use crate::uploads::ReceiveError;

/// Why content cannot be fetched. Everything but [`FetchError::Moved`] may be said before anything is
/// stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum FetchError {
    /// Content of this type of source is not fetched.
    #[error("source type \"{0}\" not supported")]
    UnsupportedType(String),
    /// The source says that it is of a type and does not describe one.
    #[error("bundle source {0} configuration is unset")]
    Unset(&'static str),
    /// The name of the image cannot be read.
    #[error("error parsing image reference `{reference}`")]
    Reference {
        /// The name.
        reference: String,
        /// What is wrong with it.
        source: ReferenceError,
    },
    /// The directory is not one of the image.
    #[error(
        "get subdirectory \"{directory}\" for image \"{image}\": directory can not start with '../' \
         or '/'"
    )]
    DirectoryOutside {
        /// The directory.
        directory: String,
        /// The image.
        image: String,
    },
    /// The credentials of the registry cannot be read.
    #[error(transparent)]
    PullSecret(#[from] PullSecretError),
    /// The image cannot be fetched.
    #[error("{source}")]
    Image {
        /// Why not.
        source: Box<SourceError>,
        /// Whether it never can be.
        is_terminal: bool,
    },
    /// The credentials of a git or web server cannot be used.
    #[error("configuring Auth error")]
    Secret(#[from] SecretError),
    /// The repository gives nothing.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The web server gives nothing.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The ConfigMaps give nothing.
    #[error(transparent)]
    ConfigMaps(#[from] ConfigMapsError),
    /// Nothing was uploaded yet.
    #[error("waiting for bundle to be uploaded")]
    NotUploaded,
    /// What was uploaded is not compressed as it should be.
    #[error("read response as gzip")]
    NoGzip(#[source] HttpError),
    /// What was uploaded cannot be unpacked.
    #[error("untar bundle contents from response")]
    Untar(#[source] HttpError),
    /// What was uploaded cannot be read.
    #[error("cannot read what was uploaded")]
    Uploaded(#[source] FileError),
    /// The copy of an upload cannot be written or read.
    #[error("cannot keep a copy of what was uploaded in the cluster")]
    Copy(#[source] kube::Error),
    /// The copy of an upload cannot be put back on disk.
    #[error("cannot restore what was uploaded")]
    Restore(#[source] ReceiveError),
    /// The content cannot be stored.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The source has other content now.
    #[error(
        "the source no longer has what was unpacked first: expected files with the digest \
         {expected}, found {found}"
    )]
    Moved {
        /// What the Bundle is pinned to.
        expected: Digest,
        /// What is there.
        found: Digest,
    },
}

impl FetchError {
    /// What metrics call it.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::UnsupportedType(_)
            | Self::Unset(_)
            | Self::Reference { .. }
            | Self::DirectoryOutside { .. } => "InvalidSource",
            Self::PullSecret(_) => "PullSecretFailed",
            Self::Secret(_) => "SecretFailed",
            Self::Image { .. }
            | Self::Git(_)
            | Self::Http(_)
            | Self::ConfigMaps(_)
            | Self::NoGzip(_)
            | Self::Untar(_)
            | Self::Uploaded(_)
            | Self::Copy(_)
            | Self::Restore(_)
            | Self::Content(_) => "SourceFailed",
            Self::NotUploaded => "NotUploaded",
            Self::Moved { .. } => "SourceMoved",
        }
    }

    /// Whether trying again is useless, as the spec of a Bundle never changes.
    pub(crate) fn is_terminal(&self) -> bool {
        match self {
            // After another upload there is another pass.
            Self::UnsupportedType(_)
            | Self::Unset(_)
            | Self::Reference { .. }
            | Self::DirectoryOutside { .. }
            | Self::NoGzip(_) => true,
            Self::Image { is_terminal, .. } => *is_terminal,
            Self::Git(error) => error.is_terminal(),
            Self::Http(error) => error.is_terminal(),
            Self::ConfigMaps(error) => error.is_terminal(),
            Self::Untar(error) => error.is_content(),
            Self::PullSecret(error) => error.is_terminal(),
            Self::Secret(error) => error.is_terminal(),
            Self::NotUploaded
            | Self::Uploaded(_)
            | Self::Copy(_)
            | Self::Restore(_)
            | Self::Content(_)
            | Self::Moved { .. } => false,
        }
    }
}
