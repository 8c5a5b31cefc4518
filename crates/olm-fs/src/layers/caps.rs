//! What an image may cost.

use std::fmt;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Up to this many expanded bytes the ratio is not looked at: a few small files of zeros are no
/// bomb.
pub(super) const RATIO_FLOOR: u64 = 64 * MIB;

/// Deepest path that is kept, in components.
pub(super) const MAX_DEPTH: usize = 128;

/// Limits of one image, summed over its layers. Crossing one is an error that names it and the
/// entry where it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Bytes of the layers as they arrive.
    pub compressed_bytes: u64,
    /// Bytes of the tar streams, with what the filter leaves out. A base image below a catalog
    /// costs time here, but neither memory nor disk.
    pub expanded_bytes: u64,
    /// Bytes of the files that are kept, hence of disk. A hard link counts as a copy.
    pub kept_bytes: u64,
    /// Bytes of one kept file.
    pub file_bytes: u64,
    /// Tar entries, kept or not, and directories made.
    pub entries: u64,
    /// Bytes of one path. A path of more than 128 components counts as too long as well.
    pub path_bytes: usize,
    /// Expanded bytes per compressed byte, looked at above 64 MiB expanded.
    pub ratio: u64,
}

impl Caps {
    /// For catalog images: 1 GiB kept (of which 1 GiB may be one file), 8 GiB expanded, 4 GiB
    /// compressed, 500 000 entries, paths of 1 KiB, ratio 500. The largest public catalogs keep
    /// about 0.2 GiB and carry more than 1 GiB of caches and base image that is filtered out.
    pub const CATALOG: Self = Self {
        compressed_bytes: 4 * GIB,
        expanded_bytes: 8 * GIB,
        kept_bytes: GIB,
        file_bytes: GIB,
        entries: 500_000,
        path_bytes: 1024,
        ratio: 500,
    };

    /// For bundles: 64 MiB kept, 16 MiB per file, 512 MiB expanded, 256 MiB compressed, 50 000
    /// entries, paths of 1 KiB, ratio 500. The largest public bundles have 7 MiB.
    pub const BUNDLE: Self = Self {
        compressed_bytes: 256 * MIB,
        expanded_bytes: 512 * MIB,
        kept_bytes: 64 * MIB,
        file_bytes: 16 * MIB,
        entries: 50_000,
        path_bytes: 1024,
        ratio: 500,
    };
}

/// Which limit of [`Caps`] was crossed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cap {
    /// [`Caps::compressed_bytes`]
    CompressedBytes,
    /// [`Caps::expanded_bytes`]
    ExpandedBytes,
    /// [`Caps::kept_bytes`]
    KeptBytes,
    /// [`Caps::file_bytes`]
    FileBytes,
    /// [`Caps::entries`]
    Entries,
    /// [`Caps::path_bytes`]
    PathBytes,
    /// Components of a path: 128.
    PathDepth,
    /// Bytes of an extension header: 1 MiB.
    HeaderBytes,
    /// [`Caps::ratio`]
    Ratio,
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CompressedBytes => "compressed bytes",
            Self::ExpandedBytes => "expanded bytes",
            Self::KeptBytes => "bytes kept on disk",
            Self::FileBytes => "bytes in one file",
            Self::Entries => "entries",
            Self::PathBytes => "bytes in a path",
            Self::PathDepth => "components in a path",
            Self::HeaderBytes => "bytes in an extension header",
            Self::Ratio => "expanded bytes per compressed byte",
        })
    }
}
