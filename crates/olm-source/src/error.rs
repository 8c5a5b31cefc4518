//! Why content could not be had.

use olm_fs::StoreError;
use olm_fs::layers::LayerError;
use olm_registry::{Reference, ReferenceError, RegistryError};
use olm_tree::TreeError;

/// An image that could not be fetched. The texts are those that users of catalogd know; the ones
/// with a cause end before it, so that printing the chain of causes with `: ` between them gives
/// the whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The reference is not one.
    #[error("error parsing image reference")]
    Reference(#[from] ReferenceError),
    /// The tag could not be resolved.
    #[error("error fetching image descriptor")]
    Descriptor(#[source] RegistryError),
    /// The store could not be asked.
    #[error("error checking if image is in filesystem cache")]
    Cache(#[source] StoreError),
    /// There is no place to unpack to.
    #[error("error creating unpack path")]
    Create(#[source] StoreError),
    /// The manifest or the configuration could not be had.
    #[error("error unpacking image: error fetching remote image \"{image}\"")]
    Manifest {
        /// The image.
        image: String,
        /// The cause.
        source: RegistryError,
    },
    /// The configuration could not be read.
    #[error("error unpacking image: error parsing remote image \"{image}\" config file")]
    Config {
        /// The image.
        image: String,
        /// The cause.
        source: RegistryError,
    },
    /// The label that names the wanted folder is not there.
    #[error(
        "error unpacking image: catalog image \"{image}\" is missing the required label \"{label}\""
    )]
    MissingLabel {
        /// The image.
        image: String,
        /// The label.
        label: String,
    },
    /// The label names something else than a folder of the image.
    #[error("error unpacking image: image \"{image}\": its label \"{label}\" names no path in it")]
    Label {
        /// The image.
        image: String,
        /// The label.
        label: String,
    },
    /// There is nothing in the wanted folders.
    #[error("error unpacking image: image \"{image}\" holds nothing at \"{folder}\"")]
    Empty {
        /// The image.
        image: String,
        /// The folders, with commas between them.
        folder: String,
    },
    /// There is nothing in the wanted folders of a directory, or no such directory.
    #[error(
        "error unpacking image: image \"{image}\": its directory \"{directory}\" is not there or holds \
         nothing at \"{folder}\""
    )]
    EmptyDirectory {
        /// The image.
        image: String,
        /// The directory.
        directory: String,
        /// The folders below it, with commas between them.
        folder: String,
    },
    /// The layers together are larger than allowed.
    #[error(
        "error unpacking image: error getting image layers: the layers of image \"{image}\" have \
         {size} bytes, which is more than {limit}"
    )]
    TooLarge {
        /// The image.
        image: String,
        /// The sum of their sizes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A layer could not be read from the registry.
    #[error("error unpacking image: error getting uncompressed layer data")]
    Layer(#[source] RegistryError),
    /// A layer could not be applied.
    #[error("error unpacking image: error applying layer to archive")]
    Apply(#[source] LayerError),
    /// What was unpacked could not be looked at: the disk failed.
    #[error("error unpacking image: error reading the content")]
    Read(#[source] TreeError),
    /// The result could not be stored.
    #[error("error unpacking image: error storing the content")]
    Store(#[source] StoreError),
    /// The task that unpacks ended without a result: it panicked, or the process is ending.
    #[error("error unpacking image: the unpacking was interrupted")]
    Interrupted,
}

impl SourceError {
    /// Whether trying again is useless until the reference itself changes: the reference cannot
    /// be parsed, or it names a digest and what is under that digest is at fault. What may heal,
    /// such as networks, registries, credentials and disks, is never terminal, and nor is anything
    /// under a tag, which may be moved.
    pub fn is_terminal(&self, reference: &Reference) -> bool {
        match self {
            Self::Reference(_) => true,
            _ if reference.digest().is_none() => false,
            Self::Manifest { source, .. } | Self::Config { source, .. } | Self::Layer(source) => {
                source.is_content()
            }
            Self::MissingLabel { .. }
            | Self::Label { .. }
            | Self::Empty { .. }
            | Self::EmptyDirectory { .. }
            | Self::TooLarge { .. } => true,
            Self::Apply(source) => source.is_content(),
            Self::Descriptor(_)
            | Self::Cache(_)
            | Self::Create(_)
            | Self::Read(_)
            | Self::Store(_)
            | Self::Interrupted => false,
        }
    }

    /// The answer of the registry that is behind this, if one is.
    pub const fn registry(&self) -> Option<&RegistryError> {
        match self {
            Self::Descriptor(source)
            | Self::Manifest { source, .. }
            | Self::Config { source, .. }
            | Self::Layer(source) => Some(source),
            _ => None,
        }
    }

    /// This text and those of its causes, with `: ` between them.
    pub fn report(&self) -> String {
        olm_error::Chain::new(self).to_string()
    }
}
