//! One content on disk, held open.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use olm_fbc::index::Index;
use olm_fs::Digest;
use tracing::warn;

use crate::record::Record;

/// The lines.
pub(crate) const LINES: &str = "lines";
/// The index of the lines; see [`olm_fbc::index`].
pub(crate) const INDEX: &str = "index";
/// The lines, compressed with gzip.
pub(crate) const GZIP: &str = "lines.gz";
/// The lines, compressed with Zstandard.
pub(crate) const ZSTD: &str = "lines.zst";

/// Content of fewer bytes is not compressed (specification of catalogd, 11.5).
const COMPRESSED_MIN: u64 = 1024;

/// What a catalog serves at one moment. The files never change and are shared by all readers: read
/// them by offset ([`read_at`](std::os::unix::fs::FileExt::read_at)), never through their position.
/// They can be read to their end even when the catalog serves other content meanwhile.
#[derive(Clone, Debug)]
pub struct Content {
    /// Digest of the lines; their strong entity tag.
    pub digest: Digest,
    /// Bytes of the lines.
    pub len: u64,
    /// When the catalog began to serve them, in whole seconds.
    pub modified: Timestamp,
    /// The lines.
    pub lines: Arc<File>,
    /// The same compressed with gzip and its bytes, once that is made.
    pub gzip: Option<(Arc<File>, u64)>,
    /// The same compressed with Zstandard and its bytes, once that is made.
    pub zstd: Option<(Arc<File>, u64)>,
    /// Where the lines of a schema, package or name are.
    pub index: Arc<Index<File>>,
}

/// The open files of one directory of content.
#[derive(Debug)]
pub(crate) struct Shelf {
    length: u64,
    lines: Arc<File>,
    index: Arc<Index<File>>,
    gzip: OnceLock<(Arc<File>, u64)>,
    zstd: OnceLock<(Arc<File>, u64)>,
}

impl Shelf {
    /// Opens a directory; `None` when it is not there or is not the whole content of that digest
    /// and length.
    pub(crate) fn open(folder: &Path, digest: &Digest, length: u64) -> Option<Self> {
        let lines = open_file(&folder.join(LINES))?;
        if lines.1 != length {
            return None;
        }
        let index = open_file(&folder.join(INDEX))?;
        let index = match Index::open(index.0, digest.as_str(), length) {
            Ok(index) => index,
            Err(error) => {
                warn!(content = %digest, %error, "stored content has no usable index");
                return None;
            }
        };
        let shelf = Self {
            length,
            lines: Arc::new(lines.0),
            index: Arc::new(index),
            gzip: OnceLock::new(),
            zstd: OnceLock::new(),
        };
        shelf.find_compressed(folder);
        Some(shelf)
    }

    /// Takes in the compressed forms that lie in the directory.
    pub(crate) fn find_compressed(&self, folder: &Path) {
        for (form, name) in [(&self.gzip, GZIP), (&self.zstd, ZSTD)] {
            if form.get().is_none()
                && let Some((file, length)) = open_file(&folder.join(name))
            {
                // Whoever was first has opened the same file.
                let _first = form.set((Arc::new(file), length));
            }
        }
    }

    /// What is to be done to have it compressed, in whole or in part.
    pub(crate) fn uncompressed(&self, digest: &Digest, folder: &Path) -> Option<Uncompressed> {
        let missing = |form: &OnceLock<_>, name| form.get().is_none().then(|| folder.join(name));
        let (gzip, zstd) = (missing(&self.gzip, GZIP), missing(&self.zstd, ZSTD));
        let wanted = self.length >= COMPRESSED_MIN && (gzip.is_some() || zstd.is_some());
        wanted.then(|| Uncompressed {
            digest: digest.clone(),
            length: self.length,
            lines: Arc::clone(&self.lines),
            gzip,
            zstd,
        })
    }

    /// Bytes of the lines.
    pub(crate) const fn length(&self) -> u64 {
        self.length
    }

    /// Whether its files are still in their directory.
    pub(crate) fn is_there(&self) -> io::Result<bool> {
        Ok(self.lines.metadata()?.nlink() > 0)
    }

    /// What a catalog with that record serves.
    pub(crate) fn content(&self, record: &Record) -> Content {
        Content {
            digest: record.digest.clone(),
            len: self.length,
            modified: record.modified,
            lines: Arc::clone(&self.lines),
            gzip: self.gzip.get().cloned(),
            zstd: self.zstd.get().cloned(),
            index: Arc::clone(&self.index),
        }
    }
}

/// Content that is to be compressed.
#[derive(Clone, Debug)]
pub(crate) struct Uncompressed {
    pub(crate) digest: Digest,
    pub(crate) length: u64,
    pub(crate) lines: Arc<File>,
    /// Where each form is to be, if it is not there.
    pub(crate) gzip: Option<PathBuf>,
    pub(crate) zstd: Option<PathBuf>,
}

impl Uncompressed {
    /// Whether nobody serves it any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.lines
            .metadata()
            .is_ok_and(|metadata| metadata.nlink() == 0)
    }
}

/// A regular file and its length.
fn open_file(path: &Path) -> Option<(File, u64)> {
    let file = olm_fs::open(path).ok()?;
    let metadata = file.metadata().ok()?;
    metadata.is_file().then_some((file, metadata.len()))
}
