//! Content on its way into the store.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use olm_fs::{AtomicFile, Digest, Hasher};

use crate::store::{CONTENT_MAX, StoreError};

/// Content being written; dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct ContentWriter {
    file: BufWriter<AtomicFile>,
    hasher: Hasher,
    length: u64,
}

impl ContentWriter {
    /// Begins a file in the folder of the contents, which gets its name at the end.
    pub(crate) fn create(folder: &Path) -> Result<Self, StoreError> {
        let file = AtomicFile::create(&folder.join("new"))?;
        Ok(Self {
            file: BufWriter::with_capacity(256 << 10, file),
            hasher: Hasher::new(),
            length: 0,
        })
    }

    /// Adds one line; the line feed is added here.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], [`StoreError::Write`].
    pub fn line(&mut self, line: &str) -> Result<(), StoreError> {
        let added = u64::try_from(line.len())
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        self.length = self.length.saturating_add(added);
        if self.length > CONTENT_MAX {
            return Err(StoreError::TooLarge);
        }
        for bytes in [line.as_bytes(), b"\n"] {
            self.hasher.update(bytes);
            self.file
                .write_all(bytes)
                .map_err(|source| StoreError::Write { source })?;
        }
        Ok(())
    }

    /// Ends the content, which is now ready to be published.
    ///
    /// # Errors
    /// [`StoreError::Write`].
    pub fn finish(self) -> Result<Staged, StoreError> {
        let file = self.file.into_inner().map_err(|error| StoreError::Write {
            source: error.into_error(),
        })?;
        Ok(Staged {
            file,
            digest: self.hasher.finish(),
            length: self.length,
        })
    }
}

/// Finished content that no catalog serves yet; dropped, it leaves nothing.
#[derive(Debug)]
pub struct Staged {
    pub(crate) file: AtomicFile,
    pub(crate) digest: Digest,
    pub(crate) length: u64,
}

impl Staged {
    /// The digest of the content.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }
}
