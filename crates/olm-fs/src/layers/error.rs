//! Why a layer was not applied.

use std::io;

use super::caps::Cap;

/// A layer that could not be applied. The text names the entry of the tar at fault; where the
/// stream broke between two entries, the one before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The image is larger than the limits allow.
    #[error("at entry `{entry}`: more than {limit} {cap}")]
    Cap {
        /// The limit that was crossed.
        cap: Cap,
        /// Its value.
        limit: u64,
        /// The entry.
        entry: String,
    },
    /// The bytes are not what they claim to be: broken compression, broken tar, an early end.
    #[error("after entry `{entry}`: the layer cannot be read as tar, tar+gzip or tar+zstd")]
    Format {
        /// The last entry that was read.
        entry: String,
        /// What the decoder says.
        source: io::Error,
    },
    /// The layer's bytes stopped coming.
    #[error("after entry `{entry}`: the layer's bytes could not be read")]
    Read {
        /// The last entry that was read.
        entry: String,
        /// What the reader says.
        source: io::Error,
    },
    /// A path that is refused wherever it appears.
    #[error("entry `{entry}` is refused: {reason}")]
    Path {
        /// The path, printable.
        entry: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// A path that leads through something that is not a directory.
    #[error("entry `{entry}` lies below a file")]
    NotADirectory {
        /// The path.
        entry: String,
    },
    /// A hard link whose target is not among what was kept.
    #[error("entry `{entry}` is a hard link to `{target}`, which is not among the kept files")]
    Link {
        /// The link.
        entry: String,
        /// Its target.
        target: String,
    },
    /// A kind of entry that content never needs.
    #[error("entry `{entry}` is refused: {kind}")]
    Special {
        /// The path.
        entry: String,
        /// What it is.
        kind: &'static str,
    },
    /// The disk refused.
    #[error("cannot write `{entry}`")]
    Write {
        /// The path.
        entry: String,
        /// What the disk says.
        source: io::Error,
    },
}

impl LayerError {
    /// Whether the content itself is at fault, so that the same bytes fail again. `false`: the
    /// disk or the reader failed, and another attempt may go well.
    pub fn is_content(&self) -> bool {
        !matches!(self, Self::Read { .. } | Self::Write { .. })
    }
}
